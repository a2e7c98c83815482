"""Timings that belong in no test: how long each agent takes over a tick, in process and in real time."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from duplex.agents import open_agent
from duplex.frame import FRAME_MS
from duplex.recording import Recording, Tick
from duplex.session import Agent
from eval.play import in_process, record
from eval.suites.smoke import smoke

HEAD = ("agent", "model", "ticks", "step p50", "step p99", "over 80 ms", "worst lag")
NOTE = (
    "One session in real time. Step: milliseconds an agent takes over a tick once it is free and the user's frame is "
    "complete. Worst lag: the longest from a complete user frame to the agent's, waiting in line included."
)


def bench(name: str, questions: int = 3) -> list[str]:
    """One row of HEAD for the agent `name`."""
    agent = open_agent(name)
    steps, lags = asyncio.run(_timed(agent, questions))
    p50, p99 = np.percentile(steps, (50, 99))
    late = sum(ms > FRAME_MS for ms in steps)
    return [name, agent.capabilities.model, str(len(steps)), f"{p50:.1f}", f"{p99:.1f}", str(late), f"{max(lags):.0f}"]


async def _timed(agent: Agent, questions: int) -> tuple[list[float], list[float]]:
    """Every tick's step time and lag, in ms."""
    scenarios = smoke(questions, tail_s=4.0)
    with tempfile.TemporaryDirectory() as folder:
        try:
            await record(scenarios, Path(folder), in_process(agent, paced=True, seed=0), {})
        finally:
            await agent.close()
        recordings = [Recording.open(Path(folder) / s.id).ticks for s in scenarios]
    steps = [ms for ticks in recordings for ms in step_times_ms(ticks)]
    return steps, [t.said_ms - t.heard_ms for ticks in recordings for t in ticks if t.said_ms and t.heard_ms]


def step_times_ms(ticks: Sequence[Tick]) -> list[float]:
    """How long each step took, from when its frame was complete and the step before it was over."""
    heard, said = [tick.heard_ms or 0.0 for tick in ticks], [tick.said_ms or 0.0 for tick in ticks]
    return [now - max(ready, free) for now, ready, free in zip(said, heard, [0.0, *said], strict=False)]
