"""Sound in the formats of GPT-Live to frames and back, and the gate that makes silence of it digital zeros."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE, Frame, Framer
from duplex.protocols.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from duplex.protocols.live.mistake import Mistake
from duplex.protocols.resample import Resampler
from duplex.session import Answered, Answering

_AUDIBLE = 10 ** (-60 / 20)  # of full scale; the peak of a frame that is more than silence
_FADE = np.linspace(0, 1, SAMPLE_RATE // 200, dtype=np.float32)  # 5 ms, so that an edge does not click


def decode_s16(data: bytes) -> np.ndarray:
    """2 n bytes, little-endian -> float32 [n]."""
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768


def encode_s16(pcm: np.ndarray) -> bytes:
    """float32 [n] -> 2 n bytes, clipped at full scale."""
    return np.clip(np.rint(pcm * 32768), -32768, 32767).astype("<i2").tobytes()


class Format(NamedTuple):
    """How samples are written; `rate_hz` is the client's, both ways."""

    kind: str
    rate_hz: int
    width: int  # bytes a sample
    decode: Callable[[bytes], np.ndarray]
    encode: Callable[[np.ndarray], bytes]


FORMATS = (
    Format("audio/pcm", 24_000, 2, decode_s16, encode_s16),
    Format("audio/pcm", 16_000, 2, decode_s16, encode_s16),
    Format("audio/pcmu", 8_000, 1, decode_ulaw, encode_ulaw),
    Format("audio/pcma", 8_000, 1, decode_alaw, encode_alaw),
)


def format_of(kind: str, rate_hz: int | None) -> Format:
    """The format of that name; no rate means its usual one. Raises Mistake."""
    for form in FORMATS:
        if form.kind == kind and rate_hz in (None, form.rate_hz):
            return form
    known = ", ".join(f"{form.kind} at {form.rate_hz}" for form in FORMATS)
    raise Mistake(f"audio.format must be one of {known} Hz", param="session.audio.format")


class Line:
    """One client's sound, both ways."""

    def __init__(self, form: Format) -> None:
        self.form = form
        self._rest = b""
        self._framer = Framer()
        self._heard = Resampler(form.rate_hz, SAMPLE_RATE)
        self._said = Resampler(SAMPLE_RATE, form.rate_hz)

    @property
    def heard_samples(self) -> int:
        """How much has come, at 24 kHz: where in the session the client is."""
        return self._framer.t * FRAME_SAMPLES + self._framer.pending_samples

    def push(self, data: bytes, muted: bool = False) -> list[Frame]:
        """Any number of bytes -> the frames that are now complete; the time of muted sound passes in silence."""
        data = self._rest + data
        whole = len(data) // self.form.width * self.form.width
        self._rest = data[whole:]
        pcm = self.form.decode(data[:whole])
        return self._framer.push(self._heard.push(np.zeros_like(pcm) if muted else pcm))

    def lull(self) -> Frame:
        """The next frame, as far as it came, the rest of it silent."""
        return self._framer.lull()

    def pack(self, pcm: np.ndarray) -> bytes:
        """float32 [1920] -> the bytes of 80 ms."""
        return self.form.encode(self._said.push(pcm))


class Gate:
    """Lets an agent's answers through and makes digital zeros of all else, so that clients can tell when it is quiet.

    Of an agent that does not tell when it answers, what is louder than silence passes.
    """

    def __init__(self, told: bool) -> None:
        self._told = told  # the agent reports its answers
        self.open = False

    def push(self, said: Frame) -> np.ndarray:
        """One tick -> float32 [1920]. Raises ValueError when the frame holds no pcm."""
        if said.pcm is None:
            raise ValueError(f"GPT-Live carries pcm, but frame {said.t} holds none")
        marks = [isinstance(event, Answering) for event in said.events if isinstance(event, (Answering, Answered))]
        was_open = self.open
        if marks:
            self._told, self.open = True, marks[-1]
        audible = was_open or any(marks) if self._told else np.abs(said.pcm).max() > _AUDIBLE
        if not audible:
            return np.zeros(FRAME_SAMPLES, np.float32)
        return _faded(said.pcm, begins=not was_open, ends=not self.open) if self._told else said.pcm


def _faded(pcm: np.ndarray, begins: bool, ends: bool) -> np.ndarray:
    pcm = pcm.copy()
    if begins:
        pcm[: len(_FADE)] *= _FADE
    if ends:
        pcm[-len(_FADE) :] *= _FADE[::-1]
    return pcm
