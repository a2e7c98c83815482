"""Where the time of one step goes: a mark at the end of each stage, read when the device is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Stamp = TypeVar("Stamp")


class Laps(Generic[Stamp]):
    """Marks of one step, over and over. A stage that is not reached leaves no lap."""

    def __init__(self, stamp: Callable[[], Stamp], between_ms: Callable[[Stamp, Stamp], float]) -> None:
        """`stamp` says when it is, or leaves a mark on the device; `between_ms` reads two such marks."""
        self._stamp, self._between_ms = stamp, between_ms
        self._marks: list[tuple[str, Stamp]] = []

    def begin(self) -> None:
        """A step begins; what was marked before is forgotten."""
        self._marks = [("", self._stamp())]

    def end(self, stage: str) -> None:
        """`stage` took the time since the last mark."""
        self._marks.append((stage, self._stamp()))

    def ms(self) -> dict[str, float]:
        """Stage -> milliseconds, in order. Marks left on a device can be read only once it has reached them."""
        stamps = [at for _, at in self._marks]
        spent = map(self._between_ms, stamps, stamps[1:])
        return dict(zip([stage for stage, _ in self._marks[1:]], spent, strict=True))
