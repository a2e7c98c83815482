"""What can be asked of nano and what it answers: a table of texts, no sound and no time.

Most of it is `intents.txt`; sums, counting and the calendar are computed here. A reply is a fixed sentence for a given
slot, so that the agent's voice says it in one way only. The last wording of every intent belongs to the test set.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Literal

Split = Literal["train", "test"]
LONG_SENTENCES = 4  # a reply of so many sentences is worth interrupting

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


@dataclass(frozen=True, slots=True)
class Intent:
    """Something a user may want, in several wordings. `slots` holds (asked, answer); ("", "") where there are none."""

    name: str
    wordings: tuple[str, ...]  # {x} is what is asked
    reply: str  # {x} and {y}, the answer
    slots: tuple[tuple[str, str], ...] = (("", ""),)

    def wordings_of(self, split: Split) -> tuple[str, ...]:
        """The last wording is held out."""
        return self.wordings[:-1] if split == "train" else self.wordings[-1:]

    def asked(self, wording: str, slot: tuple[str, str]) -> str:
        return _sentence(wording.format(x=slot[0]))

    def answered(self, slot: tuple[str, str]) -> str:
        return _sentence(self.reply.format(x=slot[0], y=slot[1]))

    @property
    def is_long(self) -> bool:
        return len(sentences(self.reply)) >= LONG_SENTENCES


def number(n: int) -> str:
    """0 to 99 in words, two words above twenty: the synthesiser then knows where each begins."""
    if n < 20:
        return _SMALL[n]
    return _TENS[n // 10 - 2] + (f" {_SMALL[n % 10]}" if n % 10 else "")


def sentences(text: str) -> list[str]:
    """Cut after . ! ? unless a single letter stands before it (C. A. T.)."""
    out: list[str] = []
    for word in text.split():
        if out and not _ends(out[-1]):
            out[-1] += f" {word}"
        else:
            out.append(word)
    return out


def held_out_sentence(text: str) -> bool:
    """One in twenty of the agent's sentences is never trained on by the codec, to be judged by."""
    return zlib.crc32(text.encode()) % 20 == 0


@cache
def intents() -> dict[str, Intent]:
    """All of them by name, in a fixed order."""
    lines = Path(__file__).with_name("intents.txt").read_text(encoding="utf-8").splitlines()
    written = [_parsed(line) for line in lines if line and not line.startswith("#")]
    return {intent.name: intent for intent in [*written, *_sums(), *_counts(), *_calendar()]}


def _ends(text: str) -> bool:
    last = text.split()[-1]
    return last[-1] in ".!?" and len(last) > 2


def _sentence(text: str) -> str:
    return (text[0].upper() + text[1:]).replace("..", ".")


def _parsed(line: str) -> Intent:
    name, wordings, reply, *slots = (part.strip() for part in line.split(" | "))
    intent = Intent(name, tuple(wordings.split(" / ")), reply)
    if not slots:
        return intent
    pairs = [pair.strip().split(":") for pair in slots[0].split(";" if ";" in slots[0] else ",")]
    return Intent(name, intent.wordings, reply, tuple((x, y) for x, y in pairs))


def _sums() -> list[Intent]:
    asks = ("What is {x}?", "How much is {x}?", "Tell me what {x} is.", "Please work out {x}.")
    digits = range(1, 10)
    plus = tuple((f"{number(a)} plus {number(b)}", number(a + b)) for a, b in product(digits, digits))
    minus = tuple((f"{number(a)} minus {number(b)}", number(a - b)) for a, b in product(digits, digits) if a >= b)
    times = tuple((f"{number(a)} times {number(b)}", number(a * b)) for a, b in product(range(2, 10), range(2, 10)))
    double = tuple((number(n), number(2 * n)) for n in range(2, 21))
    half = tuple((y, x) for x, y in double)
    return [
        *(Intent(name, asks, "{x} is {y}.", slots) for name, slots in (("plus", plus), ("minus", minus))),
        Intent("times", asks, "{x} is {y}.", times),
        Intent("double", ("What is double {x}?", "Double {x}.", "What is twice {x}?"), "Double {x} is {y}.", double),
        Intent(
            "half", ("What is half of {x}?", "Tell me half of {x}.", "Cut {x} in half."), "Half of {x} is {y}.", half
        ),
    ]


def _counts() -> list[Intent]:
    up = tuple((number(n), ", ".join(map(number, range(1, n + 1)))) for n in range(3, 13))
    down = tuple((number(n), ", ".join(map(number, range(n, 0, -1)))) for n in range(3, 11))
    after = tuple((number(n), number(n + 1)) for n in range(1, 40))
    before = tuple((number(n + 1), number(n)) for n in range(1, 40))
    return [
        Intent("count", ("Count to {x}.", "Can you count to {x}?", "Count up to {x}."), "{y}.", up),
        Intent(
            "count_down", ("Count down from {x}.", "Count backwards from {x}.", "Go from {x} to one."), "{y}.", down
        ),
        Intent(
            "number_after",
            ("Which number comes after {x}?", "What comes after {x}?", "Tell me the number behind {x}."),
            "After {x} comes {y}.",
            after,
        ),
        Intent(
            "number_before",
            ("Which number comes before {x}?", "What comes before {x}?", "Tell me the number ahead of {x}."),
            "Before {x} comes {y}.",
            before,
        ),
    ]


def _calendar() -> list[Intent]:
    out = []
    for kind, names in (("day", DAYS), ("month", MONTHS)):
        follows = tuple(zip(names, names[1:] + names[:1], strict=True))
        after = (f"Which {kind} comes after {{x}}?", f"What {kind} follows {{x}}?", f"Name the {kind} behind {{x}}.")
        before = (
            f"Which {kind} comes before {{x}}?",
            f"What {kind} is before {{x}}?",
            f"Name the {kind} ahead of {{x}}.",
        )
        out.append(Intent(f"{kind}_after", after, "After {x} comes {y}.", follows))
        out.append(Intent(f"{kind}_before", before, "Before {x} comes {y}.", tuple((y, x) for x, y in follows)))
    return out
