"""A real server on a loopback port, and agents that speak codes, fail or hang."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import numpy as np
from aiohttp import web

from duplex.agents.echo import open_echo, open_scripted
from duplex.events import Answered, Answering, Hop, SpeechStopped
from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE, Frame
from duplex.notes import Note
from duplex.server import ServerConfig, make_app
from duplex.server.app import HOUSE
from duplex.server.house import House
from duplex.session import Agent, AtCapacity, Capabilities, SessionConfig, Ticks, cannot, refuse

SILENCE_S16 = bytes(FRAME_SAMPLES * 2)


class Puppet:
    """An agent whose every step is the function `answer`; it remembers what was asked and what was closed."""

    def __init__(self, answer: Callable[[Frame], Frame], can: Capabilities) -> None:
        self.capabilities, self.answer = can, answer
        self.asked: list[SessionConfig] = []
        self.closed = 0

    async def open(self, config: SessionConfig) -> PuppetSession:
        refuse(config, self.capabilities)
        if len(self.asked) - self.closed >= self.capabilities.seats:
            raise AtCapacity(f"all {self.capabilities.seats} seats are taken")
        self.asked.append(config)
        return PuppetSession(self, config)

    async def close(self) -> None: ...


class PuppetSession:
    def __init__(self, agent: Puppet, config: SessionConfig) -> None:
        self._agent, self._ticks = agent, Ticks(config.medium)

    async def step(self, heard: Frame) -> Frame:
        self._ticks.check(heard)
        said = self._agent.answer(heard)
        return await said if asyncio.iscoroutine(said) else said

    async def tell(self, note: Note) -> None:
        raise cannot(note, self._agent.capabilities)

    async def close(self) -> None:
        self._agent.closed += 1


def codes_echo(seats: int = 4) -> Puppet:
    """Says back the codes it hears, each plus one, with a word and an event in tick 1."""

    def answer(heard: Frame) -> Frame:
        said = Frame(heard.t, codes=(heard.codes + 1) % 2048)
        return replace(said, text=" one", events=(Hop("stt", 12.5),)) if heard.t == 1 else said

    return Puppet(answer, Capabilities("codes", codebooks=8, cardinality=2048, codec="c0ffee", seats=seats))


def turn_teller(begin: int = 10, ticks: int = 5) -> Puppet:
    """Says "well" in a tone from tick `begin` on, and tells its turns."""

    def answer(heard: Frame) -> Frame:
        speaking = begin <= heard.t < begin + ticks
        clock = np.arange(FRAME_SAMPLES) * (2 * np.pi * 300 / SAMPLE_RATE)
        pcm = (0.3 * np.sin(clock) * speaking).astype(np.float32)
        told = {begin: (SpeechStopped(heard.t * FRAME_SAMPLES), Answering()), begin + ticks: (Answered(),)}
        return Frame(heard.t, pcm, text=" well" if heard.t == begin else "", events=told.get(heard.t, ()))

    return Puppet(answer, Capabilities("turns", seats=4))


def failing(seats: int = 4) -> Puppet:
    """Breaks in tick 2."""

    def answer(heard: Frame) -> Frame:
        if heard.t == 2:
            raise RuntimeError("the agent's own secret")
        return heard

    return Puppet(answer, Capabilities("failing", seats=seats))


def hanging() -> Puppet:
    """Never answers."""

    async def answer(_: Frame) -> Frame:
        await asyncio.Event().wait()
        raise AssertionError

    return Puppet(answer, Capabilities("hanging"))  # type: ignore[arg-type]


class Site:
    """Where the server is, and a client's session to reach it."""

    def __init__(self, base: str, house: House, http: aiohttp.ClientSession) -> None:
        self.base, self.house, self.http = base, house, http

    async def call(self, path: str, **options) -> aiohttp.ClientWebSocketResponse:
        return await self.http.ws_connect(self.base + path, max_msg_size=0, **options)


@asynccontextmanager
async def site(agents: Mapping[str, Agent] | None = None, **config) -> AsyncIterator[Site]:
    """A server with `agents` (default: echo and scripted), unpaced unless told otherwise."""
    agents = agents or {"echo": open_echo({}), "scripted": open_scripted({})}
    app = make_app(agents, ServerConfig(**{"paced": False, **config}))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    listening = web.TCPSite(runner, "127.0.0.1", 0)
    await listening.start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession() as http:
            yield Site(f"http://127.0.0.1:{port}", app[HOUSE], http)
    finally:
        await runner.cleanup()


async def ending(socket: aiohttp.ClientWebSocketResponse) -> tuple[list[str | bytes], int | None, str]:
    """Everything until the server closes: (messages, close code, reason)."""
    messages: list[str | bytes] = []
    while True:
        message = await socket.receive(10)
        if message.type is aiohttp.WSMsgType.CLOSE:
            return messages, message.data, message.extra or ""
        if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            return messages, socket.close_code, ""
        messages.append(message.data)


def chirp(ticks: int) -> np.ndarray:
    """float32 [ticks * 1920] whose every stretch is different, so that a shift in time cannot hide."""
    clock_s = np.arange(ticks * FRAME_SAMPLES) / SAMPLE_RATE
    return (0.4 * np.sin(2 * np.pi * (200 * clock_s + 600 * clock_s**2))).astype(np.float32)
