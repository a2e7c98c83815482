"""What all families of trials share: how big the check is, what the agent was heard to say, and if that is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from eval.metrics.words import Transcriber, transcript_of
from weights.check.cases import intent_of
from weights.check.play import Take
from weights.check.table import Miss, Row
from weights.check.users import Script
from weights.check.words import Reply, is_a_reply, is_right, replies
from weights.dialogue import Line
from weights.intents import UNKNOWN, intents
from weights.voices import DEFAULT


@dataclass(frozen=True, slots=True)
class Scale:
    """How big the check is."""

    n: int = 20  # most families make a multiple of it
    seed: int = 0
    engines: tuple[str, ...] = DEFAULT  # of the users' voices
    together: int = 8  # sessions at once
    quiet_s: float = 60.0  # of a session in which nobody asks anything
    long_s: float = 600.0  # of the long conversation
    ticks: int = 300  # to be timed
    mono_s: float = 20.0  # how long the unusual user talks


@dataclass(frozen=True)
class Hearing:
    """The judge's ears."""

    transcribe: Transcriber
    known: Sequence[Reply] = field(default_factory=lambda: replies(intents() | {UNKNOWN.name: UNKNOWN}))

    def heard(self, take: Take, begin: int, end: int | None = None) -> str:
        """The transcript of the agent's channel in [begin, end), in samples; "" where it does not talk."""
        return transcript_of(take.agent[begin:end], self.transcribe)

    def right(self, said: str, line: Line) -> bool:
        """Whether that answers what the user's line asked."""
        return bool(said) and is_right(said, intent_of(line), line.expect, self.known)

    def taught(self, said: str) -> bool:
        """Whether that is any of the agent's replies."""
        return is_a_reply(said, self.known)


class Family(Protocol):
    """Trials that are judged together."""

    name: str

    def scripts(self, scale: Scale) -> list[Script]: ...

    def more(self, takes: Sequence[Take], scale: Scale) -> list[Script]:
        """What to play once the first trials are known."""
        return []

    def rows(self, takes: Sequence[Take], more: Sequence[Take], hearing: Hearing) -> list[Row]: ...


def wanted(line: Line) -> str:
    """For people: what a right answer holds."""
    return line.expect or (intent_of(line).answered(("", "")) if line.intent else "")


def miss(take: Take, line: Line | None, heard: str, why: str, void: bool = False) -> Miss:
    """A trial that went wrong; a crash is the reason wherever there was one."""
    asked, expected = (line.text, wanted(line)) if line else ("", "")
    why = f"crashed: {take.crash}" if take.crash else why
    return Miss(take.script.name, asked, expected, heard, why, void, take.script.about)
