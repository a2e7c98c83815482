"""The agents under contract. To put another one under it, add a line to AGENTS."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import hibari
import numpy as np
import pytest

from duplex.agents import open_agent
from duplex.frame import SAMPLE_RATE, Frame, frames_of
from duplex.session import Agent
from tests.cascade.fakes import fake_cascade


@dataclass(frozen=True)
class Candidate:
    """How to open an agent with two seats. Timed: how long its own work takes shows in what it says, and when."""

    open: Callable[[], Agent]
    timed: bool = False


AGENTS = {
    "echo": Candidate(lambda: open_agent("echo", {"seats": 2, "delay_ms": 50})),
    "scripted": Candidate(lambda: open_agent("scripted", {"seats": 2})),
    "cascade with fake stages": Candidate(lambda: fake_cascade(seats=2)),
    "cascade": Candidate(lambda: open_agent("cascade", {"seats": 2}), timed=True),
    "native": Candidate(lambda: open_agent("native", {"seats": 2})),
}


@pytest.fixture(scope="session", params=AGENTS)
def candidate(request: pytest.FixtureRequest) -> Candidate:
    return AGENTS[request.param]


@pytest.fixture(scope="session")
def agent(candidate: Candidate) -> Iterator[Agent]:
    """Loaded once; every test opens its own sessions and closes them."""
    agent = candidate.open()
    yield agent
    asyncio.run(agent.close())


@pytest.fixture(scope="session")
def dialogue() -> list[Frame]:
    """A user who asks twice and waits: 0.5 s of silence, a question, 2 s, a question, 2 s."""
    voice, gap = hibari.Hibari(), np.zeros(SAMPLE_RATE, np.float32)
    first, second = voice("What is the capital of France?", seed=1), voice("And who wrote Hamlet?", seed=2)
    return list(frames_of(np.concatenate([gap[: SAMPLE_RATE // 2], first, gap, gap, second, gap, gap])))
