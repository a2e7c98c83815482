"""What a client of GPT-Live may say once its session has started."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from duplex.frame import SAMPLE_RATE
from duplex.notes import Note, Remember, Respond, Say, ToolResult
from duplex.protocols.live.events import Teller
from duplex.protocols.live.mistake import Mistake
from duplex.protocols.live.sound import Line
from duplex.protocols.live.start import Settings, text_of
from duplex.protocols.live.times import ms_of
from duplex.protocols.live.work import ClientWork, ToolWork
from duplex.protocols.wire import Bye, Item, Reply
from duplex.session import Capabilities


class Commands:
    """Turns a client's events into what the agent gets, and into acknowledgements."""

    def __init__(self, settings: Settings, line: Line, teller: Teller) -> None:
        self.can = Capabilities("")  # of the agent, as soon as there is one
        self._settings, self._line, self._teller = settings, line, teller
        self._muted = False

    def do(self, event: Any) -> list[Item]:
        """One event, valid by the SDK's types. What is wrong with it is a Reply."""
        try:
            return _DO[event.type](self, event)
        except Mistake as mistake:
            return [Reply((self._teller.wrong(mistake, event.event_id),))]

    def ignored(self) -> list[Item]:
        """What the client must know of the tools that it asked for."""
        why = "tools of type {} are not served here, only functions"
        told = [self._teller.tell("info", code="tools_unavailable", message=why.format(kind)) for kind in self._strange]
        return [Reply(tuple(told))] if told else []

    @property
    def _strange(self) -> tuple[str, ...]:
        return self._settings.work.strange

    def _again(self, event: Any) -> list[Item]:
        raise Mistake("this session has started; open another connection for another one", "already_started", "type")

    def _update(self, event: Any) -> list[Item]:
        before = self._strange
        notes = self._settings.update(event.session)
        told = self._teller.tell("session.updated", event.event_id, session=self._settings.described())
        return [*notes, Reply((told,)), *(self.ignored() if self._strange != before else [])]

    def _hear(self, event: Any) -> list[Item]:
        try:
            data = base64.b64decode(event.audio, validate=True)
        except (binascii.Error, ValueError) as wrong:
            raise Mistake(f"audio must be base64: {wrong}", param="audio") from None
        return [*self._line.push(data, self._muted)]

    def _mute(self, event: Any) -> list[Item]:
        self._muted = event.type.endswith(".mute")
        return [Reply((self._teller.tell(f"{event.type}d", event.event_id),))]

    def _append(self, event: Any) -> list[Item]:
        kind = event.type.split(".")[1]
        if not event.content.strip():
            raise Mistake("content must not be empty", param="content")
        notes = self._aloud(event) if kind == "commentary" else [Remember("system", event.content)]
        if missing := [note for note in notes if type(note) not in self.can.notes]:
            why = f"{self.can.name} cannot take {kind}: it knows no {type(missing[0]).__name__}"
            raise Mistake(why, "unsupported", "type")
        now_ms = ms_of(self._line.heard_samples)
        told = self._teller.tell(f"session.{kind}.appended", event.event_id, start_ms=now_ms, end_ms=now_ms)
        return [*notes, Reply((told,))]

    def _aloud(self, event: Any) -> list[Note]:
        """The result of a task is said as it is.

        The rest is what the agent shall speak of, in its own words: Pipecat and LiveKit write orders there. An agent
        that answers no order says them.
        """
        work = self._settings.work
        if event.delegation_id and isinstance(work, ClientWork):
            call = work.answered(event.delegation_id)
            return [*([ToolResult(call, event.content)] if call else []), Say(event.content)]
        order = (Remember("system", event.content), Respond())
        return [*order] if {type(note) for note in order} <= {*self.can.notes} else [Say(event.content)]

    def _add(self, event: Any) -> list[Item]:
        self._needs_responses(event)
        item = event.item
        kind, role = getattr(item, "type", None) or "message", getattr(item, "role", "")
        if kind == "function_call_output":
            return [ToolResult(item.call_id, text_of(item.output))]
        if kind != "message" or role not in ("user", "assistant", "system", "developer"):
            raise Mistake(f"item must be a message or a function_call_output, got {kind}", "unsupported", "item.type")
        return [Remember("system" if role == "developer" else role, text_of(item.content))]

    def _respond(self, event: Any) -> list[Item]:
        self._needs_responses(event)
        return [Respond()]

    def _needs_responses(self, event: Any) -> None:
        if not isinstance(self._settings.work, ToolWork):
            raise Mistake(f"{event.type} needs a session with delegation responses", "unsupported", "type")

    def _close(self, event: Any) -> list[Item]:
        usage = {"seconds": self._line.heard_samples / SAMPLE_RATE}
        about = {"reason": "close_requested", "session": self._settings.described(), "usage": usage}
        return [Reply((self._teller.tell("session.closed", event.event_id, **about),)), Bye()]

    def _unserved(self, event: Any) -> list[Item]:
        raise Mistake(f"{event.type} is not served here", "unsupported", "type")


_DO: Mapping[str, Callable[[Commands, Any], list[Item]]] = {
    "session.start": Commands._again,
    "session.update": Commands._update,
    "session.input_audio.append": Commands._hear,
    "session.input_audio.mute": Commands._mute,
    "session.input_audio.unmute": Commands._mute,
    "session.instructions.append": Commands._append,
    "session.thinking.append": Commands._append,
    "session.commentary.append": Commands._append,
    "response.item.create": Commands._add,
    "response.create": Commands._respond,
    "session.close": Commands._close,
    "session.output_audio.fixture.play": Commands._unserved,
    "decision.create": Commands._unserved,
    "decision.item.create": Commands._unserved,
    "decision.item.delete": Commands._unserved,
}
