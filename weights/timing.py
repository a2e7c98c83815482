"""When the written words and the sounds are, for engines that read letters of sound and tell how long each lasts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from duplex.frame import SAMPLE_RATE
from weights.phones import class_of
from weights.speech import Phone, Word

_NO_SOUND, _STRESS = ",.;:!? ", "ˈˌ"
_FLUENT_SAMPLES = SAMPLE_RATE // 12  # the longest blank in which nobody falls silent


def words(written: Sequence[str], letters: Sequence[str], ends: np.ndarray) -> list[Word]:
    """`letters` with blanks between the spoken words; [ends[i], ends[i + 1]) is letter i's, in samples.

    Where more or fewer words are spoken than written they are dealt out evenly.
    """
    spaces = [-1, *(i for i, c in enumerate(letters) if c == " "), len(letters)]
    spoken = [(a + 1, b) for a, b in pairwise(spaces)]  # letters [a, b)
    out = []
    for i, word in enumerate(written):
        first = spoken[i * len(spoken) // len(written)]
        last = spoken[max(i * len(spoken) // len(written), (i + 1) * len(spoken) // len(written) - 1)]
        own = [k for k in range(first[0], last[1]) if letters[k] not in _NO_SOUND]
        begin, end = (own[0], own[-1]) if own else (first[0], first[0])
        out.append(Word(word, int(ends[begin]), int(ends[end + 1])))
    return out


def phones(letters: Sequence[str], ends: np.ndarray) -> list[Phone]:
    """A mark of stress belongs to the sound after it, one of length to the sound before it.

    A comma is silence, a blank only when it is long: in fluent speech the sounds beside it share its time.
    """
    out: list[Phone] = []
    begin = None  # of what the next sound is owed
    for i, letter in enumerate(letters):
        here, end = int(ends[i]), int(ends[i + 1])
        kind = class_of(letter)
        if kind is not None:
            out.append(Phone(kind, here if begin is None else begin, end))
            begin = None
        elif letter in _STRESS:
            begin = here if begin is None else begin
        elif letter == " " and out and out[-1].end == here and end - here <= _FLUENT_SAMPLES:
            begin = (here + end) // 2
            out[-1] = out[-1]._replace(end=begin)
        elif letter == "ː" and out:
            out[-1] = out[-1]._replace(end=end)
        else:
            begin = None
    return [p for p in out if p.begin < p.end]
