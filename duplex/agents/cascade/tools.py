"""Whether what the user said calls for a tool, and with which arguments, by a model too small to be asked.

A model of 135M parameters cannot say whether a function fits, but it knows what a sentence is about. So it is read, not
asked: how likely does it continue '"Is it raining in Oslo?" is about:' with a word of the tool's name? Whether the user
wants something is seen in the wording, and an argument can only be what the user said: the grammar of its decoding
holds nothing else. A request that lacks a required argument calls nothing, so that the agent asks for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Mapping
from typing import Any, NamedTuple, Protocol

from duplex.agents.cascade.memory import Message
from duplex.agents.cascade.topics import ABOUT, is_deed, parameters, parts, score, sounds, subjects
from duplex.agents.cascade.values import Candidates, candidates
from duplex.agents.cascade.wording import asks, is_talk, misheard
from duplex.notes import Tool


class Call(NamedTuple):
    name: str
    arguments: str  # a JSON object


class Completion(NamedTuple):
    text: str
    first: Mapping[str, float]  # the likeliest first tokens, with their log-probabilities; {} with a grammar


class Complete(Protocol):
    """A prompt -> what follows it, within `grammar` (GBNF) where one is given."""

    def __call__(self, prompt: str, *, grammar: str = "", max_tokens: int = 1) -> Awaitable[Completion]: ...


class Chooser(Protocol):
    """A language model that can choose a tool."""

    async def choose(self, messages: list[Message], tools: tuple[Tool, ...], choice: str) -> Call | None: ...


# The same for every tool, so that it is read once and stays in the cache. Topics that a tool is likely to have would
# be found in everything.
PREFIX = """"Who will be the next president?" is about: election; office: president
"Read me some Keats." is about: poem; poet: Keats
"I have been to Spain twice." is about: holiday; country: Spain
"Send my boss the plan for May." is about: work; recipient: my boss; month: May
"What does it cost?" is about: price; product: ?
"""
_LONGEST = 300  # characters of what was said, the last ones
_MISSING = "?"  # what the model says for an argument that was not given


async def choose(llm: Chooser, messages: list[Message], tools: tuple[Tool, ...], choice: str = "auto") -> Call | None:
    """What to call for the last thing the user said, or None. `choice`: auto, none, required, or a tool's name."""
    if not tools or choice == "none":
        return None
    return await llm.choose(messages, tools, choice)


async def decide(complete: Complete, messages: list[Message], tools: tuple[Tool, ...], choice: str) -> Call | None:
    """The same by a small model that only completes text. It is not troubled with what is no request."""
    text, context = _last_words(messages, {sound: word for tool in tools for sound, word in sounds(tool).items()})
    if choice == "auto":
        tools = tuple(tool for tool in tools if _may_be_asked(text, tool))
    elif choice != "required":
        tools = tuple(tool for tool in tools if tool.name == choice)
    if not text or not tools:
        return None
    prompt = _prompt(context)
    likelihoods = (await complete(prompt)).first
    (about, word), best = max(((score(context, tool, likelihoods), i) for i, tool in enumerate(tools)))
    if choice == "auto" and about < ABOUT:
        return None
    arguments = await _arguments(complete, f"{prompt} {word}", text, tools[best])
    return None if arguments is None else Call(tools[best].name, json.dumps(arguments, ensure_ascii=False))


def _last_words(messages: list[Message], subjects: Mapping[str, str]) -> tuple[str, str]:
    """What the user said last; and the same with what it follows on, where it only continues ("And in Rome?")."""
    said = [message["content"] for message in messages if message["role"] == "user" and message.get("content")]
    if not said:
        return "", ""
    last = misheard(said[-1], subjects)
    follows = len(said) > 1 and re.match(r"(?:and|or|what about|how about)\b", last.lower())
    return last, f"{said[-2]} {last}" if follows else last


def _prompt(text: str) -> str:
    flat = " ".join(text.replace('"', "").split())
    return f'{PREFIX}"{flat[-_LONGEST:]}" is about:'


def _may_be_asked(text: str, tool: Tool) -> bool:
    """Whether the wording is that of a request, and what the tool requires can be among the words."""
    about = subjects(tool)
    if is_talk(text) or not asks(text, about, is_deed(tool)):
        return False
    return all(candidates(schema, name, text, about) for name, schema, needed in parameters(tool) if needed)


async def _arguments(complete: Complete, prompt: str, text: str, tool: Tool) -> dict[str, Any] | None:
    """A value for every parameter that was given one; None where a required one is missing."""
    found: dict[str, Any] = {}
    for name, schema, needed in parameters(tool):
        options = candidates(schema, name, text, subjects(tool))
        prompt += f"; {' '.join(parts(name))}:"
        surface = await _chosen(complete, prompt, options)
        if surface is not None:
            found[name] = options[surface]
        elif needed:
            return None
        prompt += f" {surface or _MISSING}"
    return found


async def _chosen(complete: Complete, prompt: str, options: Candidates) -> str | None:
    """The surface that the model finds most likely; None for none of them."""
    if len(options) == 1 and not isinstance(next(iter(options.values())), str):
        return next(iter(options))  # the only number that was said
    if not options:
        return None
    alternatives = " | ".join(json.dumps(f" {surface}", ensure_ascii=False) for surface in [*options, _MISSING])
    answer = await complete(prompt, grammar=f'root ::= ({alternatives}) "\\n"', max_tokens=24)
    surface = answer.text.strip()
    return surface if surface in options else None
