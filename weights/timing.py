"""When the written words and the sounds are, for engines that read letters of sound and tell how long each lasts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from duplex.frame import SAMPLE_RATE
from duplex.turns import ENERGY_HOP_SAMPLES, levels_db
from weights.phones import class_of
from weights.speech import AUDIBLE_DBFS, Phone, Word

_PAUSES = ",.;:!?"
_NO_SOUND, _STRESS = f"{_PAUSES} ", "ˈˌ"
_FLUENT_SAMPLES = SAMPLE_RATE // 12  # the longest blank in which nobody falls silent


class Sentence(NamedTuple):
    """Spoken: letter i of `letters` sounds in [ends[i], ends[i + 1]), in samples of `pcm`."""

    text: str
    letters: Sequence[str]
    ends: np.ndarray
    pcm: np.ndarray


def joined(sentences: Iterable[Sentence]) -> tuple[np.ndarray, list[Word], list[Phone]]:
    """One after the other: (pcm, words, phones). Raises ValueError for none at all."""
    pcm: list[np.ndarray] = []
    all_words: list[Word] = []
    all_phones: list[Phone] = []
    at = 0
    for s in sentences:
        ends = _audible_ends(s)
        all_words += [Word(w, at + b, at + e) for w, b, e in words(s.text.split(), s.letters, ends)]
        all_phones += [Phone(k, at + b, at + e) for k, b, e in phones(s.letters, ends)]
        pcm.append(s.pcm)
        at += len(s.pcm)
    if not pcm:
        raise ValueError("there is nothing to say")
    return np.concatenate(pcm), all_words, all_phones


def _audible_ends(s: Sentence) -> np.ndarray:
    """A model lets the last sound before a pause last into it: it ends when it is no longer heard."""
    ends = s.ends.copy()
    levels = levels_db(s.pcm)
    for i, letter in enumerate(s.letters):
        paused = i + 1 == len(s.letters) or s.letters[i + 1] in _PAUSES
        first, last = (int(ends[k]) // ENERGY_HOP_SAMPLES for k in (i, i + 1))
        if paused and class_of(letter) is not None and last > first:
            audible = np.flatnonzero(levels[first:last] > AUDIBLE_DBFS)
            ends[i + 1] = (first + (audible[-1] if len(audible) else 0) + 1) * ENERGY_HOP_SAMPLES
    return np.maximum.accumulate(np.minimum(ends, s.ends))


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
