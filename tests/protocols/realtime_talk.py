"""One conversation over a RealtimeWire without a server: every message that it sends is checked by the SDK's types."""

from __future__ import annotations

import base64
import json
from typing import Any, get_args

import numpy as np
from openai.types.realtime import RealtimeServerEvent

from duplex.frame import FRAME_SAMPLES, Event, Frame
from duplex.notes import Note
from duplex.protocols.realtime.wire import RealtimeWire
from duplex.protocols.wire import Item, Message, Reply
from duplex.session import Capabilities

CAN = Capabilities("puppet", model="toy", voices=("anna", "ben"))
_KINDS = {kind.model_fields["type"].annotation.__args__[0]: kind for kind in get_args(get_args(RealtimeServerEvent)[0])}


def checked(message: Message) -> dict[str, Any]:
    """The event, after the SDK has found it well-formed, its top level complete and without strangers."""
    assert isinstance(message, str)
    event = json.loads(message)
    read = _KINDS[event["type"]].model_validate_json(message, strict=True)
    assert not read.model_extra, read.model_extra
    return event


def tone(level: float = 0.25) -> np.ndarray:
    return np.full(FRAME_SAMPLES, level, np.float32)


class Talk:
    """The wire, and both sides of it: `ask` is the client, `say` one tick of the agent."""

    def __init__(self, can: Capabilities = CAN, **session: Any) -> None:
        self.wire = RealtimeWire("moshi")
        [created] = self.wire.hello(can)
        self.created, self.t = checked(created), 0
        if session:
            self.ask("session.update", session=session)

    def ask(self, kind: str, **fields: Any) -> tuple[list[dict[str, Any]], list[Item]]:
        """(what the client gets for it, what else it comes to)."""
        items = self.wire.receive(json.dumps({"type": kind, **fields}))
        replies = [checked(m) for item in items if isinstance(item, Reply) for m in item.messages]
        return replies, [item for item in items if not isinstance(item, Reply)]

    def append(self, pcm: np.ndarray) -> list[Item]:
        audio = base64.b64encode((pcm * 32768).astype("<i2").tobytes()).decode()
        return self.ask("input_audio_buffer.append", audio=audio)[1]

    def say(self, *events: Event, text: str = "", level: float = 0.0) -> list[dict[str, Any]]:
        said = Frame(self.t, tone(level), text=text, events=events)
        self.t += 1
        return [checked(message) for message in self.wire.send(said)]

    def declined(self, note: Note, reason: str) -> list[dict[str, Any]]:
        return [checked(message) for message in self.wire.declined(note, reason)]


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def brief(event: dict[str, Any]) -> str:
    """The event without its id, its sound shortened, as JSON: what the golden tests compare."""
    event = {name: value for name, value in event.items() if name != "event_id"}
    if event["type"] == "response.output_audio.delta":
        event["delta"] = f"{len(base64.b64decode(event['delta']))} bytes"
    return json.dumps(event, separators=(",", ":"))
