"""Chat completions, as llama.cpp and every server with OpenAI's API have them: requests and streamed chunks."""

from __future__ import annotations

from typing import Any

from duplex.agents.cascade.config import LlmConfig
from duplex.agents.cascade.memory import Message
from duplex.agents.cascade.tools import Completion


class LanguageModelError(Exception):
    """The model refused or failed; the message says what it said."""


def request(config: LlmConfig, messages: list[Message]) -> dict[str, Any]:
    limits = {"max_tokens": config.max_tokens, "temperature": config.temperature}
    return {"messages": messages, "stream": True} | limits


def delta(chunk: dict[str, Any]) -> dict[str, Any]:
    """What one streamed chunk adds. Raises LanguageModelError when the chunk is an error."""
    _check(chunk)
    choices = chunk.get("choices") or [{}]
    return choices[0].get("delta") or {}


def completion(chunk: dict[str, Any]) -> Completion:
    """Raises LanguageModelError when the chunk is an error."""
    _check(chunk)
    choice = chunk["choices"][0]
    tokens = (choice.get("logprobs") or {}).get("content") or [{}]
    return Completion(choice["text"], {one["token"]: one["logprob"] for one in tokens[0].get("top_logprobs", ())})


def _check(chunk: dict[str, Any]) -> None:
    if error := chunk.get("error"):
        raise LanguageModelError(str(error.get("message", error)) if isinstance(error, dict) else str(error))
