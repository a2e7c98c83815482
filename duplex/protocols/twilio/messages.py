"""The JSON of Media Streams: one message taken apart, with a reason when it is not what Twilio sends."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from duplex.protocols.g711 import decode_ulaw, encode_ulaw
from duplex.protocols.json_object import json_object
from duplex.protocols.sound import MAX_MESSAGE_S
from duplex.protocols.wire import BadMessage, Message, TooMuchSound

PHONE_HZ = 8_000
ENCODING = "audio/x-mulaw"


class Fields:
    """A JSON object of a message; what is asked of it is there, or BadMessage says where it is missing."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values, self._where = values, where

    def below(self, name: str) -> Fields:
        """The object `name`; an empty one where it is left out."""
        inner = self._values.get(name, {})
        if not isinstance(inner, dict):
            raise BadMessage(f"{self._where}.{name} must be an object")
        return Fields(inner, f"{self._where}.{name}")

    def text(self, name: str, default: str | None = None) -> str:
        """A string; `default` where it is left out, unless that is None."""
        value = self._values.get(name, default)
        if not isinstance(value, str):
            raise BadMessage(f"{self._where}.{name} must be a string")
        return value

    def number(self, name: str, default: int) -> int:
        """A whole number; Twilio writes most of them as strings."""
        value = self._values.get(name, default)
        try:
            return int(value) if isinstance(value, str) else int(str(value))
        except ValueError:
            raise BadMessage(f"{self._where}.{name} must be a whole number, got {str(value)[:20]!r}") from None

    def sound(self, name: str, max_s: float = MAX_MESSAGE_S) -> np.ndarray:
        """Base64 of mu-law -> float32 [n] at 8 kHz."""
        try:
            data = base64.b64decode(self.text(name).encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            raise BadMessage(f"{self._where}.{name} must be base64") from None
        if len(data) > max_s * PHONE_HZ:
            raise TooMuchSound(max_s)
        return decode_ulaw(data)


def read(message: Message) -> tuple[str, Fields]:
    """(event, the message). Raises BadMessage."""
    if isinstance(message, bytes):
        raise BadMessage("Media Streams are text messages; got a binary one")
    try:
        values = json_object(message)
    except ValueError as error:
        raise BadMessage(str(error)) from None
    if not isinstance(values.get("event"), str):
        raise BadMessage("a message must be a JSON object with an 'event', a string")
    return values["event"], Fields(values, "message")


def payload(pcm: np.ndarray) -> str:
    """float32 [n] at 8 kHz -> base64 of mu-law."""
    return base64.b64encode(encode_ulaw(pcm)).decode("ascii")


def write(event: str, stream: str, **body: Any) -> str:
    """A compact message of one stream."""
    return json.dumps({"event": event, "streamSid": stream, **body}, separators=(",", ":"))
