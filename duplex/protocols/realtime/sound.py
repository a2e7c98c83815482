"""Sound as Realtime carries it: PCM of 16 bits at 24 kHz, or G.711 at 8 kHz, both ways."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE, Frame, Framer
from duplex.protocols.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from duplex.protocols.realtime.messages import Wrong
from duplex.protocols.resample import Resampler


def _decode_pcm(data: bytes) -> np.ndarray:
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768


def _encode_pcm(pcm: np.ndarray) -> bytes:
    return np.clip(np.rint(pcm * 32768), -32768, 32767).astype("<i2").tobytes()


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write samples down."""

    hz: int
    sample_bytes: int
    decode: Callable[[bytes], np.ndarray]
    encode: Callable[[np.ndarray], bytes]


FORMS: Mapping[str, Form] = {
    "audio/pcm": Form(SAMPLE_RATE, 2, _decode_pcm, _encode_pcm),
    "audio/pcmu": Form(8_000, 1, decode_ulaw, encode_ulaw),
    "audio/pcma": Form(8_000, 1, decode_alaw, encode_alaw),
}


def unpacked(audio: str) -> bytes:
    """The bytes of base64. Raises Wrong."""
    try:
        return base64.b64decode(audio, validate=True)
    except (binascii.Error, ValueError):
        raise Wrong("audio must be base64 of samples in the session's format", param="audio") from None


class Decoder:
    """A stream of bytes in one format, cut anywhere, to samples at 24 kHz."""

    def __init__(self, form: str) -> None:
        self._form = FORMS[form]
        self._resampler = Resampler(self._form.hz, SAMPLE_RATE)
        self._rest = b""

    def push(self, data: bytes) -> np.ndarray:
        """Any number of bytes -> float32 [n]."""
        data = self._rest + data
        whole = len(data) // self._form.sample_bytes * self._form.sample_bytes
        self._rest = data[whole:]
        return self._resampler.push(self._form.decode(data[:whole]))


class Encoder:
    """The other way round, in base64."""

    def __init__(self, form: str) -> None:
        self._form = FORMS[form]
        self._resampler = Resampler(SAMPLE_RATE, self._form.hz)

    def push(self, pcm: np.ndarray) -> str:
        """float32 [n] at 24 kHz -> base64 of the samples that are now certain."""
        return base64.b64encode(self._form.encode(self._resampler.push(pcm))).decode()


class Microphone:
    """The client's sound as frames. Knows which of it the client sent, and which is silence that we filled in."""

    def __init__(self) -> None:
        self._framer = Framer()
        self.use("audio/pcm")
        self._gaps: list[tuple[int, int]] = []  # [begin, end) of what we filled in, in samples of the session
        self.fresh_samples = 0  # that the client has sent since the last `take`

    @property
    def t(self) -> int:
        """The tick of the next frame."""
        return self._framer.t

    def use(self, form: str) -> None:
        """The format of what comes from here on."""
        self._decoder = Decoder(form)

    def push(self, data: bytes) -> list[Frame]:
        """Any number of bytes -> the frames that are now complete."""
        pcm = self._decoder.push(data)
        self.fresh_samples += len(pcm)
        return self._framer.push(pcm)

    def take(self) -> int:
        """How many samples the client has sent since the last time."""
        fresh, self.fresh_samples = self.fresh_samples, 0
        return fresh

    def lull(self) -> Frame:
        """The next frame, though the client has not sent all of it."""
        begin = self._framer.t * FRAME_SAMPLES + self._framer.pending_samples
        frame = self._framer.lull()
        self._fill(begin, (frame.t + 1) * FRAME_SAMPLES)
        return frame

    def flush(self) -> list[Frame]:
        """What does not fill a frame yet, with silence behind it: one frame, or none."""
        return [self.lull()] if self._framer.pending_samples else []

    def drop(self) -> None:
        """What does not fill a frame yet is forgotten."""
        self._framer = Framer(self._framer.t)
        self.fresh_samples = 0

    def written_ms(self, sample: int) -> int:
        """A place on the session's clock -> the same in the client's own sound, which has no silence of ours."""
        filled = sum(min(end, sample) - begin for begin, end in self._gaps if begin < sample)
        return max(0, (sample - filled) * 1000 // SAMPLE_RATE)

    def _fill(self, begin: int, end: int) -> None:
        if self._gaps and self._gaps[-1][1] == begin:
            begin = self._gaps.pop()[0]
        self._gaps.append((begin, end))
        if len(self._gaps) > _GAPS:
            (a, b), (c, d), *later = self._gaps
            self._gaps = [(a + c - b, d), *later]  # nobody asks about that place any more


_GAPS = 256
