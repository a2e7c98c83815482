"""Answers that were cancelled and may still be at work."""

from __future__ import annotations

import asyncio

from duplex.agents.cascade.reply import Reply
from duplex.frame import Event


class Stopping:
    """Cancelled work that has not stopped yet is still work in flight; what it took is told when it has."""

    def __init__(self) -> None:
        self._replies: list[Reply] = []

    def add(self, reply: Reply, why: str) -> None:
        """Cancel it. It must have been paced up to this tick: what it has made by now belongs to its account."""
        reply.why = why
        reply.due.cancel()
        self._replies.append(reply)

    async def settled(self, t: int) -> list[Event]:
        """The accounts of those that have stopped by tick t. What stops in a tick is told in the next."""
        events: list[Event] = []
        replies, self._replies = self._replies, []
        for reply in replies:
            await reply.due.pace(t)
            if reply.due.finished:
                events += [*reply.made(), *reply.wasted()]
            else:
                self._replies.append(reply)
        return events

    async def close(self) -> None:
        await asyncio.gather(*(reply.due.close() for reply in self._replies))
