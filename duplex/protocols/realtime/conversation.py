"""The items of a conversation: what was said, typed and called, in order, as the client may ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from duplex.notes import Remember
from duplex.protocols.realtime.messages import Wrong

MAX_ITEMS = 4_096  # half a day of talk; then the client adds no more, but what is said still counts
MAX_ITEM_BYTES = 1 << 20  # of all that the client has added, in JSON; pictures, which are not kept, aside
Kind = Literal["user", "assistant", "system", "call", "result"]


@dataclass(slots=True)
class Item:
    """One item. `text` is what of it the agent should know; `body` is the object that the client sees."""

    id: str
    kind: Kind
    body: dict[str, Any]
    text: str = ""
    ours: bool = False  # the agent made it
    sent_ms: int = 0  # of an answer's sound
    bytes: int = 0  # in JSON, where the client put it there
    marks: list[tuple[int, str]] = field(default_factory=list)  # an answer's words, and where in its sound they begin

    def shown(self, status: str) -> dict[str, Any]:
        """The SDK's item object."""
        return {"id": self.id, "object": "realtime.item", "status": status, **self.body}

    def cut(self, audio_end_ms: int) -> None:
        """Forget the words that begin after so much of its sound."""
        self.marks = [(at_ms, words) for at_ms, words in self.marks if at_ms < audio_end_ms]
        self.text = "".join(words for _, words in self.marks).strip()
        for part in self.body["content"]:
            if "transcript" in part:
                part["transcript"] = self.text

    def lines(self) -> Iterator[Remember]:
        """As the agent remembers it."""
        if self.text and self.kind in ("user", "assistant", "system"):
            yield Remember(self.kind, self.text)  # type: ignore[arg-type]
        elif self.kind == "call":
            yield Remember("system", f"The tool {self.body['name']} was called with {self.body['arguments']}")
        elif self.kind == "result":
            yield Remember("system", f"The tool has answered: {self.body['output']}")


class Conversation:
    """Items in order."""

    def __init__(self) -> None:
        self._items: list[Item] = []

    def find(self, item_id: str) -> Item | None:
        return next((item for item in reversed(self._items) if item.id == item_id), None)

    def call(self, call_id: str) -> Item | None:
        """The tool call of that name."""
        return next((i for i in self._items if i.kind == "call" and i.body["call_id"] == call_id), None)

    @property
    def last_id(self) -> str | None:
        return self._items[-1].id if self._items else None

    def last(self, kind: Kind) -> Item | None:
        """The latest item of a kind."""
        return next((item for item in reversed(self._items) if item.kind == kind), None)

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Put it behind another one, "root" being the beginning; None, or an unknown one: the end.

        Returns the id of the item before it.
        """
        places = {existing.id: at + 1 for at, existing in enumerate(self._items)} if after else {}
        at = 0 if after == "root" else places.get(after or "", len(self._items))
        self._items.insert(at, item)
        return self._items[at - 1].id if at else None

    def check_room(self, more_bytes: int = 0) -> None:
        """For one more item of the client's. Raises Wrong."""
        if len(self._items) >= MAX_ITEMS:
            raise Wrong(f"a conversation may hold {MAX_ITEMS} items: delete some", code="conversation_full")
        if more_bytes + sum(item.bytes for item in self._items) > MAX_ITEM_BYTES:
            raise Wrong(f"a client's items may hold {MAX_ITEM_BYTES} bytes: delete some", code="conversation_full")

    def drop(self, item: Item) -> None:
        self._items.remove(item)

    def lines(self) -> tuple[Remember, ...]:
        """All of it, as the agent should remember it."""
        return tuple(line for item in self._items for line in item.lines())
