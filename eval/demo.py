"""`make demo`: our server with both agents, the same recorded user for each in real time, the scores, the page."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from eval.play import described_by, over_wire, record
from eval.process import free_port, running, serve_command
from eval.provenance import provenance
from eval.report import compare
from eval.score import score
from eval.suites import scenarios_of
from eval.transcribe import whisper

AGENTS = ("native", "cascade")
SUITE, WIRE, TAIL_S = "smoke", "pcm", 3.0  # the tail is short so that the demo is


def demo(
    out: Path, n: int, seed: int, made: Mapping[str, Any], console: Console, agents: Sequence[str] = AGENTS
) -> dict[str, Any]:
    """Play, score, compare into `out`, anew each time; returns the summary. Raises ServerFailed."""
    port = free_port()
    url = f"ws://127.0.0.1:{port}"
    scenarios = scenarios_of(SUITE, n, TAIL_S)
    console.print("starting the server (the first time, weights are fetched) ...")
    with running(serve_command(agents, port), f"http://127.0.0.1:{port}/health", out / "server.log"):
        for agent in agents:
            how = {"agent": agent, "suite": SUITE, "wire": WIRE, "pace": "realtime", "seed": seed}
            meta = {**how, **described_by(url, agent), **provenance()}
            player = over_wire(url, WIRE, agent, True, seed)
            steps = track(scenarios, f"talking to {agent}", console=console)
            asyncio.run(record(steps, out / agent, player, meta, fresh=True))
    transcribe = whisper()
    for agent in track(agents, "scoring", console=console):
        score(out / agent, transcribe)
    return compare([out / agent for agent in agents], out, made)
