"""Where in a session's time the user said what a Transcript tells."""

from __future__ import annotations

from duplex.events import SpeechStarted, SpeechStopped
from duplex.frame import SAMPLE_RATE


def ms_of(samples: int) -> int:
    """Samples at 24 kHz -> whole milliseconds."""
    return samples * 1000 // SAMPLE_RATE


class UserTurns:
    """Told when the user speaks; asked for the span of a transcript, in milliseconds of the session."""

    def __init__(self) -> None:
        self._began: int | None = None  # the turn that goes on
        self._done: tuple[int, int] | None = None  # the last one that is over, until its transcript comes
        self._until = 0  # what has been told so far

    def hear(self, event: SpeechStarted | SpeechStopped) -> None:
        """An edge of a turn."""
        at_ms = ms_of(event.sample)
        if isinstance(event, SpeechStarted):
            self._began = at_ms
        else:
            self._done = (at_ms if self._began is None else self._began, at_ms)
            self._began = None

    def take(self, now_ms: int) -> tuple[int, int]:
        """The span of a transcript that comes now: the turn that is over, or else the one that goes on so far."""
        if self._done:
            span, self._done = self._done, None
        elif self._began is not None:
            span, self._began = (self._began, now_ms), now_ms
        else:
            span = (self._until, self._until)
        self._until = max(span)
        return span[0], self._until
