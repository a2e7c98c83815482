"""The sounds of English as classes, and which of them is heard when: what the codec's first codebook is taught.

Class 0 is silence. Letters are the synthesiser's (IPA, with A I O W Y for diphthongs); what a listener would not tell
apart is one class.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from duplex.frame import FRAME_SAMPLES

_SAME = {"ɐ": "ə", "ᵊ": "ə", "ᵻ": "ɪ", "T": "d", "ɚ": "ɜ", "ɾ": "d"}  # "butter" is spoken with a d
_LETTERS = "tnəɹʌɪlzdswmikðɛæupAIvfhbɔWOjɑɡʧŋɜθʊʤʃYʒ"
CLASSES = 1 + len(_LETTERS)
SLOTS = 4  # labels of 20 ms in a frame
_SLOT_SAMPLES = FRAME_SAMPLES // SLOTS
LATE_SLOTS = 2  # a sound is named 40 ms after it was made, when more of it has been heard


def class_of(letter: str) -> int | None:
    """None for a letter that is no sound: stress, length, punctuation."""
    found = _LETTERS.find(_SAME.get(letter, letter))
    return None if found < 0 else found + 1


def labels(spoken: Iterable[tuple[int, int, int]], frames: int) -> np.ndarray:
    """(class, begin, end) in samples -> uint8 [frames, SLOTS]: what sounds amid each slot, LATE_SLOTS later."""
    out = np.zeros(frames * SLOTS, np.uint8)
    for kind, begin, end in spoken:
        first, last = ((at + _SLOT_SAMPLES // 2) // _SLOT_SAMPLES + LATE_SLOTS for at in (begin, end))
        out[max(first, 0) : max(last, 0)] = kind
    return out.reshape(frames, SLOTS)
