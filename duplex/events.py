"""What an agent reports in `said.events`, in the tick in which it happened."""

from __future__ import annotations

from dataclasses import dataclass

from duplex.frame import Event


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
