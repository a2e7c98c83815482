"""One long conversation: is the last minute as good as the first?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from duplex.frame import SAMPLE_RATE
from weights.check.cases import Case, cases, script
from weights.check.hearing import Family, Hearing, Scale
from weights.check.play import Take
from weights.check.table import Row, rate
from weights.check.turns import Answer, answer, misses
from weights.check.users import Cue, Script

A_TURN_S = 4.5  # at least, on average: a question, its answer, a rest
MAY_FALL = 10.0  # points between the first minute and the last


@dataclass(frozen=True, slots=True)
class Minute:
    """The questions of one minute, in all sessions."""

    answers: tuple[Answer, ...]

    @property
    def response(self) -> float:
        return 100 * sum(a.latency_ms is not None for a in self.answers) / max(len(self.answers), 1)

    @property
    def right(self) -> float:
        return 100 * sum(a.right for a in self.answers) / max(len(self.answers), 1)

    def __str__(self) -> str:
        n = len(self.answers)
        answered, right = sum(a.latency_ms is not None for a in self.answers), sum(a.right for a in self.answers)
        return f"{answered} of {n} answered, {right} right"


class Long(Family):
    """One user a session, who asks on and on, each time when the answer is over."""

    name = "long"

    def scripts(self, scale: Scale) -> list[Script]:
        each = round(scale.long_s / A_TURN_S)
        found = cases("answer", 8 * scale.n + each, scale.seed + 1, scale.engines)
        return [self._script(i, found[i * 8 :][:each], scale) for i in range(min(scale.together, scale.n))]

    def _script(self, index: int, asked: Sequence[Case], scale: Scale) -> Script:
        rng = np.random.default_rng((scale.seed, index))
        cues = [Cue("quiet", float(rng.uniform(300, 2000))) for _ in asked]
        lines = tuple(case.lines[0] for case in asked)
        whole = script(f"long-{index:03}", replace(asked[0], lines=lines), cues, scale.long_s)
        return replace(whole, settles=False)

    def rows(self, takes: Sequence[Take], more: Sequence[Take], hearing: Hearing) -> list[Row]:
        limit_s = max((take.script.limit_s for take in takes), default=0.0)
        window_s = min(60.0, limit_s / 2)
        first, last = (minute(takes, begin, begin + window_s, hearing) for begin in (0.0, limit_s - window_s))
        crashed = sum(bool(take.crash) for take in takes)
        fell = max(first.response - last.response, first.right - last.right)
        n = len(first.answers) + len(last.answers)
        note = f"first {window_s:.0f} s: {first}; last: {last}; {len(takes)} sessions, {crashed} crashed"
        what = f"{limit_s / 60:g} minutes: points lost, first minute to last"
        value = None if crashed or not last.answers or not last.response else round(fell, 1)
        return [
            Row(what, value, "", n, ("<=", MAY_FALL), note=note),
            rate(
                "right content in the last minute",
                sum(a.right for a in last.answers),
                len(last.answers),
                None,
                "",
                misses(last.answers),
            ),
        ]


def minute(takes: Sequence[Take], begin_s: float, end_s: float, hearing: Hearing) -> Minute:
    """Every question that began in [begin_s, end_s) and had the time to be answered."""
    begin, end = round(begin_s * SAMPLE_RATE), round(end_s * SAMPLE_RATE)
    out = []
    for take in takes:
        for i, (at, following) in enumerate(zip(take.begins, take.begins[1:], strict=False)):
            if begin <= at < end and following <= len(take.agent):
                out.append(answer(take, i, hearing, end=following))
    return Minute(tuple(out))
