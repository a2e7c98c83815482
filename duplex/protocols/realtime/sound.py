"""Sound as Realtime carries it: PCM of 16 bits at 24 kHz, or G.711 at 8 kHz, both ways."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE, Frame, Framer
from duplex.protocols.realtime.messages import Wrong
from duplex.protocols.sound import MAX_MESSAGE_S, PCM, PCMA, PCMU, Decoder, Form
from duplex.protocols.wire import TooMuchSound

FORMS: Mapping[str, Form] = {form.kind: form for form in (PCM, PCMU, PCMA)}


def unpacked(audio: str) -> bytes:
    """The bytes of base64. Raises Wrong."""
    try:
        return base64.b64decode(audio, validate=True)
    except (binascii.Error, ValueError):
        raise Wrong("audio must be base64 of samples in the session's format", param="audio") from None


def packed(audio: bytes) -> str:
    """The base64 of bytes."""
    return base64.b64encode(audio).decode()


class Microphone:
    """The client's sound as frames. Knows which of it the client sent, and which is silence that we filled in."""

    def __init__(self, max_message_s: float = MAX_MESSAGE_S) -> None:
        self._framer, self._max_message_s = Framer(), max_message_s
        self.use("audio/pcm")
        self._gaps: list[tuple[int, int]] = []  # [begin, end) of what we filled in, in samples of the session
        self.fresh_samples = 0  # that the client has sent since the last `take`

    @property
    def t(self) -> int:
        """The tick of the next frame."""
        return self._framer.t

    def use(self, form: str) -> None:
        """The format of what comes from here on."""
        self._decoder = Decoder(FORMS[form], self._max_message_s)

    def push(self, data: bytes) -> list[Frame]:
        """One message's bytes -> the frames that are now complete. Raises Wrong."""
        try:
            pcm = self._decoder.push(data)
        except TooMuchSound as error:
            raise Wrong(str(error), param="audio") from None
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
