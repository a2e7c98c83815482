"""Whether what the user said calls for a tool, and with which arguments, by a model too small to be asked.

A model of 135M parameters cannot say whether a function fits, but it knows what a sentence is about. So it is read, not
asked: how likely does it continue '"Is it raining in Oslo?" is about:' with a word of the tool's name? Whether the user
wants something is seen in the wording, and an argument can only be what the user said: the grammar of its decoding
holds nothing else. A request that lacks a required argument calls nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Mapping
from typing import Any, NamedTuple, Protocol

from duplex.agents.cascade.memory import Message
from duplex.agents.cascade.values import Candidates, candidates
from duplex.agents.cascade.wording import FUNCTION_WORDS, ORDERS, asks, is_talk, stem, words
from duplex.session import Tool


class Call(NamedTuple):
    name: str
    arguments: str  # a JSON object


class Completion(NamedTuple):
    text: str
    first: Mapping[str, float]  # the likeliest first tokens, with their log-probabilities


class Complete(Protocol):
    """A prompt -> what follows it, within `grammar` (GBNF) where one is given."""

    def __call__(self, prompt: str, *, grammar: str = "", max_tokens: int = 1) -> Awaitable[Completion]: ...


class Chooser(Protocol):
    """A language model that can choose a tool."""

    async def choose(self, messages: list[Message], tools: tuple[Tool, ...], choice: str) -> Call | None: ...


# The same for every tool, so that it is read once and stays in the cache.
PREFIX = """"Who will be the next president?" is about: election; office: president
"Read me some Keats." is about: poem; poet: Keats
"I have been to Spain twice." is about: holiday; country: Spain
"Send my boss the plan for May." is about: work; recipient: my boss; month: May
"What does it cost?" is about: price; product: ?
"""
_ABOUT = -3.3  # nats; from here on a sentence is about a word
_NAMED = 2.0  # nats that it is worth that the user says a word of the tool's name
_DESCRIBED = -1.0  # nats: a word of the description says less than one of the name
_UNSEEN = -12.0  # a token that is not among the likeliest
# Verbs that begin a tool's name: with the first it finds something out, with the others it does something.
_FINDING = frozenset(
    ("get", "find", "look", "lookup", "check", "search", "fetch", "read", "show", "tell", "give", "list")
)
_EMPTY = _FINDING | frozenset(
    ("set", "make", "start", "stop", "add", "put", "turn", "switch", "create", "update", "take")
)
_OF_TOOLS = frozenset(
    ("current", "currently", "information", "info", "data", "user", "given", "return", "returns", "name")
)


async def choose(self, messages: list[Message], tools: tuple[Tool, ...], choice: str) -> Call | None: ...


# The same for every tool, so that it is read once and stays in the cache.
PREFIX = """"Who will be the next president?" is about: election; office: president
"Read me some Keats." is about: poem; poet: Keats
"I have been to Spain twice." is about: holiday; country: Spain
"Send my boss the plan for May." is about: work; recipient: my boss; month: May
"What does it cost?" is about: price; product: ?
"""
_ABOUT = -3.3  # nats; from here on a sentence is about a word
_NAMED = 2.0  # nats that it is worth that the user says a word of the tool's name
_DESCRIBED = -1.0  # nats: a word of the description says less than one of the name
_UNSEEN = -12.0  # a token that is not among the likeliest
_FINDING = frozenset(["get", "find", "look", "check", "search", "fetch", "read", "show", "tell", "give", "list", "report", "define"])
_VERBS = _FINDING | frozenset(
    ["get", "fetch", "find", "search", "look", "check", "show", "make", "do", "run", "read", "start", "stop", "set", "create", "update", "current", "currently", "return", "returns", "retrieve", "lookup", "query", "tool", "function", "given", "name", "call", "use", "used", "user", "information", "info", "data", "list"]
)


async def choose(llm: Chooser, messages: list[Message], tools: tuple[Tool, ...], choice: str = "auto") -> Call | None:
    """What to call for the last thing the user said, or None. `choice`: auto, none, required, or a tool's name."""
    if not tools or choice == "none":
        return None
    return await llm.choose(messages, tools, choice)


async def decide(complete: Complete, messages: list[Message], tools: tuple[Tool, ...], choice: str) -> Call | None:
    """The same by a small model that only completes text."""
    text, context = _last_words(messages)
    free = choice == "auto"
    open_to = [tool for tool in tools if choice in ("auto", "required", tool.name)]
    if not text or not open_to or (free and not any(_may_be_asked(text, tool) for tool in open_to)):
        return None
    about = (await complete(_prompt(context), max_tokens=1)).first
    scored = sorted(((_score(context, tool, about), i) for i, tool in enumerate(open_to)), reverse=True)
    for (score, word), i in scored:
        if free and score < _ABOUT:
            return None
        arguments = await _arguments(complete, f"{_prompt(context)} {word}", text, open_to[i])
        if arguments is not None:
            return Call(open_to[i].name, json.dumps(arguments))
        if free:
            return None
    return None


