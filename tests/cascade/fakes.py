"""Stages without models, on a clock that jumps: what the cascade's own logic is tested with."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from duplex.agents.cascade.agent import CascadeAgent, Stages
from duplex.agents.cascade.config import CascadeConfig
from duplex.agents.cascade.memory import Message
from duplex.agents.cascade.tools import Call
from duplex.agents.cascade.vad import Score
from duplex.config import from_dict
from duplex.frame import FRAME_SECONDS, SAMPLE_RATE, Event, Frame, frames_of
from duplex.notes import Tool
from duplex.session import Session, SessionConfig

T = TypeVar("T")


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer as soon as nothing else is left to do."""

    def __init__(self) -> None:
        selector = selectors.DefaultSelector()
        super().__init__(selector)
        self._clock_s = 0.0
        look = selector.select

        def select(timeout: float | None = None) -> list[Any]:
            events = look(0)
            if not events and timeout is None:
                raise RuntimeError("deadlock: nothing to run and no timer")
            if not events and timeout:
                self._clock_s += timeout
            return events

        selector.select = select

    def time(self) -> float:
        return self._clock_s


def on_a_jumping_clock(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end; the seconds that pass cost none."""
    loop = JumpingLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()


class InPlace(Executor):
    """Runs a call where it is submitted, in no time."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def loud() -> Score:
    """A listener that takes everything above -40 dBFS for speech."""
    return lambda hop: float(np.sqrt(np.mean(np.square(hop))) > 0.01)


@dataclass
class FakeStt:
    """Says `text` of every turn, or how long it was when there is none."""

    delay_s: float = 0.0
    text: str | None = None
    turns: list[float] = field(default_factory=list)  # seconds of audio of each call
    cancelled: int = 0

    async def transcribe(self, pcm: np.ndarray) -> str:
        self.turns.append(len(pcm) / 16_000)
        try:
            await asyncio.sleep(self.delay_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return f"turn of {len(pcm)}" if self.text is None else self.text

    def close(self) -> None: ...


@dataclass
class FakeLlm:
    """Answers with `text`, word by word."""

    first_s: float = 0.0
    each_s: float = 0.0
    text: str = "One two three four five. Six seven eight nine ten."
    asked: list[list[Message]] = field(default_factory=list)
    cancelled: int = 0
    pieces: int = 0
    prepared: int = 0  # how often tools were announced

    async def reply(self, messages: list[Message]) -> AsyncGenerator[str, None]:
        self.asked.append(messages)
        try:
            await asyncio.sleep(self.first_s)
            for word in self.text.split():
                self.pieces += 1
                yield " " + word
                await asyncio.sleep(self.each_s)
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise

    def prepare_tools(self) -> None:
        self.prepared += 1

    async def choose(self, messages: list[Message], tools: tuple[Tool, ...], choice: str) -> Call | None:
        return None

    async def close(self) -> None: ...


@dataclass
class FakeTts:
    """A tone of 100 ms a word."""

    delay_s: float = 0.0
    spoken: list[str] = field(default_factory=list)
    voices: tuple[str, ...] = ("heart", "other")

    async def speak(self, text: str, voice: str) -> np.ndarray:
        await asyncio.sleep(self.delay_s)
        self.spoken.append(text)
        clock = np.arange(len(text.split()) * SAMPLE_RATE // 10)
        return (0.3 * np.sin(clock * 0.05)).astype(np.float32)

    def close(self) -> None: ...


def fake_cascade(
    stt: Any = None, llm: Any = None, tts: Any = None, now: Callable[[], float] = lambda: 0.0, **settings: Any
) -> CascadeAgent:
    """A cascade that hears loudness. With the default clock its stages take no time at all."""
    stages = Stages(loud, stt or FakeStt(), llm or FakeLlm(), tts or FakeTts())
    return CascadeAgent(from_dict(CascadeConfig, settings), stages, now, InPlace())


def talk(*spans_ms: tuple[int, int], until_ms: int) -> list[Frame]:
    """A user who makes noise in each [begin, end)."""
    pcm = np.zeros(until_ms * SAMPLE_RATE // 1000, np.float32)
    noise = np.random.default_rng(0).normal(0, 0.1, len(pcm)).astype(np.float32)
    for begin, end in spans_ms:
        span = slice(begin * SAMPLE_RATE // 1000, end * SAMPLE_RATE // 1000)
        pcm[span] = noise[span]
    return list(frames_of(pcm))


async def play(session: Session, frames: list[Frame], paced: bool = False) -> list[Frame]:
    """Every frame through the session, each at its time on the loop's clock when paced."""
    loop = asyncio.get_running_loop()
    start, said = loop.time(), []
    for heard in frames:
        if paced:
            await asyncio.sleep(start + (heard.t + 1) * FRAME_SECONDS - loop.time())
        said.append(await session.step(heard))
    return said


def converse(
    frames: list[Frame],
    *,
    stt: Any = None,
    llm: Any = None,
    tts: Any = None,
    paced: bool = False,
    config: SessionConfig | None = None,
    **settings: Any,
) -> list[Frame]:
    """One whole session on a jumping clock -> what was said."""

    async def main() -> list[Frame]:
        agent = fake_cascade(stt, llm, tts, asyncio.get_running_loop().time, **settings)
        session = await agent.open(config or SessionConfig())
        said = await play(session, frames, paced)
        await agent.close()
        return said

    return on_a_jumping_clock(main())


def events(said: list[Frame], kind: type[Event]) -> list[tuple[int, Any]]:
    """(tick, event) of one kind, in order."""
    return [(frame.t, event) for frame in said for event in frame.events if isinstance(event, kind)]


def text(said: list[Frame]) -> str:
    return "".join(frame.text for frame in said).strip()


def loud_ticks(said: list[Frame]) -> list[int]:
    """The ticks in which something can be heard."""
    return [frame.t for frame in said if frame.pcm is not None and np.abs(frame.pcm).max() > 1e-3]
