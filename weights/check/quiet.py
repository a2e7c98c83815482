"""Sessions in which the agent should say nothing: silence, noise, and talk that is meant for somebody else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from duplex.frame import SAMPLE_RATE
from weights.check.cases import Case, air, cases, sayings, script, seed_of
from weights.check.hearing import Family, Hearing, Scale, miss
from weights.check.judge import talks
from weights.check.play import Take
from weights.check.table import Miss, Row, rate
from weights.check.users import Cue, Script

BANG_EVERY_MS = 9_000.0


class Unprompted(Family):
    """Nobody speaks: digital silence, a room's steady noise, noise with bangs, in turn."""

    name = "quiet"

    def scripts(self, scale: Scale) -> list[Script]:
        found = cases("noise", scale.n, scale.seed, scale.engines)
        return [_KINDS[i % len(_KINDS)](i, case, scale) for i, case in enumerate(found)]

    def rows(self, takes: Sequence[Take], more: Sequence[Take], hearing: Hearing) -> list[Row]:
        wrong: list[Miss] = []
        times = 0
        for take in takes:
            spoke = talks(take.agent)
            times += len(spoke)
            if spoke or take.crash:
                why = f"spoke {len(spoke)} times, {sum(t.ms for t in spoke) / 1000:.1f} s"
                wrong.append(miss(take, None, hearing.heard(take, 0), why))
        minutes = sum(len(take.agent) for take in takes) / SAMPLE_RATE / 60
        value = round(times / minutes, 2) if minutes else None
        note = f"{times} times in {minutes:.1f} minutes, in {len(wrong)} of {len(takes)} sessions"
        what = "speaks unprompted in silence or noise"
        return [Row(what, value, "a minute", len(takes), ("<=", 0.2), note=note, misses=tuple(wrong))]


def _silence(index: int, case: Case, scale: Scale) -> Script:
    return _still(f"quiet-{index:03}-silence", case, np.zeros(SAMPLE_RATE, np.float32), scale)


def _hiss(index: int, case: Case, scale: Scale) -> Script:
    return _still(f"quiet-{index:03}-noise", case, air(case.dialogue), scale)


def _bangs(index: int, case: Case, scale: Scale) -> Script:
    name = f"quiet-{index:03}-bangs"
    number = int(scale.quiet_s * 1000 // BANG_EVERY_MS)
    lines = [case.user[0]] * number
    cues = [Cue("start", 2000 + i * BANG_EVERY_MS) for i in range(number)]
    said = sayings(case.dialogue, lines, cues)
    seed = seed_of(name, case.dialogue.seed)
    return Script(name, seed, said, air(case.dialogue), scale.quiet_s, settles=False, about=case.about)


def _still(name: str, case: Case, air: np.ndarray, scale: Scale) -> Script:
    seed = seed_of(name, case.dialogue.seed)
    return Script(name, seed, (), air, scale.quiet_s, settles=False, about=case.about)


_KINDS = (_silence, _hiss, _bangs)


class Asides(Family):
    """Someone talks to somebody else, or far away. No bound is set; it is reported."""

    name = "aside"

    def scripts(self, scale: Scale) -> list[Script]:
        out = []
        for scene in ("aside", "background"):
            found = enumerate(cases(scene, max(1, scale.n // 2), scale.seed, scale.engines))
            out += [script(f"{scene}-{i:03}", case, [Cue("start", 1500)]) for i, case in found]
        return out

    def rows(self, takes: Sequence[Take], more: Sequence[Take], hearing: Hearing) -> list[Row]:
        out = []
        for scene, what in (("aside", "answers talk to somebody else"), ("background", "answers a far voice")):
            own = [take for take in takes if take.script.name.startswith(scene)]
            spoke = [take for take in own if talks(take.agent) or take.crash]
            wrong = [miss(t, t.script.sayings[0].line, hearing.heard(t, 0), "spoke") for t in spoke]
            out.append(rate(what, len(spoke), len(own), None, "no bound is set", wrong))
        return out
