"""The client for programs with threads: sockets, and no thread of its own."""
