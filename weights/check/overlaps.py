"""The user talks while the agent does: an interruption should stop it, a backchannel should not.

Each trial is played twice. First without: how long would the reply be? Then with: the user begins at a point from which
the reply had at least STOP_WINDOW_MS to go, so that a stop can be told from an end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from duplex.frame import SAMPLE_RATE
from weights.check.cases import cases, script
from weights.check.hearing import Family, Hearing, Scale, miss
from weights.check.judge import STOP_WINDOW_MS, Stop, stop, talks
from weights.check.play import Take
from weights.check.table import Miss, Row, rate
from weights.check.turns import answer
from weights.check.users import Cue, Script

AFTER_MS = 1000.0  # the user lets the agent talk for at least so long
LEFT_MS = STOP_WINDOW_MS + 500.0  # and speaks when at least this much is left
WITH = "+"  # a trial's name, once the user talks into the reply


@dataclass(frozen=True, slots=True)
class Met:
    """One overlap, judged."""

    take: Take
    stop: Stop
    heard: str

    def miss(self, why: str) -> Miss:
        line = self.take.script.sayings[1].line
        return miss(self.take, line, self.heard, self.stop.void or why, void=bool(self.stop.void))


class _Overlaps(Family):
    """A long reply, and something the user says into it."""

    name = ""
    scene = ""

    def scripts(self, scale: Scale) -> list[Script]:
        """The question alone."""
        return [replace(whole, sayings=whole.sayings[:1]) for whole in self._whole(scale)]

    def _whole(self, scale: Scale) -> list[Script]:
        """With all that will be said; the cue of the second saying comes only with `more`."""
        found = enumerate(cases(self.scene, round(1.5 * scale.n), scale.seed, scale.engines))
        cues = [Cue("start", 800), Cue("onset", 0)]
        return [script(f"{self.name}-{i:03}", case, cues, 60.0) for i, case in found]

    def more(self, takes: Sequence[Take], scale: Scale) -> list[Script]:
        rng = np.random.default_rng(scale.seed)
        out = []
        for take, whole in zip(takes, self._whole(scale), strict=True):
            spare = reply_ms(take) - AFTER_MS - LEFT_MS
            at_ms = AFTER_MS + float(rng.random()) * spare
            if spare > 0:
                asks, says = whole.sayings
                second = replace(says, cue=Cue("onset", at_ms))
                out.append(replace(whole, name=whole.name + WITH, sayings=(asks, second)))
        return out

    def met(self, takes: Sequence[Take], more: Sequence[Take], hearing: Hearing) -> tuple[list[Met], list[Miss]]:
        """(judged, void): void are replies that were too short, and those that say nothing."""
        alone = {take.script.name: take for take in takes}
        out = []
        for take in more:
            span, asked = take.span(1), take.span(0)
            heard = hearing.heard(take, asked.begin if asked else 0)
            if span is None or asked is None:
                out.append(Met(take, Stop(False, void="the reply did not come a second time"), heard))
                continue
            before = alone[take.script.name.removesuffix(WITH)]
            end = _reply(take, asked.begin) + round(reply_ms(before) * SAMPLE_RATE / 1000)
            out.append(Met(take, stop(take.agent, span.begin, end), heard))
        void = [m.miss("") for m in out if m.stop.void]
        return [m for m in out if not m.stop.void], void + self._short(takes, more, hearing)

    def _short(self, takes: Sequence[Take], more: Sequence[Take], hearing: Hearing) -> list[Miss]:
        """Trials that were not played a second time, as void."""
        played = {take.script.name.removesuffix(WITH) for take in more}
        left = [take for take in takes if take.script.name not in played]
        why = f"its reply was shorter than {AFTER_MS + LEFT_MS:.0f} ms"
        return [miss(t, t.script.sayings[0].line, hearing.heard(t, 0), why, void=True) for t in left]


class Interruptions(_Overlaps):
    """A new question into a long reply."""

    name = "interrupt"
    scene = "interrupt"

    def rows(self, takes: Sequence[Take], more: Sequence[Take], hearing: Hearing) -> list[Row]:
        met, void = self.met(takes, more, hearing)
        yielded = [m for m in met if m.stop.yielded]
        times = [m.stop.latency_ms for m in yielded if m.stop.latency_ms is not None]
        right = sum(answer(m.take, 1, hearing, begin=_answer_from(m)).right for m in yielded)
        missed = [*(m.miss("went on talking") for m in met if m not in yielded), *void]
        note = f"of {len(takes)} trials {len(void)} void; new question answered rightly {right} of {len(met)}"
        p50 = float(np.percentile(times, 50).round()) if times else None
        p90 = f"p90 {np.percentile(times, 90):.0f} ms" if times else ""
        return [
            rate("interrupted: yields within 2 s", len(yielded), len(met), (">=", 95), note, missed),
            Row("stop latency p50", p50, "ms", len(times), ("<=", 480), note=p90),
        ]


class Backchannels(_Overlaps):
    """ "Uh-huh" into a long reply."""

    name = "backchannel"
    scene = "backchannel"

    def rows(self, takes: Sequence[Take], more: Sequence[Take], hearing: Hearing) -> list[Row]:
        met, void = self.met(takes, more, hearing)
        stopped = [m for m in met if m.stop.yielded]
        missed = [*(m.miss(f"stopped after {m.stop.latency_ms:.0f} ms") for m in stopped), *void]
        note = f"of {len(takes)} trials {len(void)} void"
        kept = len(met) - len(stopped)
        return [rate("keeps talking through a backchannel", kept, len(met), (">=", 85), note, missed)]


def reply_ms(take: Take) -> float:
    """How long the first talk after the question lasts; 0 without one."""
    asked = take.span(0)
    if asked is None:
        return 0.0
    return next((talk.ms for talk in talks(take.agent) if talk.begin >= asked.begin), 0.0)


def _reply(take: Take, since: int) -> int:
    """Where the first talk begins."""
    return next((talk.begin for talk in talks(take.agent) if talk.begin >= since), since)


def _answer_from(met: Met) -> int:
    """Where the answer to the interruption may begin: where the reply stopped."""
    span = met.take.span(1)
    assert span is not None and met.stop.latency_ms is not None
    return span.begin + round((met.stop.latency_ms + 50) * SAMPLE_RATE / 1000)
