"""The JSON of GPT-Live: a client's message -> an event of OpenAI's own types, and the server's events -> messages."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any, TypeVar, get_args

from openai.types.live import ClientEvent
from pydantic import BaseModel, ValidationError

from duplex.notes import Instruct, Note, Remember, Say, UseTools, UseVoice
from duplex.protocols.json_object import json_object
from duplex.protocols.live.mistake import Mistake
from duplex.protocols.wire import Message, as_json

Known = TypeVar("Known", bound=BaseModel)

KINDS: Mapping[str, type[BaseModel]] = {
    get_args(kind.model_fields["type"].annotation)[0]: kind for kind in get_args(get_args(ClientEvent)[0])
}

_ASKED = {Instruct: "instructions", UseVoice: "voice", UseTools: "tools", Remember: "context", Say: "commentary"}


class Teller:
    """Makes the server's messages and numbers them."""

    def __init__(self, first: int = 1) -> None:
        self._numbers = count(first)

    def tell(self, kind: str, /, client_event_id: str | None = None, **values: Any) -> Message:
        """One event with an id of its own; what is None is left out."""
        values |= {"event_id": f"event_{next(self._numbers)}", "client_event_id": client_event_id}
        return as_json(kind, **_given(values))

    def wrong(self, mistake: Mistake, client_event_id: str | None = None) -> Message:
        """The `error` event for a command."""
        given = client_event_id or mistake.client_event_id
        kind = "server_error" if mistake.code == "server_error" else "invalid_request_error"
        about = {"type": kind, "code": mistake.code, "message": str(mistake)}
        return self.tell("error", given, error=_given({**about, "param": mistake.param, "client_event_id": given}))

    def declined(self, note: Note, reason: str) -> Message:
        """The `info` event for what the agent cannot do."""
        return self.tell("info", code=f"{_ASKED.get(type(note), 'request')}_unavailable", message=reason)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def event_of(message: Message) -> BaseModel:
    """A client's message as the SDK's type for it. Raises Mistake, nothing else."""
    try:
        values = json_object(message)
    except ValueError as wrong:
        raise Mistake(str(wrong), "invalid_json") from None
    try:
        return _typed(_lenient(values))
    except Mistake as mistake:
        given = values.get("event_id")
        mistake.client_event_id = given if isinstance(given, str) else None
        raise


def checked(kind: type[Known], values: Mapping[str, Any]) -> Known:
    """`values` as `kind`, which is one of the SDK's types. Raises Mistake."""
    try:
        return kind.model_validate(values)
    except ValidationError as failed:
        raise _mistake(failed) from None


def plain(part: BaseModel) -> dict[str, Any]:
    """A part of a client's event in JSON, without fields of its own, which would add up from update to update."""
    return part.model_dump(mode="json", exclude_none=True, include=set(type(part).model_fields))


def _typed(values: Mapping[str, Any]) -> BaseModel:
    kind = values.get("type")
    if not isinstance(kind, str) or kind not in KINDS:
        raise Mistake(f"no event type {kind!r}; known: {', '.join(KINDS)}", "unknown_event", "type")
    return checked(KINDS[kind], values)


def _mistake(failed: ValidationError) -> Mistake:
    """The first thing that is wrong, in the branch of a choice that was meant: the SDK tries them all."""
    errors = failed.errors(include_url=False, include_input=False, include_context=False)
    others = {error["loc"][:-1] for error in errors if error["type"] == "literal_error"}
    meant = [error for error in errors if not any(error["loc"][: len(other)] == other for other in others)]
    first = (meant or errors)[0]
    # a branch goes by its class's name, which is the SDK's own business
    param = ".".join(str(part) for part in first["loc"] if not str(part)[:1].isupper())
    return Mistake(f"{param}: {first['msg']}", param=param)


def _lenient(values: dict[str, Any]) -> dict[str, Any]:
    """What clients leave out or call differently, put as the SDK's types want it."""
    session = values.get("session")
    if values.get("type") != "session.start" or not isinstance(session, dict):
        return values
    items, audio = session.get("input"), session.get("audio")
    if isinstance(items, list):
        session = session | {"input": [_as_developer(item) for item in items]}
    if isinstance(audio, dict) and isinstance(form := audio.get("format"), dict):
        rate = 24_000 if form.get("type") == "audio/pcm" else 8_000
        session = session | {"audio": audio | {"format": {"rate": rate} | form}}
    return values | {"session": session}


def _as_developer(item: Any) -> Any:
    return item | {"role": "developer"} if isinstance(item, dict) and item.get("role") == "system" else item
