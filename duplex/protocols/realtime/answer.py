"""One answer of the agent as a client is told of it: a response, its items, their sound and words, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from duplex.events import Failed, ToolCall
from duplex.frame import FRAME_MS, Frame
from duplex.protocols.realtime.account import Account
from duplex.protocols.realtime.conversation import Conversation, Item
from duplex.protocols.realtime.messages import Messages
from duplex.protocols.realtime.settings import Settings, form_of
from duplex.protocols.realtime.sound import FORMS, packed
from duplex.protocols.sound import Encoder, audible
from duplex.protocols.wire import Message

_STATUS = {  # Answered.why -> status, reason
    "completed": ("completed", None),
    "interrupted": ("cancelled", "turn_detected"),
    "cancelled": ("cancelled", "client_cancelled"),
    "failed": ("failed", None),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a response.create asked for, besides an answer."""

    modality: str | None = None
    metadata: dict[str, str] | None = None
    max_output_tokens: int | str | None = None


@dataclass(slots=True)
class _Message:
    """The answer's spoken or written item."""

    item: Item
    place: dict[str, Any]
    encoder: Encoder
    part: dict[str, Any] = field(default_factory=dict)


class Answer:
    """From response.created to response.done."""

    def __init__(
        self, messages: Messages, conversation: Conversation, settings: Settings, wanted: Wanted, account: Account
    ) -> None:
        self.id = messages.new("resp")
        self._messages, self._conversation, self._settings, self._account = messages, conversation, settings, account
        self._spoken = (wanted.modality or settings.modality) == "audio"
        self._wanted = wanted
        self._message: _Message | None = None
        self._output: list[dict[str, Any]] = []  # the items as they ended, in order
        self._ticks = 0  # that were sent

    def created(self) -> list[Message]:
        return [self._messages.event("response.created", response=self._shown("in_progress"))]

    def sound(self, said: Frame) -> list[Message]:
        """One tick of it; what comes before the first word and the first sound is left out."""
        assert said.pcm is not None
        if not self._message and not said.text.strip() and not (self._spoken and audible(said.pcm)):
            return []
        out: list[Message] = [] if self._message else self._begin()
        message = self._message
        assert message
        text = said.text if message.item.text else said.text.lstrip()
        if text:
            message.item.text += text
            message.item.marks.append((message.item.sent_ms, text))
            kind = "response.output_audio_transcript.delta" if self._spoken else "response.output_text.delta"
            out.append(self._event(kind, message, delta=text))
        if self._spoken:
            self._ticks += 1
            message.item.sent_ms += FRAME_MS
            out.append(
                self._event("response.output_audio.delta", message, delta=packed(message.encoder.push(said.pcm)))
            )
        return out

    def call(self, call: ToolCall) -> list[Message]:
        """The agent wants a tool."""
        body = {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": ""}
        item = Item(self._messages.new("item"), "call", body, ours=True)
        out = self._added(item)
        body["arguments"] = call.arguments
        place = {"response_id": self.id, "item_id": item.id, "output_index": len(self._output) - 1}
        arguments = {**place, "call_id": call.call_id}
        event = self._messages.event
        return [
            *out,
            event("response.function_call_arguments.delta", **arguments, delta=call.arguments),
            event("response.function_call_arguments.done", **arguments, name=call.name, arguments=call.arguments),
            *self._ended(item, place["output_index"], "completed"),
        ]

    def done(self, why: str, failed: Failed | None = None) -> list[Message]:
        """It is over; `why` as in Answered."""
        status, reason = _STATUS.get(why, ("failed", None))
        out = self._close("completed" if status == "completed" else "incomplete")
        text = self._message.item.text if self._message else ""
        details: dict[str, Any] = {"type": status}
        if reason:
            details["reason"] = reason
        if status == "failed":
            message = failed.reason if failed else "the agent could not answer"
            details["error"] = {"type": "server_error", "code": failed and failed.stage, "message": message}
        shown = self._shown(status) | {"status_details": details, "usage": self._account.usage(self._ticks, text)}
        return [*out, self._messages.event("response.done", response=shown)]

    def _begin(self) -> list[Message]:
        kind, part = ("output_audio", {"transcript": ""}) if self._spoken else ("output_text", {"text": ""})
        body: dict[str, Any] = {"type": "message", "role": "assistant", "content": []}
        item = Item(self._messages.new("item"), "assistant", body, ours=True)
        out = self._added(item)
        place = {"response_id": self.id, "item_id": item.id, "output_index": len(self._output) - 1, "content_index": 0}
        self._message = _Message(item, place, Encoder(FORMS[self._settings.said_form]), {"type": kind, **part})
        return [*out, self._event("response.content_part.added", self._message, part=self._part(""))]

    def _close(self, status: str) -> list[Message]:
        """The end of the spoken item, if there is one."""
        if not (message := self._message):
            return []
        item, text = message.item, message.item.text
        word = "transcript" if self._spoken else "text"
        item.body["content"] = [{**message.part, word: text}]
        if self._spoken:
            out = [self._event("response.output_audio.done", message)]
            out += [self._event("response.output_audio_transcript.done", message, transcript=text)]
        else:
            out = [self._event("response.output_text.done", message, text=text)]
        out.append(self._event("response.content_part.done", message, part=self._part(text)))
        return [*out, *self._ended(item, message.place["output_index"], status)]

    def _part(self, text: str) -> dict[str, str]:
        return {"type": "audio", "transcript": text} if self._spoken else {"type": "text", "text": text}

    def _added(self, item: Item) -> list[Message]:
        before = self._conversation.add(item)
        shown = item.shown("in_progress")
        self._output.append(shown)
        place = {"response_id": self.id, "output_index": len(self._output) - 1}
        return [
            self._messages.event("response.output_item.added", **place, item=shown),
            self._messages.event("conversation.item.added", item=shown, previous_item_id=before),
        ]

    def _ended(self, item: Item, output_index: int, status: str) -> list[Message]:
        shown = self._output[output_index] = item.shown(status)
        place = {"response_id": self.id, "output_index": output_index}
        return [
            self._messages.event("response.output_item.done", **place, item=shown),
            self._messages.event("conversation.item.done", item=shown),
        ]

    def _event(self, kind: str, message: _Message, **fields: Any) -> Message:
        return self._messages.event(kind, **message.place, **fields)

    def _shown(self, status: str) -> dict[str, Any]:
        settings, wanted = self._settings, self._wanted
        output = {"format": form_of(settings.said_form), "voice": settings.voice or None}
        return {
            "id": self.id,
            "object": "realtime.response",
            "status": status,
            "status_details": None,
            "output": list(self._output),
            "output_modalities": ["audio" if self._spoken else "text"],
            "audio": {"output": output},
            "max_output_tokens": wanted.max_output_tokens or settings.max_output_tokens,
            "metadata": wanted.metadata,
            "usage": None,
        }
