"""The serving side: a client's events to frames and notes, an agent's ticks to events."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from duplex.events import Answered, Answering, Failed, SpeechStarted, SpeechStopped, ToolCall, Transcript
from duplex.frame import FRAME_SAMPLES, Frame
from duplex.frame import Event as Happened
from duplex.notes import Commit, Discard, Heard, Hush, Note, Respond
from duplex.protocols.realtime.account import Account
from duplex.protocols.realtime.agreement import Agreement
from duplex.protocols.realtime.conversation import Conversation
from duplex.protocols.realtime.edits import Edit, Edits
from duplex.protocols.realtime.listening import Listening
from duplex.protocols.realtime.messages import Event, Messages, Wrong, parsed, text_of
from duplex.protocols.realtime.responses import Responses
from duplex.protocols.realtime.settings import STANDS_FOR
from duplex.protocols.realtime.sound import Microphone, unpacked
from duplex.protocols.sound import MAX_MESSAGE_S
from duplex.protocols.wire import Item, Message, Reply
from duplex.session import Capabilities

_CODEBOOKS = 8  # a tick of sound counts as so many tokens, where the agent has no codes of its own
_REMEMBERED = 64  # notes that an agent may still turn down


class RealtimeWire:
    """One session. `tag` makes its ids differ from those of other sessions."""

    def __init__(self, model: str = "", tag: str = "", max_message_s: float = MAX_MESSAGE_S) -> None:
        self._messages = messages = Messages(tag)
        self._conversation = Conversation()
        self._microphone = Microphone(max_message_s)
        self._agreement = Agreement(messages, model)
        self._edits = Edits(messages, self._conversation)
        self._listening = Listening(messages, self._conversation, self._microphone.written_ms)
        self._responses = Responses(messages, self._conversation, self._account)
        self._codebooks = _CODEBOOKS
        self._asked: deque[tuple[Note, str | None]] = deque(maxlen=_REMEMBERED)  # and the client's event_id
        self._do: Mapping[str, Callable[[Event], list[Item]]] = {
            "session.update": self._update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "output_audio_buffer.clear": lambda event: [],  # nothing is held back here
            "conversation.item.create": lambda event: self._edited(event, self._edits.create(event)),
            "conversation.item.retrieve": lambda event: self._edited(event, self._edits.retrieve(event)),
            "conversation.item.delete": lambda event: self._edited(event, self._edits.delete(event)),
            "conversation.item.truncate": lambda event: self._edited(event, self._edits.truncate(event)),
            "response.create": lambda event: self._noted(event, self._responses.create(event)),
            "response.cancel": lambda event: self._noted(event, self._responses.cancel(event)),
        }

    def hello(self, can: Capabilities) -> list[Message]:
        self._codebooks = can.codebooks or _CODEBOOKS
        return self._agreement.created(can)

    def receive(self, message: Message) -> list[Item]:
        """Never raises: whatever is wrong with a message is told in an `error` event."""
        event: Event = {}
        try:
            event = parsed(message)
            if event["type"] not in self._do:
                raise Wrong(f"no event type {event['type']!r}; known: {', '.join(self._do)}", param="type")
            return self._do[event["type"]](event)
        except Wrong as wrong:
            return [Reply((self._messages.error(wrong, _id_of(event)),))]

    def lull(self) -> Frame:
        return self._microphone.lull()

    def send(self, said: Frame) -> list[Message]:
        ends = [event.why for event in said.events if isinstance(event, Answered)]
        cut, sounded = any(why != "completed" for why in ends), False
        out: list[Message] = []
        for event in said.events:
            if isinstance(event, Answered) and not sounded:  # what sounds in its last tick belongs to it
                out, sounded = [*out, *self._responses.heard(said, cut)], True
            out += self._told(event)
        return out if sounded else [*out, *self._responses.heard(said, cut)]

    def declined(self, note: Note, reason: str) -> list[Message]:
        if type(note) in STANDS_FOR:
            return self._agreement.declined(note, reason)
        if isinstance(note, Respond):
            return self._responses.declined(reason, self._agreement.settings)
        if isinstance(note, Hush):
            return self._responses.over("cancelled")
        if isinstance(note, (Heard, Discard)):
            return []  # the client cannot do anything about it
        event_id = next((event_id for asked, event_id in self._asked if asked is note), None)
        return [self._messages.error(Wrong(reason, code="unsupported"), event_id)]

    @staticmethod
    def refuse(reason: str) -> list[Message]:
        return [Messages("closed_").error(Wrong(reason, code="session_closed"))]

    # --- the agent ----------------------------------------------------------------------------------------------------

    def _told(self, event: Happened) -> list[Message]:
        settings = self._agreement.settings
        if isinstance(event, SpeechStarted) and settings.turn_detection:
            return self._listening.started(event)
        if isinstance(event, SpeechStopped) and settings.turn_detection:
            return self._listening.stopped(event)
        if isinstance(event, Transcript):
            return self._listening.understood(event.text, tell=settings.transcription is not None)
        if isinstance(event, Answering):
            return self._responses.begun(settings)
        if isinstance(event, Answered):
            return self._responses.over(event.why)
        if isinstance(event, ToolCall):
            return self._responses.call(event, settings)
        return self._went_wrong(event) if isinstance(event, Failed) else []

    def _went_wrong(self, failed: Failed) -> list[Message]:
        self._responses.failed(failed)
        wants_words = failed.stage == "stt" and self._agreement.settings.transcription is not None
        return self._listening.not_understood(failed) if wants_words else []

    def _account(self) -> Account:
        return Account(self._listening.take_ticks(), self._edits.take_words(), self._codebooks)

    # --- the client ---------------------------------------------------------------------------------------------------

    def _update(self, event: Event) -> list[Item]:
        old = self._agreement.settings
        messages, notes = self._agreement.update(event.get("session"))
        new = self._agreement.settings
        if new.heard_form != old.heard_form:
            self._microphone.use(new.heard_form)
        if new.turn_detection is None and old.turn_detection:
            self._microphone.take()
        return [Reply(tuple(messages)), *self._noted(event, *notes)]

    def _append(self, event: Event) -> list[Item]:
        return list(self._microphone.push(unpacked(text_of(event, "audio"))))

    def _commit(self, event: Event) -> list[Item]:
        by_hand = self._agreement.settings.turn_detection is None
        if not self._listening.speaking and not (by_hand and self._microphone.fresh_samples):
            raise Wrong("Error committing input audio buffer: it is empty", code="input_audio_buffer_commit_empty")
        self._conversation.check_room()
        frames, fresh = self._microphone.flush(), self._microphone.take()
        messages = self._listening.committed(self._microphone.t * FRAME_SAMPLES, fresh)
        return [*frames, Reply(tuple(messages)), *self._noted(event, Commit())]

    def _clear(self, event: Event) -> list[Item]:
        self._microphone.drop()
        return [Reply((self._messages.event("input_audio_buffer.cleared"),)), *self._noted(event, Discard())]

    def _edited(self, event: Event, edit: Edit) -> list[Item]:
        return [Reply(tuple(edit.messages)), *self._noted(event, *edit.notes)]

    def _noted(self, event: Event, *notes: Note) -> list[Item]:
        self._asked.extend((note, _id_of(event)) for note in notes)
        return list(notes)


def _id_of(event: Event) -> str | None:
    event_id = event.get("event_id")
    return event_id if isinstance(event_id, str) else None
