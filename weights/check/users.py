"""A user who hears: what he says is fixed, when he says it may depend on the agent. Knows no agent, only its sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from duplex.frame import FRAME_SAMPLES, PLAYOUT_LAG, SAMPLE_RATE
from duplex.turns import ENERGY_GATE, Span, TurnDetector, levels_db
from eval.metrics.response import MIN_SPEECH_MS
from weights.check.judge import ANSWER_WINDOW_MS
from weights.dialogue import Line

QUIET_MS = 1500.0  # of silence after an answer: it is over
PATIENCE_MS = 30_000.0  # then the user goes on, even if the agent still talks


@dataclass(frozen=True, slots=True)
class Cue:
    """When a saying begins: `ms` after the start, after the agent became audible, or after its answer is over."""

    after: Literal["start", "onset", "quiet"]
    ms: float


@dataclass(frozen=True, slots=True, eq=False)
class Saying:
    """One utterance as it arrives."""

    line: Line
    pcm: np.ndarray  # float32 [n], reverberation included
    speech: int  # samples up to the end of speech
    cue: Cue
    pause: int = 0  # where the first pause inside it begins, in samples; 0: there is none


@dataclass(frozen=True, slots=True, eq=False)
class Script:
    """Everything about one trial that does not depend on the agent."""

    name: str
    seed: int  # of the agent's sampling
    sayings: tuple[Saying, ...]
    air: np.ndarray  # float32 [n]: what is heard all the time, repeated as long as it takes
    limit_s: float = 45.0
    settles: bool = True  # over once the last saying is answered or its window has passed; else only at the limit
    about: str = ""  # for people: who speaks, through what
    who: str = ""  # the engine, and whom it imitates


class Ear:
    """Where an agent's channel speaks, frame by frame, on the listener's clock."""

    def __init__(self) -> None:
        self._detector = TurnDetector(ENERGY_GATE)
        self._spans: list[list[int]] = []  # [begin, last sample known to be of it]
        self.now = PLAYOUT_LAG * FRAME_SAMPLES  # one past the last sample heard

    def push(self, pcm: np.ndarray) -> None:
        """The agent's next frame, float32 [1920]."""
        for level in levels_db(pcm):
            edge = self._detector.push(level)
            if edge and edge.kind == "began":
                self._spans.append([PLAYOUT_LAG * FRAME_SAMPLES + edge.sample, 0])
            elif edge:
                self._spans[-1][1] = PLAYOUT_LAG * FRAME_SAMPLES + edge.sample
        self.now += len(pcm)
        if self._detector.speaking:
            self._spans[-1][1] = self.now

    @property
    def speaking(self) -> bool:
        return self._detector.speaking

    def onset(self, since: int) -> int | None:
        """The first sample of the first speech that began at or after `since`, clicks left out."""
        enough = MIN_SPEECH_MS * SAMPLE_RATE / 1000
        return next((begin for begin, end in self._spans if begin >= since and end - begin >= enough), None)

    def quiet(self) -> int:
        """Samples since the agent last spoke."""
        return self.now - max((end for _, end in self._spans), default=0)


class User:
    """Plays a script against what he hears, one frame at a time: `say(t)`, then `hear` the agent's frame t."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.begins: list[int] = []  # of the sayings so far, in samples; they may lie ahead
        self._ear = Ear()

    def say(self, t: int) -> np.ndarray:
        """float32 [1920]."""
        now = t * FRAME_SAMPLES
        self._plan(now)
        pcm = np.take(self.script.air, np.arange(now, now + FRAME_SAMPLES), mode="wrap")
        for begin, saying in zip(self.begins, self.script.sayings, strict=False):
            first, last = max(now, begin), min(now + FRAME_SAMPLES, begin + len(saying.pcm))
            if first < last:
                pcm[first - now : last - now] += saying.pcm[first - begin : last - begin]
        return np.clip(pcm, -1, 1).astype(np.float32)

    def hear(self, pcm: np.ndarray) -> None:
        """What the agent said in the tick that was just played, float32 [1920]."""
        self._ear.push(pcm)

    def over(self, t: int) -> bool:
        """Whether the trial has ended before tick t."""
        now, script = t * FRAME_SAMPLES, self.script
        if now >= script.limit_s * SAMPLE_RATE:
            return True
        if not script.settles or not self.begins:
            return False
        waits = len(self.begins) < len(script.sayings)
        if waits and script.sayings[len(self.begins)].cue.after == "onset":
            return self._unanswered(now)
        return not waits and self._settled(now)

    def _plan(self, now: int) -> None:
        """Give the sayings that have their cue a begin, from `now` on."""
        while len(self.begins) < len(self.script.sayings):
            begin = self._begin(self.script.sayings[len(self.begins)].cue, now)
            if begin is None:
                return
            self.begins.append(max(begin, now))

    def _begin(self, cue: Cue, now: int) -> int | None:
        if cue.after == "start" or not self.begins:
            return _samples(cue.ms)
        if cue.after == "onset":
            onset = self._ear.onset(self.begins[-1])
            return None if onset is None else onset + _samples(cue.ms)
        return now + _samples(cue.ms) if self._settled(now) else None

    def _spoken(self) -> Span:
        begin = self.begins[-1]
        return Span(begin, begin + self.script.sayings[len(self.begins) - 1].speech)

    def _unanswered(self, now: int) -> bool:
        spoken = self._spoken()
        return self._ear.onset(spoken.begin) is None and now >= spoken.end + _samples(ANSWER_WINDOW_MS)

    def _settled(self, now: int) -> bool:
        """The last saying is over and answered, or will not be."""
        spoken = self._spoken()
        if now < spoken.end:
            return False
        if self._unanswered(now) or now >= spoken.end + _samples(PATIENCE_MS):
            return True
        answered = self._ear.onset(spoken.begin) is not None
        since = min(self._ear.quiet(), now - spoken.end)
        return answered and not self._ear.speaking and since >= _samples(QUIET_MS)


def _samples(ms: float) -> int:
    return round(ms * SAMPLE_RATE / 1000)
