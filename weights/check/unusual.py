"""Users the agent was not made for: they talk on and on, say nothing, shout, whisper, call over a narrow line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.signal import resample_poly

from duplex.frame import SAMPLE_RATE
from weights.check.cases import Case, air, cases, script, through
from weights.check.hearing import Family, Hearing, Scale, miss
from weights.check.judge import overlap_s, talks
from weights.check.play import Take
from weights.check.table import Row, rate
from weights.check.turns import answer
from weights.check.users import Cue, Script
from weights.scenes import TALES
from weights.voices import WHISPERED

KINDS = ("talks on", "says nothing", "shouts", "whispers", "8 kHz")
SENTENCE_S = 5.0  # the longest sentence the agent knows
SHOUT_DB = 20.0  # over nominal: the loudest samples clip
WORDS_A_SECOND = 3.3  # of the fastest voices
NARROW_HZ = 8_000


class Unusual(Family):
    """Each kind a few times."""

    name = "unusual"

    def scripts(self, scale: Scale) -> list[Script]:
        each = max(1, scale.n // 5)
        found = cases("answer", 4 * scale.n, scale.seed, scale.engines)[
            -len(KINDS) * each :
        ]  # other users than those of "answers"
        return [_MADE[KINDS[i % len(KINDS)]](_name(i), case, scale) for i, case in enumerate(found)]

    def rows(self, takes: Sequence[Take], more: Sequence[Take], hearing: Hearing) -> list[Row]:
        wrong = []
        answered: dict[str, int] = dict.fromkeys(KINDS, 0)
        for take in takes:
            kind = take.script.name.split(":")[1]
            line = take.script.sayings[0].line if take.script.sayings else None
            answered[kind] += line is not None and answer(take, 0, hearing).right
            if (why := babble(take, hearing)) or take.crash:
                wrong.append(miss(take, line, hearing.heard(take, 0), why))
        note = f"faults: crashes, and babble of more than {SENTENCE_S:g} s; answered rightly: "
        each = len(takes) // len(KINDS)
        note += ", ".join(f"{kind} {hits} of {each}" for kind, hits in answered.items() if kind != "says nothing")
        return [rate("unusual user: crash or babble", len(wrong), len(takes), ("<=", 0), note, wrong)]


def babble(take: Take, hearing: Hearing) -> str:
    """How the agent babbled: over the user, or a talk that is longer than a sentence and no reply; "" if it did not."""
    spoken = talks(take.agent)
    user = take.span(0)
    if user and (over := overlap_s(spoken, user)) > SENTENCE_S:
        return f"talked over the user for {over:.1f} s"
    for talk in spoken:
        if talk.ms > SENTENCE_S * 1000 and not (user and hearing.taught(hearing.heard(take, talk.begin, talk.end))):
            return f"babbled for {talk.ms / 1000:.1f} s"
    return ""


def _name(index: int) -> str:
    return f"unusual-{index:03}:{KINDS[index % len(KINDS)]}"


def _talks_on(name: str, case: Case, scale: Scale) -> Script:
    """Tales for `scale.mono_s`, then the question."""
    words = " ".join(TALES * 4).split()[: round(scale.mono_s * WORDS_A_SECOND)]
    asks = case.lines[0]
    line = replace(asks, kind="tale", text=f"{' '.join(words).rstrip('.')}. {asks.text}", pauses=())
    return script(name, replace(case, lines=(line,)), [Cue("start", 1000)], 90.0)


def _says_nothing(name: str, case: Case, scale: Scale) -> Script:
    silent = script(name, case, [Cue("start", 0)])
    return replace(silent, sayings=(), limit_s=scale.quiet_s, settles=False)


def _shouts(name: str, case: Case, scale: Scale) -> Script:
    return script(name, through(case, level_db=SHOUT_DB), [Cue("start", 1000)])


def _whispers(name: str, case: Case, scale: Scale) -> Script:
    voice = replace(case.dialogue.voice, engine="hibari", pitch=WHISPERED)
    quiet = through(case, level_db=-12.0, snr_db=max(case.dialogue.channel.snr_db, 20.0))
    return script(name, replace(quiet, dialogue=replace(quiet.dialogue, voice=voice)), [Cue("start", 1000)])


def _narrow(name: str, case: Case, scale: Scale) -> Script:
    """Everything through 8,000 samples a second."""
    wide = script(name, case, [Cue("start", 1000)])
    said = tuple(replace(saying, pcm=_at_8_khz(saying.pcm)) for saying in wide.sayings)
    return replace(wide, sayings=said, air=_at_8_khz(air(case.dialogue)))


def _at_8_khz(pcm: np.ndarray) -> np.ndarray:
    step = SAMPLE_RATE // NARROW_HZ
    return np.asarray(resample_poly(resample_poly(pcm, 1, step), step, 1)[: len(pcm)], np.float32)


_MADE = dict(zip(KINDS, (_talks_on, _says_nothing, _shouts, _whispers, _narrow), strict=True))
