"""What was said, against what should have been: normalised words, word errors, and which reply a transcript is.

Pure functions of texts. Both sides are normalised alike, so that "2 + 3 is 5", "C-A-T" and "colour" compare as spoken.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from weights.intents import Intent, number

Words = tuple[str, ...]

SHARED = 0.6  # of a reply's words must be heard for it to have been said
_NEARLY_FROM = 5  # an answer of so many words may lack one in five: whisper loses one now and then
_SYMBOLS = {"+": " plus ", "×": " times ", "*": " times ", "=": " is ", "%": " percent ", "&": " and ", "’": "'"}
_SHORT = {"can't": "can not", "won't": "will not", "let's": "let us", "cannot": "can not", "ok": "okay"}
_SHORT |= {"seashells": "sea shells", "seashore": "sea shore"}  # whisper writes either
_ENDINGS = {"n't": " not", "'re": " are", "'ll": " will", "'ve": " have", "'m": " am", "'s": " is", "'d": " would"}
_BRITISH = (
    "colour colours favourite neighbour grey vapour kilometre kilometres metre metres centre theatre apologise"
    " equals savannah"
)
_AMERICAN = (
    "color colors favorite neighbor gray vapor kilometer kilometers meter meters center theater apologize is savanna"
)
_SPELLINGS: dict[str, str] = dict(zip(_BRITISH.split(), _AMERICAN.split(), strict=True))


class Reply(NamedTuple):
    """Something the agent may say, and the intent's slot answer in it ("" where there is none)."""

    words: Words
    intent: str
    answer: str


def normalised(text: str) -> Words:
    """The spoken words of a text: lower case, digits as words, letters that are spelled in a row as one word."""
    text = "".join(_SYMBOLS.get(c, c) for c in text.lower())
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"\d+(-\d+){2,}", lambda counted: counted[0].replace("-", " "), text)
    text = re.sub(r"(?<=\d)\s*[-−]\s*(?=\d)", " minus ", text)
    text = re.sub(r"(?<=\d)\s*x\s*(?=\d)", " times ", text)
    text = re.sub(r"\d+", lambda digits: f" {_spoken(int(digits[0]))} ", text)
    text = re.sub(r"(?<=\w)[-./](?=\w)", " ", text)
    plain = [re.sub(r"[^a-z']", "", word).strip("'") for word in text.split()]
    words = [part for word in plain if word for part in _written_out(word).split()]
    return tuple(_SPELLINGS.get(word, word) for word in _joined(words))


def edits(a: Sequence[str], b: Sequence[str]) -> int:
    """The fewest words to insert, delete or replace that turn `a` into `b`."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        corner, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (x != y))
    return row[-1]


def word_errors(pairs: Iterable[tuple[str, str]]) -> float | None:
    """Word error rate of (reference, hypothesis) texts, pooled; None without a reference word."""
    wrong = total = 0
    for reference, hypothesis in pairs:
        words = normalised(reference)
        wrong, total = wrong + edits(words, normalised(hypothesis)), total + len(words)
    return wrong / total if total else None


def distance(reply: Words, said: Words) -> float:
    """0 equal, 1 nothing in common."""
    return edits(reply, said) / max(len(reply), len(said), 1)


def share(reply: Words, said: Words) -> float:
    """The part of the reply's words that were said, in any order."""
    return _common(reply, said) / max(len(reply), 1)


def replies(table: Mapping[str, Intent]) -> list[Reply]:
    """Every reply of every intent, once for each slot."""
    return [
        Reply(normalised(intent.answered(slot)), intent.name, slot[1])
        for intent in table.values()
        for slot in intent.slots
    ]


def is_right(said: str, intent: Intent, answer: str, known: Sequence[Reply]) -> bool:
    """Whether a transcript holds the right content.

    With a slot: its answer is heard, and no reply of the intent with another answer is nearer. Without: the transcript
    is nearer to this reply than to every other one, and shares SHARED of its words.
    """
    words = normalised(said)
    if answer:
        slots = [reply for reply in known if reply.intent == intent.name]
        nearest = min(distance(reply.words, words) for reply in slots)
        near = any(distance(r.words, words) == nearest for r in slots if r.answer == answer)
        return near and holds(words, normalised(answer))
    own = normalised(intent.answered(("", "")))
    return share(own, words) >= SHARED and not any(r.words != own and _beats(r.words, own, words) for r in known)


def holds(said: Words, answer: Words) -> bool:
    """Whether the answer's words are said one after the other; of a long answer, four in five in their order."""
    if len(answer) >= _NEARLY_FROM:
        return _in_order(answer, said) >= 0.8 * len(answer)
    return any(said[i : i + len(answer)] == answer for i in range(len(said) - len(answer) + 1))


def is_a_reply(said: str, known: Sequence[Reply]) -> bool:
    """Whether a transcript is anything the agent was taught to say: most of a reply's words, and little else."""
    words = normalised(said)
    return any(share(r.words, words) >= SHARED and share(words, r.words) >= SHARED for r in known)


def _beats(other: Words, own: Words, said: Words) -> bool:
    """Whether `other` is at least as near. A bound from the words in common spares most of the work."""
    longest, limit = max(len(other), len(said), 1), distance(own, said)
    return (longest - _common(other, said)) / longest <= limit and distance(other, said) <= limit


def _common(a: Words, b: Words) -> int:
    return sum((Counter(a) & Counter(b)).values())


def _in_order(a: Words, b: Words) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(b) + 1)
    for x in a:
        corner = 0
        for j, y in enumerate(b, 1):
            corner, row[j] = row[j], corner + 1 if x == y else max(row[j], row[j - 1])
    return row[-1]


@cache
def _spoken(n: int) -> str:
    """Up to 999,999 in words; beyond that digit by digit."""
    if n < 100:
        return number(n)
    if n < 1000:
        return f"{number(n // 100)} hundred" + (f" {number(n % 100)}" if n % 100 else "")
    if n < 1_000_000:
        return f"{_spoken(n // 1000)} thousand" + (f" {_spoken(n % 1000)}" if n % 1000 else "")
    return " ".join(number(int(digit)) for digit in str(n))


def _written_out(word: str) -> str:
    if word in _SHORT:
        return _SHORT[word]
    return next((word[: -len(end)] + long for end, long in _ENDINGS.items() if word.endswith(end)), word)


def _joined(words: list[str]) -> list[str]:
    """Three or more single letters in a row are a word that is spelled: c a t -> cat."""
    out: list[str] = []
    letters: list[str] = []
    for word in [*words, ""]:
        if len(word) == 1:
            letters.append(word)
            continue
        out += ["".join(letters)] if len(letters) > 2 else letters
        letters = []
        out += [word] if word else []
    return out
