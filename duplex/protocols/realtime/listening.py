"""The user's side of a conversation: their turns as items, and what was understood of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from duplex.events import Failed, SpeechStarted, SpeechStopped
from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE
from duplex.protocols.realtime.conversation import Conversation, Item
from duplex.protocols.realtime.messages import Messages
from duplex.protocols.wire import Message


@dataclass(frozen=True, slots=True)
class _Turn:
    item_id: str
    begin: int  # sample on the session's clock


class Listening:
    """Turns of the user, by voice: begun, ended, put into the conversation, transcribed."""

    def __init__(self, messages: Messages, conversation: Conversation, written_ms: Callable[[int], int]) -> None:
        self._messages, self._conversation, self._written_ms = messages, conversation, written_ms
        self._turn: _Turn | None = None
        self._last: Item | None = None  # the turn that was put into the conversation last
        self._last_samples = 0  # how long that was
        self._ticks = 0

    @property
    def speaking(self) -> bool:
        """Whether a turn has begun and not ended."""
        return self._turn is not None

    def take_ticks(self) -> int:
        """How many ticks of speech were heard since the last time."""
        ticks, self._ticks = self._ticks, 0
        return ticks

    def started(self, event: SpeechStarted) -> list[Message]:
        self._turn = _Turn(self._messages.new("item"), event.sample)
        at_ms = self._written_ms(event.sample)
        return [self._speech("started", self._turn, audio_start_ms=at_ms)]

    def stopped(self, event: SpeechStopped) -> list[Message]:
        """The end of a turn that the agent heard, unless the client has ended it already."""
        turn, self._turn = self._turn, None
        if turn is None:
            return []
        stopped = self._speech("stopped", turn, audio_end_ms=self._written_ms(event.sample))
        return [stopped, *self._commit(turn.item_id, event.sample - turn.begin)]

    def committed(self, now: int, fresh_samples: int) -> list[Message]:
        """The client has ended the turn, at sample `now`; if none was heard to begin, it is what is fresh."""
        turn, self._turn = self._turn, None
        if turn is None:
            return self._commit(self._messages.new("item"), fresh_samples)
        stopped = self._speech("stopped", turn, audio_end_ms=self._written_ms(now))
        return [stopped, *self._commit(turn.item_id, now - turn.begin)]

    def understood(self, text: str, tell: bool) -> list[Message]:
        """The words of the last turn; `tell`: the client wants them."""
        if not (item := self._last):
            return []
        item.text = f"{item.text} {text}".strip()
        if not tell:
            return []
        item.body["content"][0]["transcript"] = item.text
        place = {"item_id": item.id, "content_index": 0}
        usage = {"type": "duration", "seconds": round(self._last_samples / SAMPLE_RATE, 3)}
        return [
            self._transcription("delta", **place, delta=text),
            self._transcription("completed", **place, transcript=item.text, usage=usage),
        ]

    def not_understood(self, failed: Failed) -> list[Message]:
        """There will be no words of the last turn."""
        if not self._last:
            return []
        error = {"type": "transcription_error", "code": "transcription_failed", "message": failed.reason}
        return [self._transcription("failed", item_id=self._last.id, content_index=0, error=error)]

    def _commit(self, item_id: str, samples: int) -> list[Message]:
        content = [{"type": "input_audio", "transcript": None}]
        item = Item(item_id, "user", {"type": "message", "role": "user", "content": content})
        before = self._conversation.add(item)
        self._last, self._last_samples = item, max(0, samples)
        self._ticks += -(-self._last_samples // FRAME_SAMPLES)
        event, place = self._messages.event, {"previous_item_id": before}
        shown = item.shown("completed")
        return [
            event("input_audio_buffer.committed", item_id=item_id, **place),
            event("conversation.item.added", item=shown, **place),
            event("conversation.item.done", item=shown, **place),
        ]

    def _speech(self, what: str, turn: _Turn, **at: int) -> Message:
        return self._messages.event(f"input_audio_buffer.speech_{what}", item_id=turn.item_id, **at)

    def _transcription(self, what: str, **fields) -> Message:
        return self._messages.event(f"conversation.item.input_audio_transcription.{what}", **fields)
