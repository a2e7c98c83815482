"""What has been sent to the phone and not been played there, as far as its marks tell."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

_REMEMBERED_TICKS = 750  # a minute; a client that returns no marks must not cost more


class _Sent(NamedTuple):
    t: int
    audible: bool
    text: str


class Unplayed:
    """The ticks ahead of the listener, and what was heard of the answer that is being played."""

    def __init__(self) -> None:
        self.heard = ""
        self._ahead: deque[_Sent] = deque(maxlen=_REMEMBERED_TICKS)

    @property
    def ticks(self) -> int:
        return len(self._ahead)

    @property
    def audible(self) -> bool:
        """Whether the listener has yet to hear something."""
        return any(sent.audible for sent in self._ahead)

    @property
    def words(self) -> str:
        """Voiced in the ticks that have not been heard to their end."""
        return "".join(sent.text for sent in self._ahead)

    def sent(self, t: int, audible: bool, text: str) -> None:
        self._ahead.append(_Sent(t, audible, text))

    def played(self, mark: str) -> None:
        """The phone returned a mark; one that is not expected, as after a clear, says nothing."""
        if any(mark == str(sent.t) for sent in self._ahead):
            while str((sent := self._ahead.popleft()).t) != mark:
                self.heard += sent.text
            self.heard += sent.text

    def answer(self) -> None:
        """A new answer begins; what is still ahead belongs to the one before."""
        self.heard = ""
        self._ahead = deque((sent._replace(text="") for sent in self._ahead), _REMEMBERED_TICKS)

    def drop(self) -> None:
        """Nothing that is ahead will be heard."""
        self._ahead.clear()
