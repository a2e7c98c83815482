"""What a tool is about, by the words of its declaration, and how far a sentence is about the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from duplex.agents.cascade.wording import FUNCTION_WORDS, ORDERS, sound, stem, words
from duplex.notes import Tool

ABOUT = -3.6  # nats; from here on a sentence is about a tool
_NAMED = 2.0  # nats that it is worth that the user says a word of the tool's own
_DESCRIBED = -1.0  # nats: a word of the description, or a verb, says less than a noun of the name
_UNSEEN = -12.0  # nats: a token that is not among the likeliest

# Verbs that begin a tool's name: with the first it finds something out, with the others it does something.
_FINDING = frozenset(
    ("get", "find", "look", "lookup", "check", "search", "fetch", "read", "show", "tell", "give", "list")
)
_EMPTY = _FINDING | frozenset(
    ("set", "make", "start", "stop", "add", "put", "turn", "switch", "create", "update", "take")
)
_OF_TOOLS = frozenset(("current", "currently", "information", "info", "data", "user", "given", "return", "returns"))


def is_deed(tool: Tool) -> bool:
    """Whether it does something, rather than find something out: only an order or a wish asks for a deed."""
    return parts(tool.name)[0] in ORDERS - _FINDING


def score(text: str, tool: Tool, likelihoods: Mapping[str, float]) -> tuple[float, str]:
    """How far the text is about the tool, nats, and by which word; likelihoods: of the tokens of its topic."""
    said = {stem(word) for word in words(text)}
    return max(
        (_likelihood(likelihoods, word) + less + _NAMED * (stem(word) in said), word)
        for word, less in topics(tool).items()
    )


def subjects(tool: Tool) -> frozenset[str]:
    """Stems of the words that the tool is about."""
    return frozenset(stem(word) for word in topics(tool))


def sounds(tool: Tool) -> dict[str, str]:
    """How the words that it is about sound -> the words."""
    return {sound(word): word for word in topics(tool) if sound(word)}


def topics(tool: Tool) -> dict[str, float]:
    """Words that the tool is about -> how much each is worth, nats. Those of its parameters are not among them."""
    return _topics(tool.name, tool.description, _of_parameters(tool))


@lru_cache(256)
def _topics(name: str, description: str, own: frozenset[str]) -> dict[str, float]:
    first, *rest = parts(name)
    idle = FUNCTION_WORDS | _OF_TOOLS
    nouns = [word for word in rest if word not in idle and stem(word) not in own]
    described = [word for word in words(description) if word not in idle | _EMPTY and stem(word) not in own]
    verbs = [first] if first in ORDERS - _EMPTY else []
    named = nouns if first in ORDERS | _EMPTY else [first, *nouns]
    lesser = dict.fromkeys([*described, *verbs], _DESCRIBED)
    return lesser | dict.fromkeys(named, 0.0) or {first: 0.0}


def parameters(tool: Tool) -> list[tuple[str, Mapping[str, Any], bool]]:
    """(name, schema, whether it is required), the required ones first. What is no schema allows any text."""
    known, needed = tool.parameters.get("properties"), tool.parameters.get("required")
    needed = needed if isinstance(needed, list | tuple) else ()
    schemas = known.items() if isinstance(known, Mapping) else ()
    found = [(name, schema if isinstance(schema, Mapping) else {}, name in needed) for name, schema in schemas]
    return sorted(found, key=lambda each: not each[2])


def parts(name: str) -> list[str]:
    """getWeather, get_weather, get-weather -> get, weather"""
    return words(re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_.-]+", " ", name)) or [name]


def _of_parameters(tool: Tool) -> frozenset[str]:
    """Stems of the words of its parameters."""
    named = ([*parts(name), *words(str(schema.get("description", "")))] for name, schema, _ in parameters(tool))
    return frozenset(stem(word) for each in named for word in each)


def _likelihood(likelihoods: Mapping[str, float], word: str) -> float:
    """Of the word's first token."""
    found = [logp for token, logp in likelihoods.items() if len(token) > 3 and f" {word}".startswith(token)]
    return max(found, default=_UNSEEN)
