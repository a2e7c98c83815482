"""What reaches a session outside of its frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


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
