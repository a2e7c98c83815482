"""/api/pcm: raw samples for clients that want no codec. 24 kHz mono, little-endian int16 or float32.

Binary messages are samples, cut anywhere by the client and one tick each from the server; text messages are JSON, the
same as on /api/tokens (docs/TOKENS.md). The text and events of a tick come before its samples.
"""

from __future__ import annotations

import numpy as np

from duplex.frame import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE, Frame, Framer
from duplex.notes import Note
from duplex.protocols.sound import MAX_MESSAGE_S, decode_s16, encode_s16
from duplex.protocols.wire import (
    Aside,
    BadMessage,
    Item,
    Message,
    Ready,
    Refused,
    TooMuchSound,
    as_json,
    asides,
    note_from,
    told,
)
from duplex.session import Capabilities

VERSION = 1
FORMATS = {"s16": np.dtype("<i2"), "f32": np.dtype("<f4")}


class Samples:
    """One byte stream of samples, in any chunking, to frames; and frames to bytes."""

    def __init__(self, form: str, max_message_s: float = MAX_MESSAGE_S) -> None:
        """`form` is one of FORMATS. Raises BadMessage."""
        if form not in FORMATS:
            raise BadMessage(f"format must be {' or '.join(FORMATS)}, got {form!r}")
        self._kind, self._max_message_s = FORMATS[form], max_message_s
        self._rest = b""
        self._framer = Framer()

    def push(self, data: bytes) -> list[Frame]:
        """One message's bytes -> the frames that are now complete. Raises BadMessage: too much, NaN or infinity."""
        if len(data) > self._max_message_s * SAMPLE_RATE * self._kind.itemsize:
            raise TooMuchSound(self._max_message_s)
        data = self._rest + data
        whole = len(data) // self._kind.itemsize * self._kind.itemsize
        self._rest = data[whole:]
        if self._kind.kind == "i":
            return self._framer.push(decode_s16(data[:whole]))
        pcm = np.frombuffer(data[:whole], self._kind)
        if not np.isfinite(pcm).all():
            raise BadMessage("samples must be finite numbers; got NaN or infinity")
        return self._framer.push(pcm)

    def pack(self, frame: Frame) -> bytes:
        """One frame's samples; int16 is clipped at full scale. Raises ValueError when the frame holds no pcm."""
        if frame.pcm is None:
            raise ValueError(f"/api/pcm carries pcm, but frame {frame.t} holds none")
        if self._kind.kind == "f":
            return frame.pcm.astype(self._kind).tobytes()
        return encode_s16(frame.pcm)


class PcmWire:
    """The serving side."""

    def __init__(self, form: str = "s16", max_message_s: float = MAX_MESSAGE_S) -> None:
        """Raises BadMessage for an unknown format."""
        self._form, self._samples = form, Samples(form, max_message_s)

    def hello(self, can: Capabilities) -> list[Message]:
        facts = {"sample_rate": SAMPLE_RATE, "frame_samples": FRAME_SAMPLES, "frame_ms": FRAME_MS, "format": self._form}
        return [as_json("ready", wire="pcm", version=VERSION, agent=can.name, model=can.model, **facts)]

    def receive(self, message: Message) -> list[Item]:
        return [note_from(message)] if isinstance(message, str) else list(self._samples.push(message))

    def send(self, said: Frame) -> list[Message]:
        return [*asides(said), self._samples.pack(said)]

    @staticmethod
    def declined(note: Note, reason: str) -> list[Message]:
        return PcmWire.refuse(reason)

    @staticmethod
    def refuse(reason: str) -> list[Message]:
        return [as_json("error", reason=reason)]


class PcmCaller:
    """The calling side."""

    def __init__(self, form: str = "s16") -> None:
        """Raises BadMessage for an unknown format."""
        self._samples = Samples(form)

    def hello(self) -> list[Message]:
        return []

    def say(self, heard: Frame) -> list[Message]:
        return [self._samples.pack(heard)]

    def receive(self, message: Message) -> list[Ready | Frame | Aside | Refused]:
        return list(told(message)) if isinstance(message, str) else list(self._samples.push(message))
