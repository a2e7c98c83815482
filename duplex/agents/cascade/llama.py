"""The embedded language model: llama.cpp in this process."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from xllamacpp.xllamacpp import CommonParams, Server

from duplex.agents.cascade.chunks import completion, delta, request
from duplex.agents.cascade.config import LlmConfig
from duplex.agents.cascade.due import in_thread
from duplex.agents.cascade.memory import Message
from duplex.agents.cascade.tools import PREFIX, Call, Completion, decide
from duplex.checkpoint import locate
from duplex.notes import Tool

_CHOOSER_TOKENS = 512  # of context: the prompt of a choice is the shots and one utterance
_LIKELIEST = 1000  # first tokens whose likelihood a choice reads


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
                if piece := delta(chunk).get("content"):
                    yield piece
            job.result()
        finally:
            stop.set()
            await asyncio.wait([job])

    def prepare_tools(self) -> None:
        """Begin to load what `choose` needs, about a second of work, once; a choice that comes earlier waits for it."""
        if self._chooser is None:
            self._choosing.submit(self._complete, PREFIX, "", 1)

    async def choose(self, messages: list[Message], tools: tuple[Tool, ...], choice: str) -> Call | None:
        """What the last words of the user call for; `choice` is "auto", "none", "required" or a tool's name."""
        return await decide(self.complete, messages, tools, choice)

    async def complete(self, prompt: str, *, grammar: str = "", max_tokens: int = 1) -> Completion:
        """What follows the prompt, greedily, within `grammar` (GBNF) where one is given."""
        return await in_thread(self._choosing, self._complete, prompt, grammar, max_tokens)

    def _complete(self, prompt: str, grammar: str, max_tokens: int) -> Completion:
        if (server := self._chooser) is None:  # of its own: it must not push a conversation's prompt out of its seat
            server = Server(_llama_params(replace(self._config, context_tokens=_CHOOSER_TOKENS), seats=1))
            self._chooser = server
        asked = {"prompt": prompt, "max_tokens": max_tokens, "temperature": 0.0, "cache_prompt": True, "stream": False}
        chunks: list[dict[str, Any]] = []
        limits = {"grammar": grammar} if grammar else {"n_probs": _LIKELIEST}
        server.handle_completions(asked | limits, lambda chunk: bool(chunks.append(chunk)))
        return completion(chunks[-1])

    async def close(self) -> None:
        for pool in (self._pool, self._choosing):
            pool.shutdown(wait=False, cancel_futures=True)
        del self._server, self._chooser

    def _request(self, messages: list[Message]) -> dict[str, Any]:
        return request(self._config, messages) | {"cache_prompt": True, "seed": 0}


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
