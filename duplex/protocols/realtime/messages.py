"""Messages of one session: the ids and events that we send, and what a client's message may be."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from duplex.protocols.json_object import json_object

Event = dict[str, Any]  # a JSON object with a "type"


class Wrong(Exception):
    """What a client asked for cannot be; told as an `error` event, and the session goes on."""

    def __init__(self, message: str, *, code: str = "invalid_value", param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.param = code, param


class Messages:
    """Numbers what one session sends. `tag` keeps its ids apart from those of other sessions."""

    def __init__(self, tag: str = "") -> None:
        self._tag, self._counts = tag, Counter[str]()

    def new(self, kind: str) -> str:
        """A fresh id: "item_1", "item_2", ..."""
        self._counts[kind] += 1
        return f"{kind}_{self._tag}{self._counts[kind]}"

    def event(self, kind: str, /, **fields: Any) -> str:
        """One message, JSON in ASCII."""
        event = {"type": kind, "event_id": self.new("event"), **fields}
        return json.dumps(event, separators=(",", ":"), allow_nan=False)

    def error(self, wrong: Wrong, event_id: str | None = None) -> str:
        """An `error`; `event_id` is the client's own, of the event that it answers."""
        details = {"type": "invalid_request_error", "code": wrong.code, "message": str(wrong)}
        return self.event("error", error={**details, "param": wrong.param, "event_id": event_id})


def parsed(message: bytes | str) -> Event:
    """A client's message. Raises Wrong when it is not a JSON object with a "type"."""
    try:
        event = json_object(message)
    except ValueError as error:
        raise Wrong(str(error), code="invalid_json") from None
    if not isinstance(event.get("type"), str):
        raise Wrong("a message must be a JSON object with a 'type', a string", param="type")
    return event


def text_of(event: Event, name: str, where: str = "") -> str:
    """The string `name` of a JSON object. Raises Wrong."""
    if not isinstance(value := event.get(name), str):
        raise Wrong(f"{where}{name} must be a string", param=f"{where}{name}")
    return value
