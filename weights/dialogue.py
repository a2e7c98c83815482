"""A dialogue as data: who says what when, before there is any sound. Lengths are unknown here, so times are relative:
a line begins `gap_ms` after a word of an earlier line has ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from weights.air import Channel
from weights.intents import Split
from weights.voices import Voice

LAST = -1  # the last word of a line
START = -1  # instead of a line: the start of the dialogue

Kind = Literal["question", "reply", "interruption", "backchannel", "aside", "background", "noise", "tale", "greeting"]


@dataclass(frozen=True, slots=True)
class Line:
    """One utterance of one party, or a noise (text ""), which begins `gap_ms` after word `word` of line `after`."""

    who: Literal["user", "agent", "other"]
    kind: Kind
    text: str
    scene: str
    after: int = START  # index of an earlier line
    word: int = LAST  # index into that line's text.split()
    gap_ms: int = 0
    intent: str = ""
    expect: str = ""  # the slot's answer, where there is one
    pauses: tuple[tuple[int, int], ...] = ()  # (after this word, ms)
    stops: int | None = None  # the agent's line that this one brings to an end
    stop_ticks: int = 3  # whole ticks after the tick in which it began
    doubt_ticks: int = 0  # of them, in which it may still be one that stops nothing
    level_db: float = 0.0  # relative to the channel's level


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Everything that `weights.synth.render` needs; equal plans give equal bytes."""

    seed: int
    split: Split
    voice: Voice
    other: Voice  # who is heard in the background
    channel: Channel
    lines: tuple[Line, ...]
    rest_ms: int  # silence after the last line

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
