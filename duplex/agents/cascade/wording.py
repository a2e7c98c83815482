"""What an English sentence is, by its words alone: a request or talk, its stems, the numbers in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple


def _words(text: str) -> list[str]:
    return text.split()


def _set(text: str) -> frozenset[str]:
    return frozenset(_words(text))


FUNCTION_WORDS = _set(
    "a an the this that these those some any my your his her its our their me you him it us them i he she we they "
    "there of in on at to for from by with about into over under near around up down out off as than and or but so if "
    "is are was were be been being am will would shall should can could may might must do does did done doing have "
    "has had get got let lets what which who whom whose when where why how not no yes please also just only very "
    "really too again then like much many more most all every each other thing something anything know tell give "
    "show want need wish going go ok okay hey hi hello well maybe isn't aren't don't doesn't can't won't"
)
TIMES = _set("today tomorrow tonight now currently later soon moment morning evening afternoon week")
_FILLERS = _set("hey hi hello ok okay so and well um uh oh now then alright right yes no sorry but please")
_QUESTIONS = _set(
    "what which who whom whose when where how is are was were am will shall should may might do does did has have had "
    "isn't aren't won't don't doesn't"
)
_WILLING = _set("can could would will can't")  # "could you ..." is an order, "could it ..." a question
ORDERS = _set(
    "tell show give get find look check search fetch bring read open close start begin stop set put play turn switch "
    "make take send call phone ring dial add remove delete write order buy reserve remind wake translate pause resume "
    "raise lower increase decrease mute dim lock unlock cancel schedule create note save say name list help update "
    "report mail email text convert calculate define"
)
_WISH = re.compile(
    r"\b(?:(?:i|we) (?:\w+ )?(?:want|need|wish|wonder)|(?:i|we)(?: would|'d) (?:really )?(?:like|love)"
    r"|(?:looking for|wondering|curious)|let's|let us|let me (?:know|hear|see)|please"
    r"|(?:tell|give|show|get|find|bring) me|find out|look up"
    r"|we'll (?:it|there))\b"  # so whisper writes "will it"
)
# Why the world is as it is, what a word means, what the agent likes: talk, whatever it is about.
_TALK = re.compile(
    r"^(?:why\b|how come\b|how (?:do|does|did|is|are) (?:\w+ ){1,3}(?:work|form|made|called|come|happen)\b"
    r"|what(?:'s| is| are) an? (?:[\w-]+ ?){1,3}$|(?:(?:can|could|would) you |please )*explain\b"
    r"|tell me (?:why|how (?!.* is\b)|a (?:story|joke))"
    r"|(?:do|did|have|are|were) you (?:\w+ )?(?:like|love|hate|enjoy|prefer|feel|been|remember|miss|think|believe)\b)"
)
_UNITS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")
_NUMBERS = {word: n for n, word in enumerate(_UNITS)} | {word: 10 * n for n, word in enumerate(_TENS, 2)}


class Number(NamedTuple):
    surface: str  # as it stands in the text
    value: float


def words(text: str) -> list[str]:
    """Lower case, with their apostrophes, without other punctuation."""
    return re.findall(r"[^\W_]+(?:['-][^\W_]+)*", text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").lower())


def stem(word: str) -> str:
    """The word without the endings of plural and tense; short words stay."""
    for ending in ("ing", "ies", "ed", "es", "s", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            root = word[: -len(ending)]
            return root[:-1] if len(root) > 3 and root[-1] == root[-2] else root
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def asks(text: str, subjects: frozenset[str] = frozenset(), deed: bool = False) -> bool:
    """Whether one of the clauses wants something to be told: a question, an order or a wish; of a `deed`, no question.

    A clause without a verb asks for its subject, where that is one of `subjects` (stems).
    """
    clauses = re.split(r"(?<=[.?!,;])\s+", text.strip())
    return any(_asks(clause, subjects, deed) for clause in clauses)


def is_talk(text: str) -> bool:
    """Whether a question is about the world or about the one who is asked, so that no deed answers it."""
    return bool(_TALK.search(" ".join(_opened(words(text)))))


def misheard(text: str, subjects: Mapping[str, str]) -> str:
    """The text with a first word that only sounds like a subject put right: "Whether in Rome." asks for the weather.

    Elsewhere in a sentence such a word means what it says. subjects: what a word sounds like -> the word.
    """
    found = re.match(r"\W*([\w']+)(?=\s+(?:in|for|of|at|on|to|from)\b)", text)
    meant = subjects.get(sound(found[1])) if found else None
    return text if not found or not meant else text[: found.start(1)] + meant + text[found.end(1) :]


def sound(word: str) -> str:
    """Its consonants, roughly as they are spoken; "" for a word with less than three."""
    plain = word.lower().replace("wh", "w").replace("ph", "f").replace("ck", "k").replace("c", "k")
    bare = re.sub(r"(.)\1+", r"\1", re.sub(r"[aeiouy']", "", plain))
    return bare if len(bare) > 2 else ""


def numbers(text: str) -> list[Number]:
    """Digits and number words up to 99, in order."""
    tokens = re.findall(r"\d+(?:[.,]\d+)?|[a-z]+", text.lower().replace(",000", "000"))
    found: list[Number] = []
    for i, token in enumerate(tokens):
        if token[0].isdigit():
            found.append(Number(token, float(token.replace(",", "."))))
        elif token in _NUMBERS:
            tens = i and tokens[i - 1] in _TENS and _NUMBERS[token] < 10
            before = found.pop() if tens else None
            surface = f"{before.surface} {token}" if before else token
            found.append(Number(surface, (before.value if before else 0) + _NUMBERS[token]))
    return found


def _asks(clause: str, subjects: frozenset[str], deed: bool) -> bool:
    if _WISH.search(" ".join(words(clause))):
        return True
    said = _opened(words(clause))
    if not said:
        return False
    first = said[0].removesuffix("'s").removesuffix("'re")
    if first in ORDERS:
        return True
    if first in _WILLING and (not deed or said[1:2] == ["you"]):
        return True
    if first in _QUESTIONS or clause.endswith("?"):
        return not deed
    return len(said) <= 6 and stem(said[0]) in subjects and not _has_verb(said)


def _opened(said: list[str]) -> list[str]:
    """Without what only opens a sentence."""
    while said and said[0] in _FILLERS:
        said = said[1:]
    return said


def _has_verb(said: list[str]) -> bool:
    return any(word in {"is", "are", "was", "were", "has", "have", "had", "will", "makes", "made"} for word in said)
