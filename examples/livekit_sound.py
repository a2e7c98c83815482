"""A sound card made of WAV files, for LiveKit's AgentSession without a room: the caller is read from one file, and
what both sides say is written to another, the caller on the left and the agent on the right."""

import asyncio
import time
import wave
from collections import deque

import numpy as np
from livekit import rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities

RATE_HZ = 24_000
CHUNK = RATE_HZ // 50  # samples; 20 ms


async def call(session: AgentSession, agent: Agent, caller: str, both: str, tail_s: float = 8.0) -> None:
    """Plays the WAV file `caller` (16-bit mono, 24 kHz) to the agent in real time, and `tail_s` of silence after it."""
    with wave.open(caller) as file:
        if file.getparams()[:3] != (1, 2, RATE_HZ):
            raise SystemExit(f"{caller} must be 16-bit mono at {RATE_HZ} Hz")
        user = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    mouth = Mouth()
    ear = Ear(np.concatenate([user, np.zeros(round(tail_s * RATE_HZ), "<i2")]), mouth)
    session.input.audio, session.output.audio = ear, mouth
    await session.start(agent)
    await ear.over.wait()
    await session.aclose()
    with wave.open(both, "wb") as file:
        file.setparams((2, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(np.concatenate(ear.both).tobytes())


class Mouth(AudioOutput):
    """Plays what the agent says in the time that the ear gives."""

    def __init__(self) -> None:
        super().__init__(label="wav", capabilities=AudioOutputCapabilities(pause=False), sample_rate=RATE_HZ)
        self._waiting = np.zeros(0, "<i2")
        self._ends: deque[int] = deque()  # of the segments that play, in samples of all that was ever captured
        self._captured, self._played, self._begun = 0, 0, 0
        self._capturing = False

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        self._capturing = True
        self._waiting = np.concatenate([self._waiting, np.frombuffer(frame.data, "<i2")])
        self._captured += frame.samples_per_channel

    def flush(self) -> None:
        super().flush()
        if self._capturing:
            self._ends.append(self._captured)
        self._capturing = False

    def clear_buffer(self) -> None:
        self.flush()
        self._waiting, self._captured = self._waiting[:0], self._played
        while self._ends:
            self._finish(self._ends.popleft(), interrupted=True)

    def play(self) -> np.ndarray:
        """The next 20 ms."""
        pcm, self._waiting = self._waiting[:CHUNK], self._waiting[CHUNK:]
        self._played += len(pcm)
        while self._ends and self._ends[0] <= self._played:
            self._finish(self._ends.popleft(), interrupted=False)
        return np.pad(pcm, (0, CHUNK - len(pcm)))

    def _finish(self, end: int, interrupted: bool) -> None:
        at = min(end, self._played)
        self.on_playback_finished(playback_position=(at - self._begun) / RATE_HZ, interrupted=interrupted)
        self._begun = at


class Ear(AudioInput):
    """What the caller says, 20 ms at a time, when it is time for it."""

    def __init__(self, user: np.ndarray, mouth: Mouth) -> None:
        super().__init__(label="wav")
        self.over = asyncio.Event()
        self.both: list[np.ndarray] = []  # int16 [480, 2] each
        self._user, self._mouth, self._began_s = user, mouth, 0.0

    async def __anext__(self) -> rtc.AudioFrame:
        self._began_s = self._began_s or time.monotonic()
        await asyncio.sleep(max(0.0, self._began_s + 0.02 * (len(self.both) + 1) - time.monotonic()))
        chunk, self._user = self._user[:CHUNK], self._user[CHUNK:]
        if not len(chunk):
            self.over.set()
            raise StopAsyncIteration
        chunk = np.pad(chunk, (0, CHUNK - len(chunk)))
        self.both.append(np.stack([chunk, self._mouth.play()], axis=1))
        return rtc.AudioFrame(chunk.tobytes(), RATE_HZ, 1, CHUNK)
