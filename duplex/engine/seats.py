"""Who sits in which row of the batch. Pure Python: knows neither torch nor sessions."""

from __future__ import annotations

from collections.abc import Iterable

from duplex.session import AtCapacity


class Seats:
    """B rows, each free or taken."""

    def __init__(self, rows: int) -> None:
        if rows < 1:
            raise ValueError(f"seats must be at least 1, got {rows}")
        self.rows = rows
        self._free = list(range(rows - 1, -1, -1))  # the lowest row is handed out first

    @property
    def taken(self) -> int:
        return self.rows - len(self._free)

    def take(self) -> int:
        """A free row. Raises AtCapacity at once when there is none."""
        if not self._free:
            raise AtCapacity(f"all {self.rows} seats are taken")
        return self._free.pop()

    def give_back(self, row: int) -> None:
        """The row is free again. Raises ValueError when it was not taken."""
        if row in self._free or not 0 <= row < self.rows:
            raise ValueError(f"seat {row} was not taken")
        self._free.append(row)
        self._free.sort(reverse=True)


def mask(rows: Iterable[int], size: int) -> list[bool]:
    """[size] booleans, True at `rows`."""
    marked = set(rows)
    return [row in marked for row in range(size)]
