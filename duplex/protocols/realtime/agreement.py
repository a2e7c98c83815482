"""The session's settings as client and agent have agreed on them so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from duplex.notes import Note
from duplex.protocols.realtime.messages import Messages, Wrong
from duplex.protocols.realtime.settings import STANDS_FOR, Settings, first_settings
from duplex.protocols.realtime.updates import changed
from duplex.protocols.wire import Message
from duplex.session import Capabilities

_KEPT = 16  # changes that an agent may still turn down


@dataclass(slots=True)
class _Asked:
    note: Note
    before: Mapping[str, Any]  # the fields that the note stands for, as they were


class Agreement:
    """Changes by session.update; takes back what the agent turns down."""

    def __init__(self, messages: Messages, model: str) -> None:
        self._messages, self._model = messages, model
        self._id = messages.new("sess")
        self._asked: list[_Asked] = []
        self.settings = Settings(model=model)

    def created(self, can: Capabilities) -> list[Message]:
        self.settings = first_settings(self._model, can)
        return [self._told("session.created", ())]

    def update(self, session: Any) -> tuple[list[Message], tuple[Note, ...]]:
        """What the client gets, and what the agent is told. Raises Wrong."""
        if not isinstance(session, dict):
            raise Wrong("session must be an object", param="session")
        change = changed(self.settings, session)
        for note in change.notes:
            before = {name: getattr(self.settings, name) for name in STANDS_FOR[type(note)]}
            self._asked = [*self._asked[1 - _KEPT :], _Asked(note, before)]
        self.settings = change.settings
        return [self._told("session.updated", change.unsupported)], change.notes

    def declined(self, note: Note, reason: str) -> list[Message]:
        """The agent cannot do that: what was in force before is in force again, or what was asked for since."""
        at = next((at for at, asked in enumerate(self._asked) if asked.note is note), None)
        if at is not None:
            before = self._asked.pop(at).before
            later = next((asked for asked in self._asked[at:] if type(asked.note) is type(note)), None)
            if later:
                later.before = before
            else:
                self.settings = replace(self.settings, **before)
        return [self._told("session.updated", (f"{', '.join(STANDS_FOR[type(note)])}: {reason}",))]

    def _told(self, kind: str, unsupported: tuple[str, ...]) -> Message:
        return self._messages.event(kind, session={"id": self._id, **self.settings.shown(unsupported)})
