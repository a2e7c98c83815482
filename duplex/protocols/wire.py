"""What a protocol is: arithmetic on messages, the same for the side that serves and the side that calls.

Holds the two contracts, the words they exchange, and the JSON messages that our own wires share. A wire keeps only
what it needs to cut the stream into frames; it owns no socket, reads no clock and starts no task.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from duplex import events
from duplex.frame import Event, Frame
from duplex.notes import Instruct, Note, Say, TypedText
from duplex.protocols.json_object import json_object
from duplex.session import Capabilities, SessionConfig

Message = bytes | str


class BadMessage(Exception):
    """The other side sent what the protocol does not allow; the text says what, and what is allowed."""


class TooMuchSound(BadMessage):
    """One message holds so much that the event loop would stand still while it is decoded."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"a message may hold {limit_s:g} s of sound")


@dataclass(frozen=True, slots=True)
class Bye:
    """The client has finished."""


@dataclass(frozen=True, slots=True)
class Open:
    """The client has said whom it wants to talk to, and how."""

    agent: str  # an agent, a model, or any other name: the server's default then
    config: SessionConfig = field(default_factory=SessionConfig)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the client gets for its message alone, whatever the agent does."""

    messages: tuple[Message, ...]


Item = Frame | Note | Bye | Open | Reply


class Wire(Protocol):
    """The serving side of one conversation.

    A wire whose messages name the agent yields an Open before anything but Replies, and then `hello` is called.
    """

    def hello(self, can: Capabilities) -> list[Message]:
        """What the client gets as soon as its session with an agent that can do this is open."""
        ...

    def receive(self, message: Message) -> list[Item]:
        """One message -> what it completes; the frames' ticks count from 0. Raises BadMessage, nothing else."""
        ...

    def declined(self, note: Note, reason: str) -> list[Message]:
        """The agent cannot honour `note`; the session goes on."""
        ...

    def send(self, said: Frame) -> list[Message]:
        """One tick of the agent."""
        ...

    @staticmethod
    def refuse(reason: str) -> list[Message]:
        """An error, told in this protocol's own way; also valid before hello."""
        ...


@runtime_checkable
class Steady(Wire, Protocol):
    """A wire whose client may leave out its sound: the server keeps the time. Any other client's sound is the clock."""

    def lull(self) -> Frame:
        """The next frame, where the client has sent no sound for it."""
        ...


@dataclass(frozen=True, slots=True)
class Ready:
    """The session is open; `facts` is what the server told about it."""

    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Aside:
    """Text and events that go with the agent's tick t."""

    t: int
    text: str = ""
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """The agent's voice, where a protocol sends it as it is made and not tick by tick: played after what is queued."""

    pcm: np.ndarray  # float32 [n] at 24 kHz


@dataclass(frozen=True, slots=True)
class Hushed:
    """Whatever Sound is queued is not played."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The server reports an error; it may or may not hang up after it."""

    reason: str


Told = Ready | Frame | Sound | Hushed | Aside | Refused


class Caller(Protocol):
    """The calling side of the same conversation."""

    def hello(self) -> list[Message]:
        """What the client says first; [] where it is the server that does."""
        ...

    def say(self, heard: Frame) -> list[Message]:
        """One tick of the user. Raises ValueError when the frame does not fit this wire."""
        ...

    def receive(self, message: Message) -> Sequence[Told]:
        """One message -> what it completes; the agent's ticks count from 0. Raises BadMessage, nothing else."""
        ...


# --- the JSON messages of our own wires, docs/TOKENS.md ---------------------------------------------------------------

_EVENTS = {n: k for n, k in vars(events).items() if isinstance(k, type) and issubclass(k, Event) and k is not Event}
_NOTES = {"say": (Say, "text"), "type": (TypedText, "text"), "instruct": (Instruct, "persona")}


def as_json(kind: str, /, **values: Any) -> str:
    """A compact JSON message of one type."""
    return json.dumps({"type": kind, **values}, ensure_ascii=False, separators=(",", ":"))


def asides(said: Frame) -> list[Message]:
    """The text and event messages of one tick; [] for most ticks."""
    words = [as_json("text", t=said.t, text=said.text)] if said.text else []
    return [*words, *(as_json("event", t=said.t, kind=type(e).__name__, **asdict(e)) for e in said.events)]


def note_from(message: str) -> Note | Bye:
    """A client's JSON message. Raises BadMessage."""
    values = _table(message)
    kind = values["type"]
    if kind == "close":
        return Bye()
    if kind not in _NOTES:
        raise BadMessage(f"no message type {kind!r}; known: {', '.join(_NOTES)}, close")
    note, key = _NOTES[kind]
    text = values.get(key)
    if not isinstance(text, str):
        raise BadMessage(f"a {kind!r} message needs {key!r}, a string")
    return note(text)


def told(message: str) -> list[Ready | Aside | Refused]:
    """A server's JSON message; kinds that this version does not know are dropped. Raises BadMessage."""
    values = _table(message)
    kind = values.pop("type")
    if kind == "ready":
        return [Ready(values)]
    if kind == "error":
        return [Refused(str(values.get("reason", "no reason given")))]
    if kind not in ("text", "event"):
        return []
    t = values.pop("t", None)
    if not isinstance(t, int) or t < 0:
        raise BadMessage(f"a {kind!r} message needs 't', a tick")
    return [Aside(t, text=str(values.get("text", "")))] if kind == "text" else _event(t, values)


def _event(t: int, values: dict[str, Any]) -> list[Ready | Aside | Refused]:
    kind = _EVENTS.get(str(values.pop("kind", "")))
    try:
        return [Aside(t, events=(kind(**values),))] if kind else []
    except TypeError as error:
        raise BadMessage(f"not an event: {error}") from None


def _table(message: str) -> dict[str, Any]:
    try:
        values = json_object(message, "a text message")
    except ValueError as error:
        raise BadMessage(str(error)) from None
    if not isinstance(values.get("type"), str):
        raise BadMessage("a text message must be a JSON object with a 'type', a string")
    return values
