"""What a training step needs, drawn in another thread while the step before it is computed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """`draw` is a pure function of the step, so that who calls it when changes nothing."""

    def __init__(self, draw: Callable[[int], T]) -> None:
        self._draw, self._pool = draw, ThreadPoolExecutor(1)
        self._next: tuple[int, Future[T]] | None = None

    def __call__(self, n: int) -> T:
        """For step n. Raises what `draw` raises."""
        ready = self._next[1] if self._next and self._next[0] == n else self._pool.submit(self._draw, n)
        value = ready.result()
        self._next = n + 1, self._pool.submit(self._draw, n + 1)
        return value
