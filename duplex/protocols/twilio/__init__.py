"""Twilio Media Streams: a telephone call over a websocket, mu-law at 8 kHz both ways, JSON text messages only.

`TwilioWire` is what Twilio connects to; `TwilioCaller` is Twilio's part of it, for clients that stand in for a phone.
"""

from duplex.protocols.twilio.caller import CHUNK_MS, CHUNK_SAMPLES, PHONE_HZ, Clear, Mark, Media, TwilioCaller
from duplex.protocols.twilio.wire import TwilioWire

__all__ = ["CHUNK_MS", "CHUNK_SAMPLES", "PHONE_HZ", "Clear", "Mark", "Media", "TwilioCaller", "TwilioWire"]
