"""The user's sound as Gemini clients send it: base64 PCM16 of any rate in blobs of any size, to frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from duplex.frame import Frame, Framer
from duplex.protocols.gemini.fields import binary, words
from duplex.protocols.sound import MAX_MESSAGE_S, Decoder, pcm_at
from duplex.protocols.wire import BadMessage, TooMuchSound

_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_DEFAULT_HZ = 16_000


class Ear:
    """One stream of samples, cut anywhere."""

    def __init__(self, max_message_s: float = MAX_MESSAGE_S) -> None:
        self.deaf = False  # True: sound counts as silence
        self._framer, self._max_message_s = Framer(), max_message_s
        self._decoder = Decoder(pcm_at(_DEFAULT_HZ), max_message_s)

    def push(self, blobs: Iterable[Mapping[str, Any]]) -> list[Frame]:
        """One message's Blobs {mime_type, data} -> the frames that are now complete. Raises BadMessage."""
        sounds = [(_rate_hz(words(blob, "mime_type")), binary(blob)) for blob in blobs]
        if sum(len(data) / (2 * rate_hz) for rate_hz, data in sounds) > self._max_message_s:
            raise TooMuchSound(self._max_message_s)
        return [frame for rate_hz, data in sounds for frame in self._heard(rate_hz, data)]

    def _heard(self, rate_hz: int, data: bytes) -> list[Frame]:
        if rate_hz != self._decoder.form.rate_hz:
            self._decoder = Decoder(pcm_at(rate_hz), self._max_message_s)
        return self._framer.push(self._decoder.push(data, muted=self.deaf))

    def flush(self) -> list[Frame]:
        """What is pending, padded to a frame; [] when nothing is."""
        return self._framer.flush()

    def lull(self) -> Frame:
        """The next frame, as far as it came, the rest of it silent."""
        return self._framer.lull()


def _rate_hz(mime: str) -> int:
    kind, *rest = (part.strip().lower() for part in mime.split(";"))
    if kind not in ("audio/pcm", ""):
        raise BadMessage(f"audio must be audio/pcm, 16-bit little-endian mono, got {mime[:60]!r}")
    rates = [part.partition("=")[2].strip() for part in rest if part.startswith("rate=")]
    if not rates:
        return _DEFAULT_HZ
    if rates[0] not in map(str, _RATES_HZ):
        known = ", ".join(map(str, _RATES_HZ))
        raise BadMessage(f"the rate of audio/pcm must be one of {known}, got {rates[0][:20]!r}")
    return int(rates[0])
