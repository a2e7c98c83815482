"""GPT-Live in the tests: a session that is open, and the SDK's own check of every message that the server sends."""

import base64
import json
from typing import Any, get_args

import numpy as np
from openai.types.live import ServerEvent
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from duplex.frame import FRAME_SAMPLES, Event, Frame
from duplex.notes import Instruct, Remember, Respond, Say, ToolResult, TurnTaking, UseTools, UseVoice
from duplex.protocols.live.wire import LiveWire
from duplex.protocols.wire import Item, Message, Open, Reply
from duplex.session import Capabilities

ALL = (Say, Remember, Respond, Instruct, UseVoice, UseTools, ToolResult, TurnTaking)
CAN = Capabilities("cascade", tools=True, notes=ALL)
_KINDS = {get_args(k.model_fields["type"].annotation)[0]: k for k in get_args(get_args(ServerEvent)[0])}
_INNER = TypeAdapter(ResponseStreamEvent)


def told(messages: list[Message] | tuple[Message, ...]) -> list[dict[str, Any]]:
    """Messages as dicts, each valid by the SDK's type; without their ids."""
    events = [json.loads(message) for message in messages]
    for event in events:
        _KINDS[event["type"]].model_validate(event, strict=True)
        if event["type"] == "response.event":
            _INNER.validate_python(event["event"])
        if event["type"] != "session.output_audio.delta":
            assert event.pop("event_id").startswith("event_")
    return events


def replies(items: list[Item]) -> list[dict[str, Any]]:
    """What the client is told at once."""
    return [event for item in items if isinstance(item, Reply) for event in told(item.messages)]


def notes(items: list[Item]) -> list[Item]:
    """What the agent gets."""
    return [item for item in items if not isinstance(item, (Reply, Open))]


def opened(can: Capabilities = CAN, **session: Any) -> LiveWire:
    """A wire whose session has started."""
    wire = LiveWire("session_1")
    assert isinstance(send(wire, "session.start", session={"model": "gpt-live-1", **session})[0], Open)
    assert [event["type"] for event in told(wire.hello(can))] == ["session.started"]
    return wire


def send(wire: LiveWire, kind: str, **values: Any) -> list[Item]:
    """One event of the client."""
    return wire.receive(json.dumps({"type": kind, **values}))


def said(t: int, *events: Event, level: float = 0.0, text: str = "") -> Frame:
    """One tick of the agent, at a level."""
    return Frame(t, np.full(FRAME_SAMPLES, level, np.float32), text=text, events=events)


def sound(messages: list[Message]) -> np.ndarray:
    """The samples of the tick's audio, as 16-bit numbers."""
    [delta] = [event for event in told(messages) if event["type"] == "session.output_audio.delta"]
    return np.frombuffer(base64.b64decode(delta["delta"]), "<i2")


def but_sound(messages: list[Message]) -> list[dict[str, Any]]:
    """All that is told of a tick besides its audio."""
    return [event for event in told(messages) if event["type"] != "session.output_audio.delta"]
