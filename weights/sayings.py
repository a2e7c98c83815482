"""Sentences and words to train on beyond the intents': `sayings.txt`, in sections. None of them is in the test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random

_SALAD_WORDS = (2, 6)
_SALAD_SHARE = 0.6


@cache
def sections() -> Mapping[str, tuple[str, ...]]:
    """Name -> lines."""
    found: dict[str, list[str]] = {}
    for line in Path(__file__).with_name("sayings.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            found[line[2:]] = []
        elif line:
            found[list(found)[-1]].append(line)
    return {name: tuple(lines) for name, lines in found.items()}


def section(name: str) -> tuple[str, ...]:
    """The lines of one section. Raises KeyError, naming those that there are."""
    if name not in sections():
        raise KeyError(f"sayings.txt has no section {name!r}; it has {', '.join(sections())}")
    return sections()[name]


def anything(rng: Random, known: Sequence[str]) -> str:
    """What somebody may be told to repeat: a sentence, or words in no order, which nobody can guess, half of them of
    `known`."""
    if rng.random() >= _SALAD_SHARE:
        return rng.choice(section("sayings")).rstrip(".?!")
    count = rng.randint(*_SALAD_WORDS)
    return " ".join(rng.choice(known if rng.random() < 0.5 else section("words")) for _ in range(count))


def bare(word: str) -> str:
    """Without its case and signs: "Mom," and "mom" are one."""
    return word.strip(".,;:!?").lower()
