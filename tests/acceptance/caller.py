"""A caller with a microphone and a loudspeaker on one clock, for clients that leave both to their user."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np

from duplex.clients.playout import Playout
from duplex.frame import SAMPLE_RATE

CHUNK = SAMPLE_RATE // 50  # 20 ms


class Caller:
    """Says `pcm` in real time; what it plays meanwhile is `heard`."""

    def __init__(self, pcm: np.ndarray) -> None:
        """`pcm`: float32 [n] at 24 kHz."""
        self.pcm, self._loudspeaker = pcm, Playout()
        self._heard: list[np.ndarray] = []
        self.words: list[str] = []  # that the agent was said to have spoken
        self.called: list[str] = []  # the tools, with their arguments

    def play(self, s16: bytes) -> None:
        """Sound of the agent, as it comes."""
        self._loudspeaker.push(np.frombuffer(s16, "<i2").astype(np.float32) / 32768)

    def stop(self) -> None:
        """What has not been played is not to be."""
        self._loudspeaker.clear()

    def heard_elsewhere(self, pcm: np.ndarray) -> None:
        """A client with a sound card of its own heard this, float32 [n]."""
        self._heard = [pcm]

    @property
    def heard(self) -> np.ndarray:
        """float32 [n], on the clock of what was said."""
        return np.concatenate(self._heard)

    async def speak(self, send: Callable[[bytes], Awaitable[object]]) -> None:
        """All of it, 20 ms of 16-bit samples at a time."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for at in range(len(self.pcm) // CHUNK):
            await asyncio.sleep(max(0.0, began_s + (at + 1) * CHUNK / SAMPLE_RATE - loop.time()))
            chunk = self.pcm[at * CHUNK : (at + 1) * CHUNK]
            await send((np.clip(chunk, -1, 1) * 32767).astype("<i2").tobytes())
            self._heard.append(self._loudspeaker.pull(CHUNK))
