"""Language models: messages -> pieces of text, as they are made. Closing the stream stops the work."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Protocol

import aiohttp

from duplex.agents.cascade.chunks import LanguageModelError, delta, request
from duplex.agents.cascade.config import LlmConfig
from duplex.agents.cascade.llama import Llama
from duplex.agents.cascade.memory import Message
from duplex.agents.cascade.tools import Call
from duplex.notes import Tool

__all__ = ["LanguageModel", "LanguageModelError", "Llama", "RemoteModel", "open_llm"]


class LanguageModel(Protocol):
    def reply(self, messages: list[Message]) -> AsyncGenerator[str, None]: ...  # pieces of the answer
    def prepare_tools(self) -> None: ...  # there will be choices to make
    async def choose(self, messages: list[Message], tools: tuple[Tool, ...], choice: str) -> Call | None: ...
    async def close(self) -> None: ...


def open_llm(config: LlmConfig, seats: int, persona: str) -> LanguageModel:
    """The model that `config` names, warm. Raises MissingFile when its weights are not there."""
    return RemoteModel(config) if config.url else Llama(config, seats, persona)


class RemoteModel:
    """Any server that speaks OpenAI's chat completions, streamed. Cancelling drops the connection."""

    def __init__(self, config: LlmConfig) -> None:
        self._config = config
        self._url = config.url.rstrip("/") + "/chat/completions"
        self._headers = {"Authorization": f"Bearer {config.key}"} if config.key else {}
        self._http: aiohttp.ClientSession | None = None  # needs the running loop

    def prepare_tools(self) -> None:
        """Nothing to do here."""

    async def reply(self, messages: list[Message]) -> AsyncGenerator[str, None]:
        async with aclosing(self._deltas(messages)) as deltas:
            async for new in deltas:
                if piece := new.get("content"):
                    yield piece

    async def choose(self, messages: list[Message], tools: tuple[Tool, ...], choice: str) -> Call | None:
        """The model's own function calling. The first word of an answer in words means that nothing is called."""
        name, arguments = "", ""
        async with aclosing(self._deltas(messages, tools=_functions(tools), tool_choice=_choice(choice))) as deltas:
            async for new in deltas:
                for part in new.get("tool_calls") or []:
                    if part.get("index", 0) == 0:
                        function = part.get("function") or {}
                        name += function.get("name") or ""
                        arguments += function.get("arguments") or ""
                if (new.get("content") or "").strip() and not name:
                    return None
        return Call(name, arguments or "{}") if name else None

    async def _deltas(self, messages: list[Message], **more: Any) -> AsyncGenerator[dict[str, Any], None]:
        if self._http is None:
            # the session's own patience bounds the wait, so no time limit here
            self._http = aiohttp.ClientSession(headers=self._headers, timeout=aiohttp.ClientTimeout(total=None))
        body = request(self._config, messages) | {"model": self._config.model} | more
        async with self._http.post(self._url, json=body) as response:
            try:
                if response.status != 200:
                    raise LanguageModelError(f"{self._url}: {response.status} {(await response.text())[:200]}")
                async for line in response.content:
                    data = line.strip().removeprefix(b"data:").strip() if line.startswith(b"data:") else b""
                    if data == b"[DONE]":
                        return
                    if data:
                        yield delta(json.loads(data))
            finally:
                response.close()  # not back into the pool: the server must notice that nobody listens

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()


def _functions(tools: tuple[Tool, ...]) -> list[dict[str, Any]]:
    """The tools as chat completions want them."""
    empty = {"type": "object", "properties": {}}
    return [
        {
            "type": "function",
            "function": {"name": t.name, "description": t.description, "parameters": dict(t.parameters) or empty},
        }
        for t in tools
    ]


def _choice(choice: str) -> str | dict[str, Any]:
    named = {"type": "function", "function": {"name": choice}}
    return choice if choice in ("auto", "none", "required") else named
