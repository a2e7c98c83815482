"""Bytes to frames and back, one file a protocol. No socket, no clock, no task: the server and the clients own those."""