def subjects(tool: Tool) -> frozenset[str]:
    """Stems of the words that say what the tool is about; those of its parameters are not among them."""
    return frozenset(stem(word) for word in _topics(tool))


def is_deed(name: str) -> bool:
    """Whether the tool does something, rather than find something out: only an order or a wish asks for a deed."""
    return bool(_parts(name)) and _parts(name)[0] in ORDERS - _FINDING


def _last_words(messages: list[Message]) -> tuple[str, str]:
    """What the user said last; and the same with what it follows on, where it only continues ("And in Rome?")."""
    said = [message["content"] for message in messages if message["role"] == "user" and message.get("content")]
    if not said:
        return "", ""
    follows = len(said) > 1 and re.match(r"(?:and|what about|how about|or)\b", said[-1].lower())
    return said[-1], f"{said[-2]} {said[-1]}" if follows else said[-1]


def _prompt(text: str) -> str:
    flat = " ".join(text.replace('"', "").split())
    return f'{PREFIX}"{flat[-300:]}" is about:'


def _may_be_asked(text: str, tool: Tool) -> bool:
    """Whether the wording is that of a request, and what is required of it can be among the words."""
    about = subjects(tool)
    if is_talk(text) or not asks(text, about, deed=is_deed(tool.name)):
        return False
    return all(candidates(schema, name, text, about) for name, schema, needed in _parameters(tool) if needed)


def _topics(tool: Tool) -> dict[str, float]:
    """Words that the tool is about -> how much less than a noun of its name each says, nats."""
    own = {stem(word) for name, schema, _ in _parameters(tool) for word in [*_parts(name), *_description(schema)]}
    idle = FUNCTION_WORDS | _OF_TOOLS
    first, *rest = _parts(tool.name) or [tool.name]
    nouns = [word for word in rest if word not in idle and stem(word) not in own]
    verb = [] if first in _EMPTY else [first]
    described = [word for word in words(tool.description) if word not in idle | _EMPTY and stem(word) not in own]
    less = dict.fromkeys([*described, *(verb if nouns and first in ORDERS else [])], _DESCRIBED)
    whole = nouns if first in ORDERS | _EMPTY else [first, *nouns]
    return less | dict.fromkeys(whole or (() if less else (first,)), 0.0)


def _parts(name: str) -> list[str]:
    """getWeather, get_weather, get-weather -> get, weather"""
    return words(re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_.-]+", " ", name))


def _description(schema: Mapping[str, Any]) -> list[str]:
    return words(str(schema.get("description", "")))


def _parameters(tool: Tool) -> list[tuple[str, Mapping[str, Any], bool]]:
    """(name, schema, whether it is required), the required ones first."""
    known, needed = tool.parameters.get("properties") or {}, tool.parameters.get("required") or ()
    return sorted(((name, schema, name in needed) for name, schema in known.items()), key=lambda each: not each[2])


def _score(text: str, tool: Tool, about: Mapping[str, float]) -> tuple[float, str]:
    """How much the text is about the tool, nats, and by which word."""
    said = {stem(word) for word in words(text)}
    return max(
        (_likelihood(about, word) + weight + _NAMED * (stem(word) in said), word)
        for word, weight in _topics(tool).items()
    )


def _likelihood(about: Mapping[str, float], word: str) -> float:
    """Of the first token of the word."""
    found = [logp for token, logp in about.items() if len(token) > 3 and f" {word}".startswith(token)]
    return max(found, default=_UNSEEN)


async def _arguments(complete: Complete, prompt: str, text: str, tool: Tool) -> dict[str, Any] | None:
    """A value for every parameter that was given one; None where a required one is missing."""
    found: dict[str, Any] = {}
    for name, schema, needed in _parameters(tool):
        options = candidates(schema, name, text, subjects(tool))
        prompt += f"; {' '.join(_parts(name))}:"
        surface = await _chosen(complete, prompt, options)
        if surface is not None:
            found[name] = options[surface]
        elif needed:
            return None
        prompt += f" {surface or '?'}"
    return found


async def _chosen(complete: Complete, prompt: str, options: Candidates) -> str | None:
    if len(options) == 1 and not isinstance(next(iter(options.values())), str):
        return next(iter(options))  # the only number that was said
    if not options:
        return None
    alternatives = " | ".join(json.dumps(f" {surface}", ensure_ascii=False) for surface in [*options, "?"])
    answer = await complete(prompt, grammar=f'root ::= ({alternatives}) "\\n"', max_tokens=24)
    return answer.text.strip() if answer.text.strip() in options else None
