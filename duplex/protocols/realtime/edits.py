"""What a client does to the conversation besides speaking: adds, asks for, removes and cuts items."""

from __future__ import annotations

import json
from typing import NamedTuple

from duplex.notes import Heard, Note, Remember, Rewrite, ToolResult
from duplex.protocols.realtime.conversation import Conversation, Item
from duplex.protocols.realtime.items import item_from
from duplex.protocols.realtime.messages import Event, Messages, Wrong, text_of
from duplex.protocols.wire import Message


class Edit(NamedTuple):
    """What the client gets, and what the agent is told."""

    messages: list[Message]
    notes: list[Note]


class Edits:
    """Every method takes the client's event; raises Wrong."""

    def __init__(self, messages: Messages, conversation: Conversation) -> None:
        self._messages, self._conversation = messages, conversation
        self._words = 0

    def take_words(self) -> int:
        """How many words were typed since the last time."""
        words, self._words = self._words, 0
        return words

    def create(self, event: Event) -> Edit:
        """A new item; if it does not go to the end, the agent gets the whole conversation anew."""
        asked = event.get("item")
        given = asked.get("id") if isinstance(asked, dict) else None
        item, notes = item_from(asked, given if isinstance(given, str) and given else self._messages.new("item"))
        if self._conversation.find(item.id):
            raise Wrong(f"item {item.id!r} is there already", code="item_create_duplicate_item_id", param="item.id")
        item.bytes = len(json.dumps(item.shown("completed")))
        self._conversation.check_room(item.bytes)
        after = event.get("previous_item_id")
        last = self._conversation.last_id
        before = self._conversation.add(item, after if isinstance(after, str) else None)
        self._words += len(item.text.split())
        place = {"item": item.shown("completed"), "previous_item_id": before}
        kinds = ("conversation.item.added", "conversation.item.done")
        messages: list[Message] = [self._messages.event(kind, **place) for kind in kinds]
        return Edit(messages, self._told(item, notes, at_end=before == last))

    def _told(self, item: Item, notes: list[Note], at_end: bool) -> list[Note]:
        """A result of a call that the agent never made is history, like the call."""
        history = item.kind == "call" or (item.kind == "result" and not self._waits_for(item))
        if item.kind == "result" and not history and at_end:
            return notes
        if not at_end:
            pictures = [note for note in notes if not isinstance(note, ToolResult)]
            return [*pictures, Rewrite(self._conversation.lines())]
        words: list[Note] = [Remember(line.role, line.text) for line in item.lines()]
        return words if history else [*notes, *words]

    def _waits_for(self, result: Item) -> bool:
        call = self._conversation.call(result.body["call_id"])
        return call is None or call.ours

    def retrieve(self, event: Event) -> Edit:
        item = self._found(event, "item_retrieve_invalid_item_id")
        return Edit([self._messages.event("conversation.item.retrieved", item=item.shown("completed"))], [])

    def delete(self, event: Event) -> Edit:
        """Of the last answer the agent forgets every word; anything else is a conversation without the item."""
        item = self._found(event, "item_delete_invalid_item_id")
        is_last = item.ours and item is self._conversation.last("assistant")
        self._conversation.drop(item)
        deleted = self._messages.event("conversation.item.deleted", item_id=item.id)
        if is_last:
            return Edit([deleted], [Heard("")])
        return Edit([deleted], [Rewrite(self._conversation.lines())] if any(item.lines()) else [])

    def truncate(self, event: Event) -> Edit:
        """Always acknowledged: clients ask by their own clock, and some end when it is refused."""
        asked_ms, item_id = event.get("audio_end_ms"), text_of(event, "item_id")
        if not isinstance(asked_ms, (int, float)):
            raise Wrong("audio_end_ms must be a number", param="audio_end_ms")
        item = self._conversation.find(item_id)
        notes: list[Note] = []
        if item and item.ours and item.sent_ms:
            end_ms = max(0, min(int(asked_ms), item.sent_ms))
            notes = self._cut(item, end_ms)
        else:
            end_ms = max(0, int(asked_ms))
        place = {"item_id": item_id, "content_index": 0, "audio_end_ms": end_ms}
        return Edit([self._messages.event("conversation.item.truncated", **place)], notes)

    def _cut(self, item: Item, end_ms: int) -> list[Note]:
        before = item.text.strip()
        item.cut(end_ms)
        if item is self._conversation.last("assistant"):
            return [Heard(item.text)]
        return [Rewrite(self._conversation.lines())] if item.text != before else []

    def _found(self, event: Event, code: str) -> Item:
        item_id = text_of(event, "item_id")
        if item := self._conversation.find(item_id):
            return item
        raise Wrong(f"no item {item_id!r} in this conversation", code=code, param="item_id")
