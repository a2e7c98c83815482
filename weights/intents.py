"""What can be asked of nano and what it answers: a table of texts, no sound and no time.

Most of it is `intents.txt`; sums, counting and the calendar are computed here, and `wordings.txt` has more ways to ask.
A reply is a fixed sentence for a given slot, so that the agent's voice says it in one way only. The last wording of
every intent, before those of `wordings.txt`, belongs to the test set.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
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
    more: tuple[str, ...] = ()  # wordings to learn from only

    def wordings_of(self, split: Split) -> tuple[str, ...]:
        """The last of `wordings` is held out."""
        return (*self.wordings[:-1], *self.more) if split == "train" else self.wordings[-1:]

    def asked(self, wording: str, slot: tuple[str, str]) -> str:
        return _sentence(wording.format(x=slot[0]))

    def answered(self, slot: tuple[str, str]) -> str:
        return _sentence(self.reply.format(x=slot[0], y=slot[1]))

    @property
    def is_long(self) -> bool:
        return len(sentences(self.reply)) >= LONG_SENTENCES


UNKNOWN = Intent("unknown", (), "I am sorry, I did not understand that.")  # whatever else is said to the agent


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
    written = [_parsed(line) for line in _lines("intents.txt")]
    more = {name: tuple(asks.split(" / ")) for name, asks in (line.split(" | ") for line in _lines("wordings.txt"))}
    every = [*written, *_sums(), *_counts(), *_calendar()]
    return {intent.name: replace(intent, more=more.get(intent.name, ())) for intent in every}


@cache
def slot_words() -> tuple[str, ...]:
    """The words that tell one slot from another: names, numbers, colours. In a fixed order."""
    said = (part.split() for intent in intents().values() for slot in intent.slots for part in slot)
    return tuple(dict.fromkeys(word for words in said for word in words if word.isalpha() and len(word) > 1))


def _lines(file: str) -> list[str]:
    """Those of a table beside this module that are neither empty nor a comment."""
    lines = Path(__file__).with_name(file).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


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
    asks = (
        *("What is {x}?", "How much is {x}?", "Tell me what {x} is.", "What does {x} make?", "Please work out {x}."),
        *("Can you work out {x}?", "What do you get for {x}?", "{x} is how much?", "Do you know what {x} is?"),
    )
    doubles = (
        *("What is double {x}?", "How much is double {x}?", "Tell me what double {x} is.", "What is twice {x}?"),
        *("How much is twice {x}?", "Can you double {x} for me?", "Please double {x} for me."),
        *("Do you know what twice {x} is?", "Tell me what twice {x} is."),
    )
    halves = (
        *("What is half of {x}?", "Tell me half of {x}.", "How much is half of {x}?", "Half of {x}, please."),
        *("Tell me what half of {x} is.", "Can you work out half of {x}?", "What do you get for half of {x}?"),
        *("Give me half of {x}.", "Do you know what half of {x} is?"),
    )
    digits = range(1, 10)
    plus = tuple((f"{number(a)} plus {number(b)}", number(a + b)) for a, b in product(digits, digits))
    minus = tuple((f"{number(a)} minus {number(b)}", number(a - b)) for a, b in product(digits, digits) if a >= b)
    times = tuple((f"{number(a)} times {number(b)}", number(a * b)) for a, b in product(range(2, 10), range(2, 10)))
    double = tuple((number(n), number(2 * n)) for n in range(2, 21))
    half = tuple((y, x) for x, y in double)
    return [
        *(Intent(name, asks, "{x} is {y}.", slots) for name, slots in (("plus", plus), ("minus", minus))),
        Intent("times", asks, "{x} is {y}.", times),
        Intent("double", doubles, "Double {x} is {y}.", double),
        Intent("half", halves, "Half of {x} is {y}.", half),
    ]


def _counts() -> list[Intent]:
    up = tuple((number(n), ", ".join(map(number, range(1, n + 1)))) for n in range(3, 13))
    down = tuple((number(n), ", ".join(map(number, range(n, 0, -1)))) for n in range(3, 11))
    after = tuple((number(n), number(n + 1)) for n in range(1, 40))
    before = tuple((number(n + 1), number(n)) for n in range(1, 40))
    ups = (
        *("Count to {x}.", "Can you count to {x}?", "Count up to {x}.", "Please count to {x}."),
        *("Count from one to {x}.", "Now count to {x} for me.", "I want you to count to {x}."),
        "Let me hear you count to {x}.",
        "Could you count up to {x}?",
    )
    downs = (
        *("Count down from {x}.", "Count backwards from {x}.", "Can you count down from {x}?"),
        *("Please count down from {x}.", "Count from {x} down to one.", "Now count backwards from {x}."),
        *("I want you to count backwards from {x}.", "Could you count backwards from {x}?"),
        "Let me hear you count down from {x}.",
    )
    return [
        Intent("count", ups, "{y}.", up),
        Intent("count_down", downs, "{y}.", down),
        Intent("number_after", _beside("number", "after"), "After {x} comes {y}.", after),
        Intent("number_before", _beside("number", "before"), "Before {x} comes {y}.", before),
    ]


def _calendar() -> list[Intent]:
    out = []
    for kind, names in (("day", DAYS), ("month", MONTHS)):
        after = tuple(zip(names, names[1:] + names[:1], strict=True))
        before = tuple((y, x) for x, y in after)
        out.append(Intent(f"{kind}_after", _beside(kind, "after"), "After {x} comes {y}.", after))
        out.append(Intent(f"{kind}_before", _beside(kind, "before"), "Before {x} comes {y}.", before))
    return out


def _beside(kind: str, side: str) -> tuple[str, ...]:
    """How to ask for the day, month or number after or before {x}."""
    return (
        *(f"Which {kind} comes {side} {{x}}?", f"What {kind} comes {side} {{x}}?", f"Tell me the {kind} {side} {{x}}."),
        *(f"What is the {kind} {side} {{x}}?", f"Which {kind} is {side} {{x}}?", f"What comes {side} {{x}}?"),
        *(f"The {kind} {side} {{x}}, please.", f"Do you know the {kind} {side} {{x}}?"),
        f"Can you tell me which {kind} comes {side} {{x}}?",
    )
