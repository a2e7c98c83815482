"""Language models: messages -> pieces of text, as they are made. Closing the stream stops the work."""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Protocol

import aiohttp
from xllamacpp.xllamacpp import CommonParams, Server

from duplex.agents.cascade.config import LlmConfig
from duplex.agents.cascade.due import in_thread
from duplex.agents.cascade.memory import Message
from duplex.agents.cascade.tools import PREFIX, Call, Completion, decide
from duplex.checkpoint import locate
from duplex.session import Tool

_CHOOSER_TOKENS = 512  # of context: the prompt of a choice is the shots and one utterance
_LIKELIEST = 1000  # first tokens whose likelihood a choice reads


class LanguageModel(Protocol):
    def reply(self, messages: list[Message]) -> AsyncGenerator[str, None]: ...  # pieces of the answer
    async def choose(self, messages: list[Message], tools: tuple[Tool, ...], choice: str) -> Call | None: ...
    async def close(self) -> None: ...


class LanguageModelError(Exception):
    """The model refused or failed; the message says what it said."""


def open_llm(config: LlmConfig, seats: int, persona: str) -> LanguageModel:
    """The model that `config` names, warm. Raises MissingFile when its weights are not there."""
    return RemoteModel(config) if config.url else Llama(config, seats, persona)


class Llama:
    """llama.cpp in this process. Each conversation finds its own prompt cache by the longest common prefix."""

    def __init__(self, config: LlmConfig, seats: int, persona: str) -> None:
        self._config = config
        self._server = Server(_llama_params(config, seats))
        self._pool = ThreadPoolExecutor(seats, "cascade-llm")
        warm = self._request([{"role": "system", "content": persona}, {"role": "user", "content": "Hello."}])
        self._server.handle_chat_completions(warm | {"max_tokens": 2}, lambda chunk: None)
        self._chooser: Server | None = None
        self._choosing = ThreadPoolExecutor(1, "cascade-tools")

    async def reply(self, messages: list[Message]) -> AsyncGenerator[str, None]:
        loop, stop = asyncio.get_running_loop(), threading.Event()
        chunks: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

        def take(chunk: dict[str, Any]) -> bool:  # in llama.cpp's thread, once a token; True ends the generation
            loop.call_soon_threadsafe(chunks.put_nowait, chunk)
            return stop.is_set()

        job = loop.run_in_executor(self._pool, self._server.handle_chat_completions, self._request(messages), take)
        job.add_done_callback(lambda _: chunks.put_nowait(None))
        try:
            while (chunk := await chunks.get()) is not None:
                if piece := _delta(chunk).get("content"):
                    yield piece
            job.result()
        finally:
            stop.set()
            await asyncio.wait([job])

    async def prepare_tools(self) -> None:
        """Load what `choose` needs, about a second of work, once; else the first choice waits for it."""
        await self.complete(PREFIX)

    async def choose(self, messages: list[Message], tools: tuple[Tool, ...], choice: str) -> Call | None:
        """What the last words of the user call for; `choice` is "auto", "none", "required" or a tool's name."""
        return await decide(self.complete, messages, tools, choice)

    async def complete(self, prompt: str, *, grammar: str = "", max_tokens: int = 1) -> Completion:
        """What follows the prompt, greedily, within `grammar` (GBNF) where one is given."""
        return await in_thread(self._choosing, self._complete, prompt, grammar, max_tokens)

    def _complete(self, prompt: str, grammar: str, max_tokens: int) -> Completion:
        if self._chooser is None:  # apart from the conversations: it must not push their prompts out of their seats
            self._chooser = Server(_llama_params(replace(self._config, context_tokens=_CHOOSER_TOKENS), seats=1))
        asked = {"prompt": prompt, "max_tokens": max_tokens, "temperature": 0.0, "cache_prompt": True, "stream": False}
        chunks: list[dict[str, Any]] = []
        limits = {"grammar": grammar} if grammar else {"n_probs": _LIKELIEST}
        self._chooser.handle_completions(asked | limits, lambda chunk: bool(chunks.append(chunk)))
        return _completion(chunks[-1])

    async def close(self) -> None:
        for pool in (self._pool, self._choosing):
            pool.shutdown(wait=False, cancel_futures=True)
        del self._server, self._chooser

    def _request(self, messages: list[Message]) -> dict[str, Any]:
        return _request(self._config, messages) | {"cache_prompt": True, "seed": 0}


