"""What the agent said, as words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from duplex.frame import SAMPLE_RATE
from duplex.turns import speech_spans

Transcriber = Callable[[np.ndarray], str]  # float32 [n] at 24 kHz -> what is said in it


def holds_word(said: str, words: Sequence[str]) -> bool:
    """Whether one of the words is said, as a whole word in any case."""
    return any(re.search(rf"\b{re.escape(word)}\b", said, re.IGNORECASE) for word in words)


def remembered(transcribe: Transcriber) -> Transcriber:
    """The same, but asked for the same sound again it says what it said: a transcriber is slow and not always of one
    mind."""
    known: dict[bytes, str] = {}

    def once(pcm: np.ndarray) -> str:
        key = pcm.tobytes()
        if key not in known:
            known[key] = transcribe(pcm)
        return known[key]

    return once


def transcript_of(agent: np.ndarray, transcribe: Transcriber) -> str:
    """What the agent's channel says; "" without speech, so that a transcriber never gets silence to dream about."""
    spans = speech_spans(agent)
    if not spans:
        return ""
    margin = SAMPLE_RATE // 5
    return transcribe(agent[max(0, spans[0].begin - margin) : spans[-1].end + margin])
