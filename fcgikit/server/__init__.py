"""The server: where wire protocols, gateways and sockets meet."""
