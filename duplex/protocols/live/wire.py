"""The serving side of GPT-Live. A client's mistake gets an `error` and the session goes on; what the agent cannot do
is told in an `info`.

Time is the client's sound: millisecond m of the session is its sample 24 m. What an agent says in tick t is told at
80 t, as in `duplex.frame`. Every tick of the agent is one `session.output_audio.delta`: zeros while it is silent.
"""

from __future__ import annotations

from openai.types.live import SessionStartEvent
from pydantic import BaseModel

from duplex.frame import Frame
from duplex.notes import Note, TurnTaking
from duplex.protocols.live.commands import Commands
from duplex.protocols.live.events import Teller, event_of
from duplex.protocols.live.mistake import Mistake
from duplex.protocols.live.sound import Line
from duplex.protocols.live.start import Settings
from duplex.protocols.live.telling import Telling
from duplex.protocols.sound import MAX_MESSAGE_S
from duplex.protocols.wire import BadMessage, Item, Message, Open, Reply
from duplex.session import Capabilities, SessionConfig


class LiveWire:
    """One session of GPT-Live."""

    def __init__(self, session_id: str = "session_local", max_message_s: float = MAX_MESSAGE_S) -> None:
        self._id, self._max_message_s = session_id, max_message_s
        self._teller = Teller()
        self._commands: Commands | None = None  # until session.start

    def receive(self, message: Message) -> list[Item]:
        try:
            event = event_of(message)
            if self._commands is None:
                return self._start(event)
        except Mistake as mistake:
            if self._commands is None:
                raise BadMessage(str(mistake)) from None
            return [Reply((self._teller.wrong(mistake),))]
        return self._commands.do(event)

    def lull(self) -> Frame:
        return self._line.lull()

    def hello(self, can: Capabilities) -> list[Message]:
        assert self._commands, "session.start comes before"
        self._commands.can = can
        self._telling = Telling(self._settings.work, self._line, self._teller, can)
        return [self._teller.tell("session.started", self._start_id, session=self._settings.described())]

    def send(self, said: Frame) -> list[Message]:
        return self._telling.send(said)

    def declined(self, note: Note, reason: str) -> list[Message]:
        return [self._teller.declined(note, reason)]

    @staticmethod
    def refuse(reason: str) -> list[Message]:
        return [Teller(first=0).wrong(Mistake(reason, "server_error"))]

    def _start(self, event: BaseModel) -> list[Item]:
        if not isinstance(event, SessionStartEvent):
            raise Mistake(f"session.start must come first, got {getattr(event, 'type', '')}")
        self._settings, self._start_id = Settings(event.session, self._id), event.event_id
        self._line = Line(self._settings.form, self._max_message_s)
        self._commands = Commands(self._settings, self._line, self._teller)
        config = SessionConfig(turns=TurnTaking(), transcribe=True)
        return [Open(self._settings.model, config), *self._settings.notes(), *self._commands.ignored()]
