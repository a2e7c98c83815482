"""Which values an argument may have: its JSON schema and the user's words -> candidates, each with its surface."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from duplex.agents.cascade.wording import FUNCTION_WORDS, TIMES, numbers, stem, words

_MOST_WORDS = 4  # of a span
_MOST_SPANS = 60
_ABOUT_TIME = re.compile(r"\b(?:day|date|time|when|hour|moment)")
Candidates = dict[str, Any]  # surface -> JSON value


def candidates(schema: Mapping[str, Any], label: str, text: str, subjects: frozenset[str]) -> Candidates:
    """What the argument called `label` can be, given what was said; none where nothing fits.

    `subjects` are stems of the words that name the tool: they are what is asked for, not the argument.
    """
    kind, choices = _kind(schema), schema.get("enum")
    if isinstance(choices, list | tuple):
        return _mentioned(choices, text)
    if kind in ("integer", "number"):
        return _within(schema, {n.surface: int(n.value) if kind == "integer" else n.value for n in numbers(text)})
    if kind == "boolean":
        return {"yes": True, "no": False}
    if kind == "array":
        item = candidates(schema.get("items") or {}, label, text, subjects)
        return {surface: [value] for surface, value in item.items()}
    if kind == "object":
        return {}
    may_be_time = bool(_ABOUT_TIME.search(f"{label} {schema.get('description', '')}".lower()))
    return {span: span for span in _spans(text, subjects, may_be_time)}


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "string")
    if isinstance(kind, list | tuple):
        kind = next((one for one in kind if one != "null"), "string")
    return str(kind).lower()


def _mentioned(choices: list[Any] | tuple[Any, ...], text: str) -> Candidates:
    said = {stem(word) for word in words(text)}
    named = [choice for choice in choices if any(stem(word) in said for word in words(str(choice).replace("_", " ")))]
    return {str(choice): choice for choice in named or choices}


def _within(schema: Mapping[str, Any], found: Candidates) -> Candidates:
    low, high = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))
    return {surface: value for surface, value in found.items() if low <= value <= high}


def _spans(text: str, subjects: frozenset[str], may_be_time: bool) -> list[str]:
    """Up to four words in a row, in the user's own letters, that neither begin nor end in a word without content."""

    def is_content(token: str) -> bool:
        plain = "".join(words(token)[:1])
        empty = plain in FUNCTION_WORDS or plain.split("'")[0] in FUNCTION_WORDS or (plain in TIMES and not may_be_time)
        return bool(plain) and not empty and stem(plain) not in subjects

    found: dict[str, None] = {}
    for clause in re.split(r"[.?!,;:]+(?:\s|$)", text):
        tokens = [token.strip("\"'()") for token in clause.split()]
        kept = [(token, is_content(token)) for token in tokens]
        for begin in range(len(kept)):
            for end in range(begin + 1, min(begin + _MOST_WORDS, len(kept)) + 1):
                if kept[begin][1] and kept[end - 1][1]:
                    found[" ".join(token for token, _ in kept[begin:end]).removesuffix("'s")] = None
    return list(found)[:_MOST_SPANS]
