"""Plays scenarios against an agent and keeps the Recordings: in process, or through a server over a wire.

Judges nothing. A complete recording of the same scenario, played the same way, is kept, so a run can be resumed.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from duplex.clients.phone import ring
from duplex.clients.replay import replay
from duplex.codec import Codec
from duplex.config import ConfigError
from duplex.frame import FRAME_MS, frames_of
from duplex.recording import NotARecording, Recording, RecordingWriter
from duplex.session import Agent, Capabilities, Sampling, Session, SessionConfig
from eval.provenance import weights
from eval.scenario import Scenario, facts_of, is_whole

Meta = Mapping[str, Any]
Player = Callable[[Scenario, Path, Meta], Awaitable[None]]  # plays one scenario, leaves PATH.wav and PATH.jsonl

SAME_RUN = (
    "agent",
    "settings",
    "suite",
    "scenario",
    "facts",
    "pace",
    "wire",
    "seed",
    "fdb",
)  # what must agree for a recording to be kept


async def record(scenarios: Iterable[Scenario], out: Path, player: Player, meta: Meta, fresh: bool = False) -> int:
    """Play each scenario to out/ID unless it is there already (`fresh`: play all); returns how many were played."""
    played = 0
    for scenario in scenarios:
        path, header = out / scenario.id, {**meta, **scenario.meta()}
        if fresh or not is_complete(path, header):
            await player(scenario, path, header)
            played += 1
    return played


def is_complete(path: Path, meta: Meta) -> bool:
    """Whether a whole recording of this scenario, made this way, lies at `path`."""
    try:
        recording = Recording.open(path)
    except NotARecording:
        return False
    wanted = json.loads(json.dumps({key: meta.get(key) for key in SAME_RUN}))
    same = all(recording.meta.get(key) == value for key, value in wanted.items())
    return same and is_whole(recording, facts_of(recording.meta))


def in_process(agent: Agent, paced: bool, seed: int) -> Player:
    """A player that steps sessions of `agent` here: one frame every 80 ms, or as fast as the agent goes."""
    config = SessionConfig(sampling=Sampling(text_seed=seed, audio_seed=seed), timings=True)

    async def play(scenario: Scenario, path: Path, meta: Meta) -> None:
        session = await agent.open(config)
        try:
            with RecordingWriter(path, meta) as writer:
                await converse(session, scenario, writer, paced)
        finally:
            await session.close()

    return play


async def converse(
    session: Session,
    scenario: Scenario,
    writer: RecordingWriter,
    paced: bool,
    now: Callable[[], float] = time.monotonic,  # seconds
) -> None:
    """One conversation. Paced, the user's frame t is complete at (t + 1) * 80 ms, however late the agent runs."""
    began = now()
    for heard in frames_of(scenario.pcm):
        if paced:
            heard_ms = float((heard.t + 1) * FRAME_MS)
            await asyncio.sleep(max(0.0, began + heard_ms / 1000 - now()))
        else:
            heard_ms = (now() - began) * 1000
        said = await session.step(heard)
        writer.append(heard, said, heard_ms, (now() - began) * 1000)


def described(can: Capabilities) -> Meta:
    """Capabilities for a header."""
    notes = [kind.__name__ for kind in can.notes]
    return {"model": can.model, "weights": weights(can.model), "capabilities": asdict(can) | {"notes": notes}}


def described_by(url: str, agent: str) -> Meta:
    """The same, as told by the server at `url` (ws://...). Raises ConfigError when it is silent or lacks the agent."""
    health = f"{re.sub('^ws', 'http', url).rstrip('/')}/health"
    try:
        with urlopen(health, timeout=10) as answer:
            agents = json.load(answer)["agents"]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"no duplex server answers at {health}: {error}") from None
    if agent not in agents:
        raise ConfigError(f"the server at {url} has no agent {agent!r}; it has {', '.join(agents)}")
    model = agents[agent]["model"]
    return {"model": model, "weights": weights(model), "capabilities": agents[agent]}


def over_wire(url: str, wire: str, agent: str, paced: bool, seed: int, codec: Codec | None = None) -> Player:
    """A player that talks to `agent` behind our server at `url`, as a client does; the wire "tokens" needs a codec.

    "twilio" is a telephone: what it heard is recorded, without words or events.
    """
    query = {"text_seed": str(seed), "audio_seed": str(seed), "timings": "true"}

    async def play(scenario: Scenario, path: Path, meta: Meta) -> None:
        if wire == "twilio":
            await ring(url, scenario.pcm, path, agent=agent, meta=meta)
            return
        how = {"wire": wire, "agent": agent, "realtime": paced, "query": query, "codec": codec}
        await replay(url, scenario.pcm, path, meta=meta, **how)

    return play
