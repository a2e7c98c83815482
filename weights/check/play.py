"""Many trials at once against one agent: sessions step together, a frame each, as fast as the agent goes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from duplex.frame import FRAME_SAMPLES, PLAYOUT_LAG, Frame
from duplex.recording import RecordingWriter
from duplex.session import Agent, Sampling, Session, SessionConfig
from duplex.turns import Span
from weights.check.users import Script, User


@dataclass(frozen=True, slots=True, eq=False)
class Take:
    """A script, played. The agent's frame t sounds at tick t + PLAYOUT_LAG, as in a Recording."""

    script: Script
    agent: np.ndarray  # float32 [n]
    text: tuple[tuple[int, str], ...]  # (sample, words): the agent's text stream
    begins: tuple[int, ...]  # of the sayings that were said, in samples
    crash: str = ""

    def span(self, index: int) -> Span | None:
        """Where a saying sounded, None if it never did."""
        if index >= len(self.begins):
            return None
        return Span(self.begins[index], self.begins[index] + self.script.sayings[index].speech)

    def text_between(self, begin: int, end: int | None = None) -> str:
        last = len(self.agent) if end is None else end
        return "".join(words for at, words in self.text if begin <= at < last).strip()


@dataclass(slots=True, eq=False)
class _Trial:
    index: int
    user: User
    session: Session
    writer: RecordingWriter | None
    t: int = 0
    pcm: list[np.ndarray] = field(default_factory=lambda: [np.zeros(FRAME_SAMPLES, np.float32)] * PLAYOUT_LAG)
    text: list[tuple[int, str]] = field(default_factory=list)
    crash: str = ""

    async def tick(self) -> None:
        heard = Frame(self.t, self.user.say(self.t))
        try:
            said = await self.session.step(heard)
        except Exception as error:  # a crash is a result here
            self.crash = repr(error)
            return
        assert said.pcm is not None
        self.user.hear(said.pcm)
        self.pcm.append(said.pcm)
        if said.text:
            self.text.append(((self.t + PLAYOUT_LAG) * FRAME_SAMPLES, said.text))
        if self.writer:
            self.writer.append(heard, said)
        self.t += 1

    async def close(self) -> Take:
        await self.session.close()
        if self.writer:
            self.writer.close()
        return Take(self.user.script, np.concatenate(self.pcm), tuple(self.text), tuple(self.user.begins), self.crash)


async def play(
    agent: Agent,
    scripts: Sequence[Script],
    rows: int,
    keep: Path | None = None,
    tell: Callable[[float], object] = lambda share: None,
) -> list[Take]:
    """Every script in a fresh session, `rows` at a time -> takes in the scripts' order; Recordings in `keep`, if given.

    `tell` hears which share is done. Raises what `agent.open` raises.
    """
    waiting = deque(sorted(range(len(scripts)), key=lambda i: -scripts[i].limit_s))  # the longest first
    live: list[_Trial] = []
    takes: dict[int, Take] = {}
    while waiting or live:
        while waiting and len(live) < rows:
            live.append(await _open(agent, waiting[0], scripts[waiting.popleft()], keep))
        await asyncio.gather(*(trial.tick() for trial in live))
        for trial in [t for t in live if t.crash or t.user.over(t.t)]:
            takes[trial.index] = await trial.close()
            live.remove(trial)
            tell(len(takes) / len(scripts))
    return [takes[i] for i in range(len(scripts))]


async def _open(agent: Agent, index: int, script: Script, keep: Path | None) -> _Trial:
    session = await agent.open(SessionConfig(sampling=Sampling(text_seed=script.seed, audio_seed=script.seed)))
    writer = RecordingWriter(keep / script.name, {"script": script.name, "about": script.about}) if keep else None
    return _Trial(index, User(script), session, writer)
