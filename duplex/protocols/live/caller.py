"""The calling side of GPT-Live, at 24 kHz PCM."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from duplex.events import ToolCall, Transcript
from duplex.frame import Frame, Framer
from duplex.protocols.json_object import json_object
from duplex.protocols.sound import PCM, Decoder, encode_s16
from duplex.protocols.wire import Aside, BadMessage, Message, Ready, Refused, as_json


class LiveCaller:
    """One call; frames go out and come in all the time."""

    def __init__(self, model: str = "", session: Mapping[str, Any] | None = None) -> None:
        """`session` is what else `session.start` asks for: instructions, delegation, input."""
        form = {"type": PCM.kind, "rate": PCM.rate_hz}
        self._session = {"model": model or "gpt-live-1", **(session or {})}
        self._session["audio"] = {**self._session.get("audio", {}), "format": form}
        self._framer, self._decoder = Framer(), Decoder(PCM)

    def hello(self) -> list[Message]:
        """What the client says first; the server answers with Ready."""
        return [as_json("session.start", session=self._session)]

    def say(self, heard: Frame) -> list[Message]:
        if heard.pcm is None:
            raise ValueError(f"GPT-Live carries pcm, but frame {heard.t} holds none")
        return [as_json("session.input_audio.append", audio=base64.b64encode(encode_s16(heard.pcm)).decode())]

    def receive(self, message: Message) -> list[Ready | Frame | Aside | Refused]:
        try:
            event = json_object(message)
        except ValueError as wrong:
            raise BadMessage(str(wrong)) from None
        kind = event.get("type")
        if kind == "session.started":
            return [Ready(_part(event, "session"))]
        if kind == "session.output_audio.delta":
            return list(self._sound(_text(event, "delta")))
        if kind == "session.output_transcript.delta":
            return [Aside(self._framer.t, _text(event, "delta"))]
        if kind == "session.input_transcript.delta":
            return [Aside(self._framer.t, events=(Transcript(_text(event, "delta")),))]
        if kind == "response.event":
            return self._called(_part(event, "event"))
        about = _part(event, "error") if kind == "error" else event if kind == "info" else {}
        return [Refused(str(about.get("message", "no reason given")))] if about else []

    def _sound(self, delta: str) -> list[Frame]:
        try:
            data = base64.b64decode(delta, validate=True)
        except (binascii.Error, ValueError) as wrong:
            raise BadMessage(f"delta must be base64: {wrong}") from None
        return self._framer.push(self._decoder.push(data))

    def _called(self, event: Mapping[str, Any]) -> list[Ready | Frame | Aside | Refused]:
        item = _part(event, "item") if event.get("type") == "response.output_item.done" else {}
        if item.get("type") != "function_call":
            return []
        call = ToolCall(_text(item, "call_id"), _text(item, "name"), _text(item, "arguments"))
        return [Aside(self._framer.t, events=(call,))]


def _part(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = event.get(name)
    if not isinstance(part, dict):
        raise BadMessage(f"a {event.get('type')!r} message needs {name!r}, an object")
    return part


def _text(event: Mapping[str, Any], name: str) -> str:
    text = event.get(name)
    if not isinstance(text, str):
        raise BadMessage(f"a {event.get('type')!r} message needs {name!r}, a string")
    return text
