"""An OpenAI-compatible server: what is sent, what streams back, errors, and cancelling that really stops the work."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from duplex.agents.cascade.config import LlmConfig
from duplex.agents.cascade.llm import LanguageModelError, RemoteModel

HELLO = [{"role": "user", "content": "Hello."}]


class FakeServer:
    """Streams `words`, forever when there are none; remembers what it was asked and whether the client left."""

    def __init__(self, words: list[str], status: int = 200) -> None:
        self.words, self.status = words, status
        self.asked: list[Any] = []
        self.left = asyncio.Event()

    async def complete(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.headers.get("Authorization"), await request.json()))
        if self.status != 200:
            return web.Response(status=self.status, text="model is out to lunch")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            await self._stream(response)
        except (ConnectionError, asyncio.CancelledError):
            self.left.set()
        return response

    async def _stream(self, response: web.StreamResponse) -> None:
        await response.write(b": a comment\n\n" + event({"choices": [{"delta": {"role": "assistant"}}]}))
        for word in self.words:
            await response.write(event({"choices": [{"delta": {"content": word}}]}))
        while not self.words:
            await response.write(event({"choices": [{"delta": {"content": "on "}}]}))
            await asyncio.sleep(0.001)
        await response.write(event({"choices": [], "usage": {}}) + b"data: [DONE]\n\n")


def event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


@asynccontextmanager
async def serving(fake: FakeServer, **settings: Any) -> AsyncIterator[RemoteModel]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", fake.complete)
    async with TestServer(app) as server:
        model = RemoteModel(LlmConfig(model="big", url=str(server.make_url("/v1")), **settings))
        try:
            yield model
        finally:
            await model.close()


async def test_pieces_arrive_and_the_request_says_what_was_configured() -> None:
    fake = FakeServer(["Good ", "morning."])
    async with serving(fake, key="secret", max_tokens=7, temperature=0.5) as model:
        assert [piece async for piece in model.reply(HELLO)] == ["Good ", "morning."]
    ((authorization, body),) = fake.asked
    assert authorization == "Bearer secret"
    assert body == {"model": "big", "messages": HELLO, "stream": True, "max_tokens": 7, "temperature": 0.5}


async def test_leaving_the_stream_ends_the_work_at_the_server() -> None:
    fake = FakeServer([])
    async with serving(fake) as model:
        stream = model.reply(HELLO)
        assert await anext(stream) == "on "
        await stream.aclose()
        await asyncio.wait_for(fake.left.wait(), 10)


async def test_a_refusal_says_what_the_server_said() -> None:
    async with serving(FakeServer([], status=503)) as model:
        with pytest.raises(LanguageModelError, match=r"/v1/chat/completions: 503 model is out to lunch"):
            await anext(model.reply(HELLO))


async def test_an_error_in_the_stream_is_raised() -> None:
    fake = FakeServer(["x"])
    fake._stream = lambda response: response.write(event({"error": {"message": "too long"}}))  # type: ignore[method-assign]
    async with serving(fake) as model:
        with pytest.raises(LanguageModelError, match="too long"):
            await anext(model.reply(HELLO))
