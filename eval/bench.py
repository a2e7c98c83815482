"""Timings that belong in no test: how long each agent takes over a tick, in process and in real time."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import numpy as np

from duplex.agents import open_agent
from duplex.frame import FRAME_MS
from duplex.recording import Recording
from duplex.session import Agent
from eval.play import in_process, record
from eval.suites.smoke import smoke

HEAD = ("agent", "model", "ticks", "step p50", "step p99", "late")
NOTE = f"Milliseconds from the user's frame to the agent's. Late: ticks over {FRAME_MS} ms. One session, real time."


def bench(name: str, questions: int = 3) -> list[str]:
    """One row of HEAD for the agent `name`."""
    agent = open_agent(name)
    steps = asyncio.run(_steps_ms(agent, questions))
    p50, p99 = np.percentile(steps, (50, 99))
    late = sum(ms > FRAME_MS for ms in steps)
    return [name, agent.capabilities.model, str(len(steps)), f"{p50:.1f}", f"{p99:.1f}", str(late)]


async def _steps_ms(agent: Agent, questions: int) -> list[float]:
    scenarios = smoke(questions, tail_s=4.0)
    with tempfile.TemporaryDirectory() as folder:
        try:
            await record(scenarios, Path(folder), in_process(agent, paced=True, seed=0), {})
        finally:
            await agent.close()
        ticks = [tick for s in scenarios for tick in Recording.open(Path(folder) / s.id).ticks]
    return [t.said_ms - t.heard_ms for t in ticks if t.said_ms is not None and t.heard_ms is not None]
