"""The user's words as classes, and which of them ended when: what codec and LM learn to read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from duplex.frame import FRAME_SAMPLES
from weights.sayings import bare, sections
from weights.scenes import ASIDES, BACKCHANNELS, CORRECTIONS, INTERRUPTIONS, OPENINGS, TALES
from weights.text import sentences

OTHER_WORD = 1  # in the list of the user's words: one that is not in the list; 0 is none


def vocabulary() -> list[str]:
    """Of the user, in both splits."""
    fixed = [*BACKCHANNELS, *INTERRUPTIONS, *OPENINGS, *CORRECTIONS, *ASIDES, *TALES]
    more = [text for texts in sections().values() for text in texts]
    return user_words([*sentences(), *fixed, *more])


def user_words(texts: Sequence[str]) -> list[str]:
    """The list of the user's words: "" for none, "?" for one that is not in it, then all others in order."""
    return ["", "?", *sorted({bare(word) for text in texts for word in text.split()})]


def word_ends(said: Iterable[tuple[int, str]], ticks: int, ids: Mapping[str, int]) -> np.ndarray:
    """(sample in which a word ends, word) -> int16 [ticks]: the word that ended in the frame before; the later one
    waits where two did."""
    ends, free = np.zeros(ticks, np.int16), 0
    for end, text in sorted(said):
        at = max(free, (end - 1) // FRAME_SAMPLES + 1)
        if at < ticks:
            ends[at] = ids.get(bare(text), OTHER_WORD)
        free = at + 1
    return ends
