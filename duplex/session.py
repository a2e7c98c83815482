"""The contract between an agent and everything else: one frame in, one frame out, same tick.

Holds no implementation. Every agent passes the suite in `tests/contract`:

* `said.t == heard.t`; ticks start at 0 and never skip or double;
* `said` depends on `heard` up to and including tick t, and reaches the listener from tick t + PLAYOUT_LAG;
* exactly 1,920 samples (or K codes) come out; silence in is legal for ever;
* a note that the agent cannot honour raises Unsupported with the reason; closing twice is fine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from duplex.frame import Event, Frame


class AtCapacity(Exception):
    """No seat is free. Raised by `Agent.open` at once; the message says how many seats there are."""


class Unsupported(Exception):
    """The agent cannot do what was asked; the message says what and why."""


# --- events: what an agent reports in `said.events` -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpeechStarted(Event):
    """The agent noticed that the user began to speak; `sample` is where, on the session's own clock."""

    sample: int


@dataclass(frozen=True, slots=True)
class SpeechStopped(Event):
    """The agent decided that the user's turn is over; `sample` is where the user's speech ended."""

    sample: int


@dataclass(frozen=True, slots=True)
class Transcript(Event):
    """What the agent understood the user to say."""

    text: str


@dataclass(frozen=True, slots=True)
class Interrupted(Event):
    """The agent stopped itself because the user spoke; `heard` is the part of its reply that was played."""

    heard: str


@dataclass(frozen=True, slots=True)
class Hop(Event):
    """One leg of the wait for an answer, in milliseconds since the user's speech ended."""

    stage: str  # endpoint | stt | llm_first_token | first_sentence | tts_first_chunk | release
    ms: float


@dataclass(frozen=True, slots=True)
class Took(Event):
    """Where the time of this tick went in the engine, ms; only where a session asks for `timings`.

    A stage belongs to the whole batch: everybody in it waits for all of it. None: the model does not tell.
    """

    queue_ms: float  # until the step that answers it began
    encode_ms: float | None = None
    temporal_ms: float | None = None
    depth_ms: float | None = None  # all codebooks of the frame
    decode_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """How much of everything goes into an answer of a pipeline."""

    heard_ms: float = 0.0  # of the user's audio, given to speech-to-text
    pieces: int = 0  # that the language model streamed: one a token, unless its server joins them
    letters: int = 0  # given to text-to-speech
    voiced_ms: float = 0.0  # of sound that came of them


@dataclass(frozen=True, slots=True)
class Made(Work, Event):
    """All that went into one answer, told when the work on it is over, whatever became of it.

    What is given to a stage counts when it is given, what comes of it when it has come: a stage that was stopped at
    work has heard, but said nothing.
    """


@dataclass(frozen=True, slots=True)
class Wasted(Work, Event):
    """The part of what was `Made` that nobody will hear, told when that is certain.

    Pieces and letters of a phrase that was cut off count by the share of its sound. `heard_ms` is wasted when the
    transcript was never used.
    """

    why: str = ""  # interrupted | unused (a guess, and the user went on) | failed | unfinished (half a sentence left)


@dataclass(frozen=True, slots=True)
class Answering(Event):
    """The agent has begun to answer: from here on sound, text or a tool call may come, or only an Answered."""


@dataclass(frozen=True, slots=True)
class Answered(Event):
    """The answer that was begun last is over, and has sounded as far as it ever will."""

    why: str = "completed"  # completed | interrupted (by the user) | cancelled (by a note) | failed


@dataclass(frozen=True, slots=True)
class ToolCall(Event):
    """The agent wants a tool to be called; its result comes back as a ToolResult."""

    call_id: str
    name: str
    arguments: str  # a JSON object


@dataclass(frozen=True, slots=True)
class Failed(Event):
    """A stage failed; the session goes on."""

    stage: str
    reason: str


# --- notes: what reaches a session outside of its frames ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Say:
    """Speak these words now, as if the agent had thought of them."""

    text: str


@dataclass(frozen=True, slots=True)
class TypedText:
    """The user typed instead of speaking: answered at once."""

    text: str


@dataclass(frozen=True, slots=True)
class Remember:
    """Something was said earlier, or elsewhere: known from here on, not answered."""

    role: Literal["user", "assistant", "system"]
    text: str


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The whole conversation so far, in place of what the agent remembers."""

    lines: tuple[Remember, ...]


@dataclass(frozen=True, slots=True)
class Heard:
    """All that the user heard of the last answer; the agent forgets the words that followed."""

    text: str


@dataclass(frozen=True, slots=True)
class Commit:
    """The user's turn is over now; it is not answered by this alone."""


@dataclass(frozen=True, slots=True)
class Discard:
    """What was heard of the user's turn so far does not count."""


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer now what is known so far."""

    persona: str = ""  # for this answer alone; "": the session's


@dataclass(frozen=True, slots=True)
class Hush:
    """Stop speaking, and drop the answer that is being made."""


@dataclass(frozen=True, slots=True)
class UseVoice:
    """Speak with this voice from the next answer on."""

    voice: str


@dataclass(frozen=True, slots=True)
class Instruct:
    """Replace the persona from here on."""

    persona: str


@dataclass(frozen=True, slots=True)
class Image:
    """The user shows a picture."""

    data: bytes
    mime: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool call brought; it is spoken of when a Respond follows."""

    call_id: str
    output: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the agent may ask the client to call."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)  # JSON schema of an object


@dataclass(frozen=True, slots=True)
class UseTools:
    """The tools from here on."""

    tools: tuple[Tool, ...]
    choice: str = "auto"  # auto | none | required | the name of one


@dataclass(frozen=True, slots=True)
class TurnTaking:
    """When a user's turn ends, and what follows from it. None: the agent's own value.

    Raises ValueError out of range.
    """

    detect: bool = True  # False: push to talk, the client says when (Commit)
    respond: bool = True  # a turn that has ended is answered
    interrupt: bool = True  # a turn that begins stops the agent
    threshold: float | None = None  # from which a voice activity score, 0 to 1, is speech
    stop_ms: float | None = None  # of silence, that end a turn
    wait_ms: float | None = (
        None  # of silence, for which a sentence that is not finished is waited for; None: not at all
    )

    def __post_init__(self) -> None:
        for name, low, high in (("threshold", 0.0, 1.0), ("stop_ms", 0.0, 60_000.0), ("wait_ms", 0.0, 60_000.0)):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ValueError(f"{name} must be {low:g} to {high:g}, got {value}")


Note = (
    Say
    | TypedText
    | Remember
    | Rewrite
    | Heard
    | Commit
    | Discard
    | Respond
    | Hush
    | Instruct
    | UseVoice
    | Image
    | ToolResult
    | UseTools
    | TurnTaking
)


# --- configuration and capabilities ---------------------------------------------------------------------------------


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
