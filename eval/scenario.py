"""What the user does in one conversation, and what is known about it by construction. Knows no agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from duplex.config import ConfigError, from_dict
from duplex.frame import FRAME_SAMPLES
from duplex.recording import Recording
from duplex.turns import Span

Kind = Literal["question", "pause", "interruption", "backchannel", "aside", "background", "noise"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the user's channel does, in samples on the session's clock."""

    kind: Kind
    begin: int
    end: int
    text: str = ""
    expect: tuple[str, ...] = ()  # words of which a right answer holds at least one


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true about a question, whatever any detector thinks. Samples are on the session's clock."""

    user_begin_sample: int  # the first sample of speech
    user_end_sample: int  # one past the last sample of speech
    samples: int  # of the whole user channel, tail included
    text: str  # what is said
    voice: str
    seed: int
    expect: tuple[str, ...] = ()  # words of which a right answer holds at least one; () where any answer will do
    events: tuple[Event, ...] = ()  # everything that happens, the question above included, in order of their begin

    @property
    def user(self) -> Span:
        return Span(self.user_begin_sample, self.user_end_sample)

    @property
    def happens(self) -> tuple[Event, ...]:
        """The events; of a scenario that lists none, its one question."""
        return self.events or (Event("question", *self.user, self.text, self.expect),)


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """One user channel, float32 [facts.samples], played from tick 0 of a fresh session."""

    id: str  # also the name of the recording's files
    pcm: np.ndarray
    facts: Facts
    source: Mapping[str, Any] = field(default_factory=dict)  # what else its suite wants kept in the header

    def meta(self) -> dict[str, Any]:
        """For a recording's header."""
        return {**self.source, "scenario": self.id, "facts": asdict(self.facts)}


def facts_of(meta: Mapping[str, Any]) -> Facts:
    """The facts in a recording's header. Raises ConfigError when there are none, or not ours."""
    if "facts" not in meta:
        raise ConfigError("no scenario facts in the header: only what `python -m eval run` recorded can be scored")
    return from_dict(Facts, meta["facts"], "facts")


def is_whole(recording: Recording, facts: Facts) -> bool:
    """Whether the recording reaches to the end of its scenario, in its ticks and in its sound."""
    return len(recording.ticks) * FRAME_SAMPLES >= facts.samples and len(recording.user) >= facts.samples
