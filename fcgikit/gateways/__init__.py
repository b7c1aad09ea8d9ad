"""Gateways: events to an application's calling convention and back. No protocols, no sockets."""
