"""Sound as other people's protocols write it: PCM of 16 bits or G.711, in bytes that are cut anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from duplex.frame import SAMPLE_RATE
from duplex.protocols.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from duplex.protocols.resample import Resampler
from duplex.protocols.wire import TooMuchSound

MAX_MESSAGE_S = 60.0  # of sound in one message, unless a server says otherwise


_AUDIBLE = 10 ** (-60 / 20)  # full scale 1.0


def audible(pcm: np.ndarray) -> bool:
    """Whether float32 [n], n > 0, is more than silence: its peak is above -60 dBFS."""
    return bool(np.abs(pcm).max() > _AUDIBLE)


def decode_s16(data: bytes) -> np.ndarray:
    """2 n bytes, little-endian -> float32 [n]."""
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768


def encode_s16(pcm: np.ndarray) -> bytes:
    """float32 [n] -> 2 n bytes, clipped at full scale."""
    return np.clip(np.rint(pcm * 32768), -32768, 32767).astype("<i2").tobytes()


class Form(NamedTuple):
    """One way to write samples down; `kind` is its name in OpenAI's protocols."""

    kind: str
    rate_hz: int
    width: int  # bytes a sample
    decode: Callable[[bytes], np.ndarray]
    encode: Callable[[np.ndarray], bytes]


def pcm_at(rate_hz: int) -> Form:
    """16 bits at that rate."""
    return Form("audio/pcm", rate_hz, 2, decode_s16, encode_s16)


PCM = pcm_at(SAMPLE_RATE)
PCMU = Form("audio/pcmu", 8_000, 1, decode_ulaw, encode_ulaw)
PCMA = Form("audio/pcma", 8_000, 1, decode_alaw, encode_alaw)


class Decoder:
    """A stream of bytes in one form, cut anywhere, to samples at 24 kHz."""

    def __init__(self, form: Form, max_message_s: float = MAX_MESSAGE_S) -> None:
        self.form, self._max_message_s = form, max_message_s
        self._resampler = Resampler(form.rate_hz, SAMPLE_RATE)
        self._rest = b""

    def push(self, data: bytes, muted: bool = False) -> np.ndarray:
        """One message's bytes -> float32 [n]; the time of muted sound passes in silence. Raises TooMuchSound."""
        if len(data) > self._max_message_s * self.form.rate_hz * self.form.width:
            raise TooMuchSound(self._max_message_s)
        data = self._rest + data
        whole = len(data) // self.form.width * self.form.width
        self._rest = data[whole:]
        pcm = self.form.decode(data[:whole])
        return self._resampler.push(np.zeros_like(pcm) if muted else pcm)


class Encoder:
    """The other way round: bytes of the samples that are certain."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self._resampler = Resampler(SAMPLE_RATE, form.rate_hz)

    def push(self, pcm: np.ndarray) -> bytes:
        """float32 [n] at 24 kHz -> bytes."""
        return self.form.encode(self._resampler.push(pcm))
