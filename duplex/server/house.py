"""Who is in: the open conversations of each agent, and whether the doors are still open."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_LAST_WORDS_S = 2.0  # for conversations that are told to end


class House:
    """Counts conversations; drains them when the server stops."""

    def __init__(self) -> None:
        self.in_use: Counter[str] = Counter()  # agent -> conversations
        self.draining = False
        self.closing = asyncio.Event()  # set: every conversation ends now
        self._empty = asyncio.Event()
        self._empty.set()
        self._numbers = itertools.count(1)

    @contextmanager
    def guest(self, agent: str) -> Iterator[int]:
        """One conversation with `agent`; gives its number, for the log."""
        self.in_use[agent] += 1
        self._empty.clear()
        try:
            yield next(self._numbers)
        finally:
            self.in_use[agent] -= 1
            if not self.in_use.total():
                self._empty.set()

    async def drain(self, limit_s: float) -> None:
        """Let nobody in; give those inside `limit_s` seconds to finish, then ask them to leave."""
        self.draining = True
        if not await self._is_empty(limit_s):
            self.closing.set()
            await self._is_empty(_LAST_WORDS_S)

    async def _is_empty(self, limit_s: float) -> bool:
        try:
            await asyncio.wait_for(self._empty.wait(), limit_s)
        except asyncio.TimeoutError:
            return False
        return True
