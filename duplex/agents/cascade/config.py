"""The cascade's settings, each with its reason. All of them are part of what a measurement must name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

# Of eight wordings tried, the one with which a 135M model most often gave one plain, true sentence.
PERSONA = "You are a helpful assistant who speaks aloud. Answer in one short, plain English sentence."


@dataclass(frozen=True, slots=True)
class VadConfig:
    """When the user's turn begins and ends. Hops are 32 ms, so times are rounded to that."""

    threshold: float = 0.5  # silero's own default
    off: float = 0.35  # silero's own default, threshold - 0.15: a fading vowel does not end the turn
    start_ms: float = 96.0  # three hops: a click or a cough is shorter, the shortest "no" is longer
    stop_ms: float = 448.0  # longer than most pauses inside a sentence; the work of answering hides in it
    pad_ms: float = 320.0  # audio before the onset that is transcribed too: silero misses soft first consonants
    longest_turn_ms: float = 60_000.0  # older audio of a turn without any pause is forgotten


@dataclass(frozen=True, slots=True)
class SttConfig:
    """Whisper, by a name in the manifest or a folder."""

    model: str = "whisper-tiny.en"
    threads: int = 2


@dataclass(frozen=True, slots=True)
class LlmConfig:
    """The language model: embedded llama.cpp, or, when `url` is set, any OpenAI-compatible server.

    `model` is a name in the manifest or a folder, or the name that the server at `url` knows. `url` ends where
    "/chat/completions" begins, as in "http://127.0.0.1:8000/v1".
    """

    model: str = "smollm2-135m"
    url: str = ""
    images: bool = False  # the model at `url` takes pictures
    key: str = ""  # sent to `url` as a bearer token
    threads: int = 1  # llama.cpp's threads spin at barriers: two on two busy cores fell from 55 to 5 tokens a second
    context_tokens: int = 2048  # for each session
    max_tokens: int = 96
    temperature: float = 0.0  # at 135M parameters, sampling costs more truth than it buys variety


@dataclass(frozen=True, slots=True)
class CascadeConfig:
    """Everything that `open_agent("cascade", settings)` accepts."""

    persona: str = PERSONA
    voice: str = "heart"
    seats: int = 4
    speculate: Literal["no", "transcript", "reply"] = "reply"  # what is prepared while the endpoint timer still runs
    speculate_after_ms: float = 32.0  # silence after which that begins; speech that resumes discards it
    max_sentences: int = 3  # a spoken answer that goes on is an answer that gets interrupted
    memory_chars: int = 2_000  # about 500 tokens of conversation besides the persona
    patience_ms: float = 10_000.0  # a stage that yields nothing for this long has failed
    vad: VadConfig = field(default_factory=VadConfig)
    stt: SttConfig = field(default_factory=SttConfig)
    llm: LlmConfig = field(default_factory=LlmConfig)
