"""Clients of the server: `replay` plays a recorded user and keeps a Recording, `talk` is for a person."""

from duplex.clients.wav import load_wav

__all__ = ["load_wav"]