class RemoteModel:
    """Any server that speaks OpenAI's chat completions, streamed. Cancelling drops the connection."""

    def __init__(self, config: LlmConfig) -> None:
        self._config = config
        self._url = config.url.rstrip("/") + "/chat/completions"
        self._headers = {"Authorization": f"Bearer {config.key}"} if config.key else {}
        self._http: aiohttp.ClientSession | None = None  # needs the running loop

    async def reply(self, messages: list[Message]) -> AsyncGenerator[str, None]:
        async with aclosing(self._deltas(messages)) as deltas:
            async for delta in deltas:
                if piece := delta.get("content"):
                    yield piece

    async def choose(self, messages: list[Message], tools: tuple[Tool, ...], choice: str) -> Call | None:
        """The model's own function calling. The first word of an answer in words means that nothing is called."""
        name, arguments = "", ""
        async with aclosing(self._deltas(messages, tools=_functions(tools), tool_choice=_choice(choice))) as deltas:
            async for delta in deltas:
                for part in delta.get("tool_calls") or []:
                    if part.get("index", 0) == 0:
                        function = part.get("function") or {}
                        name += function.get("name") or ""
                        arguments += function.get("arguments") or ""
                if delta.get("content") and not name:
                    return None
        return Call(name, arguments or "{}") if name else None

    async def _deltas(self, messages: list[Message], **more: Any) -> AsyncGenerator[dict[str, Any], None]:
        if self._http is None:
            # the session's own patience bounds the wait, so no time limit here
            self._http = aiohttp.ClientSession(headers=self._headers, timeout=aiohttp.ClientTimeout(total=None))
        body = _request(self._config, messages) | {"model": self._config.model} | more
        async with self._http.post(self._url, json=body) as response:
            try:
                if response.status != 200:
                    raise LanguageModelError(f"{self._url}: {response.status} {(await response.text())[:200]}")
                async for line in response.content:
                    data = line.strip().removeprefix(b"data:").strip() if line.startswith(b"data:") else b""
                    if data == b"[DONE]":
                        return
                    if data:
                        yield _delta(json.loads(data))
            finally:
                response.close()  # not back into the pool: the server must notice that nobody listens

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()


def _request(config: LlmConfig, messages: list[Message]) -> dict[str, Any]:
    limits = {"max_tokens": config.max_tokens, "temperature": config.temperature}
    return {"messages": messages, "stream": True} | limits


def _delta(chunk: dict[str, Any]) -> dict[str, Any]:
    """What one streamed chunk adds. Raises LanguageModelError when the chunk is an error."""
    _check(chunk)
    choices = chunk.get("choices") or [{}]
    return choices[0].get("delta") or {}


def _completion(chunk: dict[str, Any]) -> Completion:
    """Raises LanguageModelError when the chunk is an error."""
    _check(chunk)
    choice = chunk["choices"][0]
    tokens = (choice.get("logprobs") or {}).get("content") or [{}]
    return Completion(choice["text"], {one["token"]: one["logprob"] for one in tokens[0].get("top_logprobs", ())})


def _check(chunk: dict[str, Any]) -> None:
    if error := chunk.get("error"):
        raise LanguageModelError(str(error.get("message", error)) if isinstance(error, dict) else str(error))


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


def _llama_params(config: LlmConfig, seats: int) -> CommonParams:
    params = CommonParams()
    params.model.path = str(locate(config.model).files["model"])
    params.n_parallel, params.n_ctx = seats, config.context_tokens * seats
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = config.threads
    params.cache_ram_mib = 0  # prompts live in their seats; copying them out costs 100 ms a turn
    params.verbosity = -1
    params.ui = False
    params.api_keys = [secrets.token_hex()]  # the library also listens on a loopback port: nobody else may use it
    return params
