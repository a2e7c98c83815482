"""Scenarios against an agent that is opened here: in this process, or dealt out to several, each with its own agent."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from duplex.agents import open_agent
from duplex.recording import Recording
from eval.play import described, in_process, record
from eval.provenance import provenance
from eval.scenario import Scenario
from eval.suites import scenarios_of


@dataclass(frozen=True, slots=True)
class Run:
    """What is played how, and where it is kept."""

    out: Path
    agent: str
    suite: str
    settings: Mapping[str, Any]  # of the agent
    paced: bool = False  # in real time, or else as fast as the agent goes
    seed: int = 0

    def meta(self) -> dict[str, Any]:
        """For the headers, but for what the agent says of itself."""
        pace = "realtime" if self.paced else "unpaced"
        how = {"agent": self.agent, "settings": dict(self.settings), "suite": self.suite, "pace": pace}
        return {**how, "seed": self.seed, **provenance(), "wire": "in process"}


async def play(run: Run, scenarios: Iterable[Scenario]) -> int:
    """In this process; returns how many were played: what lies in `run.out` already is kept.

    Raises what opening the agent raises.
    """
    agent = open_agent(run.agent, run.settings)
    try:
        meta = {**run.meta(), **described(agent.capabilities)}
        return await record(scenarios, run.out, in_process(agent, run.paced, run.seed), meta)
    finally:
        await agent.close()


def play_in(jobs: int, run: Run, scenarios: Sequence[Scenario]) -> Generator[None, None, int]:
    """The same in `jobs` processes; yields whenever a scenario is done."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(jobs, mp_context=context) as pool:
        done = manager.Queue()
        parts = [pool.submit(_part, run, scenarios[k::jobs], done) for k in range(jobs)]
        left = len(scenarios)
        while left and not all(part.done() for part in parts):
            try:
                done.get(timeout=0.5)
            except Empty:
                continue
            left -= 1
            yield
        return sum(part.result() for part in parts)


async def play_here(
    out: Path,
    agent: str,
    suite: str,
    n: int,
    tail_s: float = 6.0,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,  # of the agent
) -> list[Recording]:
    """The first `n` scenarios of `suite`, as fast as the agent goes, in order; what lies in `out` already is kept.

    Raises what opening the agent raises, and ConfigError for an unknown suite.
    """
    scenarios = scenarios_of(suite, n, tail_s)
    await play(Run(out, agent, suite, settings or {}, seed=seed), scenarios)
    return [Recording.open(out / scenario.id) for scenario in scenarios]


def _part(run: Run, scenarios: Sequence[Scenario], done: Queue[str]) -> int:
    return asyncio.run(play(run, _told(scenarios, done)))


def _told(scenarios: Sequence[Scenario], done: Queue[str]) -> Iterator[Scenario]:
    for scenario in scenarios:
        yield scenario
        done.put(scenario.id)
