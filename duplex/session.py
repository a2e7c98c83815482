"""The contract between an agent and everything else: one frame in, one frame out, same tick.

Holds no implementation. Every agent passes the suite in `tests/contract`:

* `said.t == heard.t`; ticks start at 0 and never skip or double;
* `said` depends on `heard` up to and including tick t, and reaches the listener from tick t + PLAYOUT_LAG;
* exactly 1,920 samples (or K codes) come out; silence in is legal for ever;
* a note that the agent cannot honour raises Unsupported with the reason; closing twice is fine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from duplex.frame import Frame
from duplex.notes import Note, Tool, TurnTaking


class AtCapacity(Exception):
    """No seat is free. Raised by `Agent.open` at once; the message says how many seats there are."""


class Unsupported(Exception):
    """The agent cannot do what was asked; the message says what and why."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one session samples; None means the checkpoint's own value. Raises ValueError out of range.

    pad_mult is added to the padding token's text logit (more padding, fewer words); the repetition penalty divides
    (or multiplies, if negative) the logits of the last `repetition_penalty_context` words of text.
    """

    text_temperature: float | None = None
    text_top_k: int | None = None
    audio_temperature: float | None = None
    audio_top_k: int | None = None
    text_seed: int | None = None  # None: drawn afresh for every session
    audio_seed: int | None = None
    pad_mult: float = 0.0
    repetition_penalty: float = 1.0
    repetition_penalty_context: int = 64

    def __post_init__(self) -> None:
        for name, low, high in _SAMPLING_RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ValueError(f"{name} must be {low} to {high}, got {value}")


_SAMPLING_RANGES = (
    ("text_temperature", 0.0, 5.0),
    ("audio_temperature", 0.0, 5.0),
    ("text_top_k", 1, 500),
    ("audio_top_k", 1, 500),
    ("text_seed", 0, 2**63 - 1),
    ("audio_seed", 0, 2**63 - 1),
    ("pad_mult", -10.0, 10.0),
    ("repetition_penalty", 0.1, 10.0),
    ("repetition_penalty_context", 0, 200),
)


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """What one conversation asks for. An agent that cannot give it raises Unsupported in `open`."""

    persona: str = ""  # "" means the agent's own
    voice: str = ""
    language: str = ""
    medium: Literal["pcm", "codes"] = "pcm"  # what the frames of this session carry, both ways
    sampling: Sampling = field(default_factory=Sampling)
    timings: bool = False  # report where each tick's time goes (Took), of an agent that knows
    turns: TurnTaking | None = None  # None: the agent's own way; else it also reports the turns of both sides
    transcribe: bool = False  # report what the user says (Transcript), also where the answer needs no transcript
    tools: tuple[Tool, ...] = ()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an agent can do, as data."""

    name: str  # what a person calls it: "native", "cascade", "echo"
    model: str = ""  # which weights stand behind it
    full_duplex: bool = False  # hears while it speaks, without a rule that says when to stop
    persona: bool = False
    voices: tuple[str, ...] = ()
    languages: tuple[str, ...] = ("en",)
    tools: bool = False
    images: bool = False
    notes: tuple[type, ...] = ()  # the kinds of Note that `tell` honours
    codebooks: int = 0  # Mimi codebooks K per frame; 0: this agent does not speak codes
    cardinality: int = 0  # entries per codebook
    codec: str = ""  # sha256 of the Mimi weights: two sides that name the same codec may exchange codes
    seats: int = 1  # sessions at once


class Session(Protocol):
    """One conversation with one agent."""

    async def step(self, heard: Frame) -> Frame:
        """One frame in, one frame out, same tick. Raises ValueError when `heard.t` is not the next tick."""
        ...

    async def tell(self, note: Note) -> None:
        """Out-of-band input. Raises Unsupported when this agent cannot honour it."""
        ...

    async def close(self) -> None:
        """Free the seat. Idempotent."""
        ...


class Agent(Protocol):
    """Opens sessions and says what it can do."""

    @property
    def capabilities(self) -> Capabilities: ...

    async def open(self, config: SessionConfig) -> Session:
        """A new session at tick 0. Raises AtCapacity or Unsupported at once; never waits for a seat."""
        ...

    async def close(self) -> None:
        """Free models, threads and devices. Idempotent."""
        ...


class Ticks:
    """Checks that a session's frames come one after the other, and of the right medium."""

    def __init__(self, medium: str) -> None:
        self._next = 0
        self._medium = medium

    def check(self, heard: Frame) -> None:
        """Raises ValueError, naming the expected tick or medium, and leaves the count as it was."""
        if heard.t != self._next:
            raise ValueError(f"expected tick {self._next}, got {heard.t}")
        if getattr(heard, self._medium) is None:
            raise ValueError(f"this session carries {self._medium}, but frame {heard.t} holds none")
        self._next += 1


def refuse(config: SessionConfig, can: Capabilities) -> None:
    """Raise Unsupported for the first thing in `config` that `can` does not offer."""
    if config.persona and not can.persona:
        raise Unsupported(f"{can.name} takes no persona: its weights were not trained with one")
    if config.voice and config.voice not in can.voices:
        raise Unsupported(f"{can.name} has no voice {config.voice!r}; it has {', '.join(can.voices) or 'only its own'}")
    if config.language and config.language not in can.languages:
        raise Unsupported(f"{can.name} does not speak {config.language!r}; it speaks {', '.join(can.languages)}")
    if config.tools and not can.tools:
        raise Unsupported(f"{can.name} calls no tools")
    if config.medium == "codes" and not can.codebooks:
        raise Unsupported(f"{can.name} does not speak Mimi codes; open a session with medium 'pcm'")


def cannot(note: Note, can: Capabilities) -> Unsupported:
    """The exception for a note that the agent does not honour."""
    known = ", ".join(kind.__name__ for kind in can.notes) or "none"
    return Unsupported(f"{can.name} cannot take {type(note).__name__}; it takes {known}")
