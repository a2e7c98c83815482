"""What could not be done, for the client's people to read: the protocol has no message for it but a thought."""

from __future__ import annotations

from google.genai import types

from duplex.notes import Discard, Hush, Note, Respond, TypedText, UseVoice
from duplex.protocols.gemini.outgoing import thought

_NO_MATTER = (UseVoice, Hush, Discard)  # notes that nobody misses where an agent does not honour them


class Regrets:
    """Kept until the next words."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._told: set[type] = set()

    def add(self, reason: str) -> None:
        """Something failed."""
        self._waiting.append(reason)

    def declined(self, note: Note, reason: str) -> bool:
        """The agent does not honour `note`: told once a kind -> whether the client waits for an answer to it."""
        awaited = isinstance(note, (Respond, TypedText))
        if not isinstance(note, _NO_MATTER) and (awaited or type(note) not in self._told):
            self._told.add(type(note))
            self._waiting.append(reason)
        return awaited

    def thoughts(self) -> list[types.Part]:
        """All that wait, for good."""
        waiting, self._waiting = self._waiting, []
        return [thought(reason) for reason in waiting]
