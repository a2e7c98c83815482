"""Sound in the formats of GPT-Live to frames and back, and the gate that makes silence of it digital zeros."""

from __future__ import annotations

import numpy as np

from duplex.events import Answered, Answering
from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE, Frame, Framer
from duplex.protocols.live.mistake import Mistake
from duplex.protocols.sound import MAX_MESSAGE_S, PCM, PCMA, PCMU, Decoder, Encoder, Form, audible, pcm_at
from duplex.protocols.wire import TooMuchSound

_FADE = np.linspace(0, 1, SAMPLE_RATE // 200, dtype=np.float32)  # 5 ms, so that an edge does not click


FORMATS = (PCM, pcm_at(16_000), PCMU, PCMA)


def format_of(kind: str, rate_hz: int | None) -> Form:
    """The format of that name; no rate means its usual one. Raises Mistake."""
    for form in FORMATS:
        if form.kind == kind and rate_hz in (None, form.rate_hz):
            return form
    known = ", ".join(f"{form.kind} at {form.rate_hz}" for form in FORMATS)
    raise Mistake(f"audio.format must be one of {known} Hz", param="session.audio.format")


class Line:
    """One client's sound, both ways."""

    def __init__(self, form: Form, max_message_s: float = MAX_MESSAGE_S) -> None:
        self._framer = Framer()
        self._heard, self._said = Decoder(form, max_message_s), Encoder(form)

    @property
    def heard_samples(self) -> int:
        """How much has come, at 24 kHz: where in the session the client is."""
        return self._framer.t * FRAME_SAMPLES + self._framer.pending_samples

    def push(self, data: bytes, muted: bool = False) -> list[Frame]:
        """One message's bytes -> the frames that are now complete; muted sound is silence. Raises Mistake."""
        try:
            return self._framer.push(self._heard.push(data, muted))
        except TooMuchSound as error:
            raise Mistake(str(error), param="audio") from None

    def lull(self) -> Frame:
        """The next frame, as far as it came, the rest of it silent."""
        return self._framer.lull()

    def pack(self, pcm: np.ndarray) -> bytes:
        """float32 [1920] -> the bytes of 80 ms."""
        return self._said.push(pcm)


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
        passes = was_open or any(marks) if self._told else audible(said.pcm)
        if not passes:
            return np.zeros(FRAME_SAMPLES, np.float32)
        return _faded(said.pcm, begins=not was_open, ends=not self.open) if self._told else said.pcm


def _faded(pcm: np.ndarray, begins: bool, ends: bool) -> np.ndarray:
    pcm = pcm.copy()
    if begins:
        pcm[: len(_FADE)] *= _FADE
    if ends:
        pcm[-len(_FADE) :] *= _FADE[::-1]
    return pcm
