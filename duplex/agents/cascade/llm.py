"""Language models: messages -> pieces of text, as they are made. Closing the stream stops the work."""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import aiohttp
from xllamacpp.xllamacpp import CommonParams, Server

from duplex.agents.cascade.config import LlmConfig
from duplex.agents.cascade.memory import Message
from duplex.checkpoint import locate


class LanguageModel(Protocol):
    def reply(self, messages: list[Message]) -> AsyncGenerator[str, None]: ...  # pieces of the answer
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
                if piece := _piece(chunk):
                    yield piece
            job.result()
        finally:
            stop.set()
            await asyncio.wait([job])

    async def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        del self._server

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
        if self._http is None:
            # the session's own patience bounds the wait, so no time limit here
            self._http = aiohttp.ClientSession(headers=self._headers, timeout=aiohttp.ClientTimeout(total=None))
        body = _request(self._config, messages) | {"model": self._config.model}
        async with self._http.post(self._url, json=body) as response:
            try:
                if response.status != 200:
                    raise LanguageModelError(f"{self._url}: {response.status} {(await response.text())[:200]}")
                async for line in response.content:
                    data = line.strip().removeprefix(b"data:").strip() if line.startswith(b"data:") else b""
                    if data == b"[DONE]":
                        return
                    if data and (piece := _piece(json.loads(data))):
                        yield piece
            finally:
                response.close()  # not back into the pool: the server must notice that nobody listens

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()


def _request(config: LlmConfig, messages: list[Message]) -> dict[str, Any]:
    limits = {"max_tokens": config.max_tokens, "temperature": config.temperature}
    return {"messages": messages, "stream": True} | limits


def _piece(chunk: dict[str, Any]) -> str:
    """The text of one streamed chunk. Raises LanguageModelError when the chunk is an error."""
    if error := chunk.get("error"):
        raise LanguageModelError(str(error.get("message", error)) if isinstance(error, dict) else str(error))
    choices = chunk.get("choices") or [{}]
    return choices[0].get("delta", {}).get("content") or ""


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
