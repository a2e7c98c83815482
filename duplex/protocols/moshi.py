"""Kyutai's /api/chat, byte for byte as their Python server speaks it: Ogg/Opus both ways, text out.

Every message is binary and begins with its kind. Differences that a client of theirs can see: kind 5 (error) is really
sent, before the socket is closed. Kinds that we do not act on are dropped, as the protocol text asks.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from duplex.frame import Frame, Framer
from duplex.notes import Note
from duplex.protocols.sound import MAX_MESSAGE_S
from duplex.protocols.wire import Aside, BadMessage, Item, Message, Ready, Refused
from duplex.session import Capabilities

HANDSHAKE, AUDIO, TEXT, ERROR = 0, 1, 2, 5  # 3 control, 4 metadata, 6 ping: accepted and ignored


class Codec(Protocol):
    """Ogg/Opus at 24 kHz mono; see duplex.protocols.opus."""

    def encode(self, pcm: np.ndarray) -> bytes: ...

    def decode(self, ogg: bytes, limit_s: float) -> np.ndarray: ...


class MoshiWire:
    """The serving side."""

    def __init__(self, codec: Codec, max_message_s: float = MAX_MESSAGE_S) -> None:
        self._codec, self._max_message_s = codec, max_message_s
        self._framer = Framer()

    def hello(self, can: Capabilities) -> list[Message]:
        return [bytes([HANDSHAKE])]

    def receive(self, message: Message) -> list[Item]:
        kind, payload = _split(message)
        return list(self._framer.push(_decode(self._codec, payload, self._max_message_s))) if kind == AUDIO else []

    def send(self, said: Frame) -> list[Message]:
        return _audio(self._codec, said) + ([bytes([TEXT]) + said.text.encode()] if said.text else [])

    @staticmethod
    def declined(note: Note, reason: str) -> list[Message]:
        return MoshiWire.refuse(reason)

    @staticmethod
    def refuse(reason: str) -> list[Message]:
        return [bytes([ERROR]) + reason.encode()]


class MoshiCaller:
    """The calling side. Opus is a stream without ticks: the agent's frame t is its samples [t*1920, (t+1)*1920)."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._framer = Framer()

    def hello(self) -> list[Message]:
        return []

    def say(self, heard: Frame) -> list[Message]:
        return _audio(self._codec, heard)

    def receive(self, message: Message) -> list[Ready | Frame | Aside | Refused]:
        kind, payload = _split(message)
        if kind == HANDSHAKE:
            return [Ready()]
        if kind == AUDIO:
            return list(self._framer.push(_decode(self._codec, payload, MAX_MESSAGE_S)))
        if kind == TEXT:
            return [Aside(max(0, self._framer.t - 1), _utf8(payload))]
        return [Refused(_utf8(payload))] if kind == ERROR else []


def _split(message: Message) -> tuple[int | None, bytes]:
    if isinstance(message, str):
        raise BadMessage("this wire carries binary messages that begin with their kind; got a text message")
    return (message[0], message[1:]) if message else (None, b"")


def _audio(codec: Codec, frame: Frame) -> list[Message]:
    if frame.pcm is None:
        raise ValueError(f"/api/chat carries pcm, but frame {frame.t} holds none")
    ogg = codec.encode(frame.pcm)
    return [bytes([AUDIO]) + ogg] if ogg else []


def _decode(codec: Codec, ogg: bytes, limit_s: float) -> np.ndarray:
    try:
        return codec.decode(ogg, limit_s)
    except ValueError as error:
        raise BadMessage(f"kind 1 must be Ogg/Opus, 24 kHz mono: {error}") from None


def _utf8(payload: bytes) -> str:
    return payload.decode(errors="replace")
