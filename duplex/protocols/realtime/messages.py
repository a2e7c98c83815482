"""Messages of one session: the ids and events that we send, and what a client's message may be."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

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


_DEEPEST = 100  # objects and lists in each other
_HALF_LETTER = re.compile(r"\\u[dD][89a-fA-F]")  # half of a surrogate pair, perhaps without the other


def parsed(message: bytes | str) -> Event:
    """A client's message. Raises Wrong when it is not a JSON object with a "type", or holds half a letter."""
    try:
        text = message if isinstance(message, str) else message.decode()
        event = json.loads(text, parse_constant=_finite, parse_float=_finite)
        if _HALF_LETTER.search(text):
            json.dumps(event, ensure_ascii=False).encode()
        _check_depth(event)
    except (ValueError, RecursionError) as error:
        raise Wrong(f"a message must be JSON: {error}", code="invalid_json") from None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise Wrong("a message must be a JSON object with a 'type', a string", param="type")
    return event


def _check_depth(event: Any) -> None:
    """Raises ValueError for what could be read, but perhaps not be written again."""
    level = [event] if isinstance(event, (dict, list)) else []
    for _ in range(_DEEPEST):
        inside = (inner for outer in level for inner in (outer.values() if isinstance(outer, dict) else outer))
        level = [inner for inner in inside if isinstance(inner, (dict, list))]
        if not level:
            return
    raise ValueError(f"objects and lists may be nested {_DEEPEST} deep")


def _finite(written: str) -> float:
    if not math.isfinite(value := float(written)):
        raise ValueError(f"{written} is not a number that JSON can hold")
    return value


def text_of(event: Event, name: str, where: str = "") -> str:
    """The string `name` of a JSON object. Raises Wrong."""
    if not isinstance(value := event.get(name), str):
        raise Wrong(f"{where}{name} must be a string", param=f"{where}{name}")
    return value
