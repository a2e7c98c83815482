"""A full-duplex model with somebody who attends: the same conversation, and its turns in words and events.

The model decides by itself when it speaks. An ear beside it says when the user began and stopped, whisper what he said,
and the sound of the model itself where its answers begin and end, so that protocols that are made of turns can be
spoken. Nothing of that is loaded or costs a tick until a session asks for it, or takes a note that needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from duplex.agents.aside import Aside
from duplex.frame import Frame
from duplex.notes import Commit, Discard, Heard, Hush, Note, Respond, Say, ToolResult, TurnTaking, UseTools
from duplex.session import Capabilities, SessionConfig, Unsupported, cannot

if TYPE_CHECKING:
    from duplex.agents.attendance import Attendance

NOTES = (Say, Heard, Commit, Discard, Respond, Hush, ToolResult, UseTools, TurnTaking)


class Row(Protocol):
    """The model's side of one conversation."""

    async def step(self, heard: Frame) -> Frame: ...

    def say(self, text: str) -> None:
        """Make it say these words after those given before. Raises Unsupported when there is no word in them."""
        ...

    def drop(self) -> None:
        """Forget the given words that were not yet said."""
        ...

    def mute(self, on: bool) -> None:
        """Let it write no words of its own."""
        ...

    async def close(self) -> None: ...


class AttendedSession:
    """A row of the model, and what attends to it as soon as that is asked for. Owns the row."""

    def __init__(
        self, row: Row, can: Capabilities, wish: SessionConfig, aside: Aside, now: Callable[[], float]
    ) -> None:
        """`now`: monotonic seconds, by which background work is paced."""
        self._row, self._can, self._wish, self._aside, self._now = row, can, wish, aside, now
        self._attends: Attendance | None = None

    async def prepare(self) -> None:
        """Begin to attend, if the session asks for that. Raises Unsupported for what cannot be had."""
        wish = self._wish
        if wish.turns is not None or wish.transcribe or wish.tools:
            await self._attend()

    async def step(self, heard: Frame) -> Frame:
        said = await self._row.step(heard)
        return await self._attends.step(heard, said) if self._attends else said

    async def tell(self, note: Note) -> None:
        """Words are given to the model at once, all else is honoured in the next step."""
        if not isinstance(note, NOTES):
            raise cannot(note, self._can)
        if isinstance(note, TurnTaking):
            _check(note, self._can)
        if isinstance(note, Say):
            self._row.say(note.text)
        if self._attends is None and isinstance(note, (Say, Heard, Respond, Discard)):
            return  # the model has heard itself, and answers without being told
        attends = await self._attend()
        if isinstance(note, UseTools) and note.tools:
            await self._aside.need("stt", "llm")
        attends.notes.append(note)

    async def close(self) -> None:
        await self._row.close()
        attends, self._attends = self._attends, None
        if attends:
            await attends.close()

    async def _attend(self) -> Attendance:
        if self._attends is None:
            wish = self._wish
            _check(wish.turns or TurnTaking(), self._can)
            words = ("stt",) if wish.transcribe or wish.tools else ()
            await self._aside.need("ear", *words, *(("llm",) if wish.tools else ()))
            from duplex.agents.attendance import Attendance  # it imports what a plain session does without

            self._attends = Attendance(self._row, wish, self._aside, self._now)
        return self._attends


def _check(rules: TurnTaking, can: Capabilities) -> None:
    if not (rules.respond and rules.interrupt):
        raise Unsupported(
            f"{can.name} decides by itself when it answers and when it gives way: TurnTaking cannot turn off respond "
            "or interrupt"
        )
