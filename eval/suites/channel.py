"""A user channel in the making: what is said when, to the sample, in which voice, how loud and over which noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from hibari import Hibari

from duplex.frame import SAMPLE_RATE
from duplex.turns import Span
from eval.scenario import Event, Facts, Kind, Scenario
from eval.suites.smoke import VOICES, Voice, spoken

LEAD_S = 0.8
CLEAN_DBFS = -70.0
NOISES_DBFS = (CLEAN_DBFS, CLEAN_DBFS, -55.0, -45.0)  # white, under the whole channel; speech peaks at -9
LEVELS_DB = (0.0, 0.0, -6.0, -12.0)  # of the user, relative to smoke's


@dataclass(slots=True)
class Channel:
    """Scenario `index` of a suite has a voice, a level and a noise of its own. `at` is where the next thing is said."""

    suite: str
    index: int
    at: int = round(LEAD_S * SAMPLE_RATE)
    events: list[Event] = field(default_factory=list)
    rng: np.random.Generator = field(init=False)
    _clips: list[tuple[int, np.ndarray]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng([*self.suite.encode(), self.index])

    @property
    def voice(self) -> Voice:
        return VOICES[self.index % len(VOICES)]

    def quiet(self, seconds: float) -> Channel:
        """Nothing is said, which is an event, too."""
        self.events.append(Event("noise", self.at, self.at + round(seconds * SAMPLE_RATE)))
        return self.wait(seconds)

    def wait(self, seconds: float) -> Channel:
        self.at += round(seconds * SAMPLE_RATE)
        return self

    def say(
        self, text: str, kind: Kind = "question", expect: Sequence[str] = (), level_db: float = 0.0, other: bool = False
    ) -> Channel:
        """At once; `other`: by somebody else than the user. What follows is said after it."""
        return self._say([text], [], kind, expect, level_db, other)

    def say_with_pauses(self, parts: Sequence[str], pauses_s: Sequence[float], expect: Sequence[str] = ()) -> Channel:
        """One question in several parts: each silence between two of them is an event, too."""
        return self._say(parts, pauses_s, "question", expect, 0.0, other=False)

    def scenario(self, tail_s: float) -> Scenario:
        """All of it, and `tail_s` seconds of noise."""
        samples = self.at + round(tail_s * SAMPLE_RATE)
        noise_dbfs = NOISES_DBFS[self.index // 3 % len(NOISES_DBFS)]
        level_db = LEVELS_DB[self.index // 2 % len(LEVELS_DB)]
        pcm = self.rng.standard_normal(samples) * 10 ** (noise_dbfs / 20)
        for begin, clip in self._clips:
            pcm[begin : begin + len(clip)] += clip * 10 ** (level_db / 20)
        said = next((e for e in self.events if e.kind == "question"), self.events[0])
        voice = f"{self.voice}; {level_db:+g} dB; noise {noise_dbfs:g} dBFS"
        facts = Facts(said.begin, said.end, samples, said.text, voice, self.index, said.expect, tuple(self.events))
        return Scenario(f"{self.suite}-{self.index + 1:02d}", pcm.astype(np.float32), facts)

    def _say(
        self, parts: Sequence[str], pauses_s: Sequence[float], kind: Kind, expect: Sequence[str], db: float, other: bool
    ) -> Channel:
        begin, pauses = self.at, []
        voice = VOICES[(self.index + 2) % len(VOICES)] if other else self.voice
        for i, part in enumerate(parts):
            clip = _clip(part, voice, self.index) * np.float32(10 ** (db / 20))
            self._clips.append((self.at, clip))
            self.at += len(clip)
            if i < len(pauses_s):
                pauses.append(Event("pause", self.at, self.at + round(pauses_s[i] * SAMPLE_RATE)))
                self.at = pauses[-1].end
        self.events += [Event(kind, begin, self.at, " ".join(parts), tuple(expect)), *pauses]
        return self


def spans(facts: Facts, *kinds: Kind) -> list[Span]:
    """Where the events of some kinds are."""
    return [Span(e.begin, e.end) for e in facts.events if e.kind in kinds]


@cache
def _clip(text: str, voice: Voice, seed: int) -> np.ndarray:
    return spoken(_speaker(), text, voice, seed)


@cache
def _speaker() -> Hibari:
    return Hibari()
