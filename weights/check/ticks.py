"""How long a tick takes with one session and with sixteen, in real time, with nothing else in the process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import numpy as np

from duplex.frame import FRAME_SAMPLES, FRAME_SECONDS, Frame
from duplex.session import Agent, Sampling, SessionConfig
from weights.check.table import Row

BOUNDS_MS = {1: 40.0, 16: 80.0}  # sessions -> p99
WARM_UP = 12  # ticks that do not count
NOISE_RMS = 0.05


async def tick_times_ms(
    agent: Agent, sessions: int, ticks: int, now: Callable[[], float] = time.perf_counter
) -> np.ndarray:
    """float64 [ticks]: from all sessions' frames of a tick to all answers, a tick every 80 ms if the agent keeps up."""
    rng = np.random.default_rng(0)
    opened = [await agent.open(SessionConfig(sampling=Sampling(text_seed=i, audio_seed=i))) for i in range(sessions)]
    times = []
    due = now()
    for t in range(WARM_UP + ticks):
        pcm = rng.normal(0, NOISE_RMS, (sessions, FRAME_SAMPLES)).astype(np.float32)
        frames = [Frame(t, row) for row in pcm]
        await asyncio.sleep(max(0.0, due - now()))
        began = now()
        await asyncio.gather(*(session.step(frame) for session, frame in zip(opened, frames, strict=True)))
        times.append((now() - began) * 1000)
        due = max(due + FRAME_SECONDS, now())
    for session in opened:
        await session.close()
    return np.array(times[WARM_UP:])


def tick_rows(open_agent: Callable[[int], Agent], ticks: int, conditions: str) -> list[Row]:
    """One row for each number of sessions; `open_agent` gets it, the agent is closed after. `conditions` for people."""
    return [_row(open_agent, sessions, bound, ticks, conditions) for sessions, bound in BOUNDS_MS.items()]


def _row(open_agent: Callable[[int], Agent], sessions: int, bound: float, ticks: int, conditions: str) -> Row:
    agent = open_agent(sessions)
    try:
        times = asyncio.run(tick_times_ms(agent, sessions, ticks))
    finally:
        asyncio.run(agent.close())
    p50, p99 = np.percentile(times, (50, 99)).round(1).tolist()
    note = f"p50 {p50:g}, longest {times.max():.0f} ms; {conditions}"
    what = f"{sessions} seat{'s' * (sessions > 1)}: tick p99"
    return Row(what, p99, "ms", ticks, ("<=", bound), note=note)
