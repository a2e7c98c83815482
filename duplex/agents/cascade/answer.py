"""How one answer comes about: speech-to-text, then the language model, then the voice, phrase by phrase.

A plain asynchronous stream of what happened; it knows no ticks. A stage that raises ends it with a Failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import numpy as np

from duplex.agents.cascade.llm import LanguageModel
from duplex.agents.cascade.memory import Memory
from duplex.agents.cascade.mouth import Phrase
from duplex.agents.cascade.phrases import Phrases
from duplex.agents.cascade.stt import Transcriber
from duplex.agents.cascade.tts import Speaker
from duplex.agents.cascade.vad import EAR_HZ
from duplex.events import Failed, Work
from duplex.frame import SAMPLE_RATE
from duplex.notes import UseTools


@dataclass(frozen=True, slots=True)
class Understood:
    """What the user said; "" when it was not speech."""

    text: str


@dataclass(frozen=True, slots=True)
class Reached:
    """A point on the way that is worth a Hop."""

    stage: str


@dataclass(frozen=True, slots=True)
class Called:
    """A tool is wanted instead of words."""

    name: str
    arguments: str  # a JSON object


Step = Understood | Reached | Called | Phrase | Failed


@dataclass
class Answer:
    """One answer on its way. `stage` is what it is waiting for."""

    stt: Transcriber
    llm: LanguageModel
    tts: Speaker
    voice: str
    memory: Memory  # a copy: the session's own learns of the user's words when the answer is released
    max_sentences: int
    tools: UseTools = field(default_factory=lambda: UseTools(()))
    stage: str = "stt"
    work: Work = field(default_factory=Work)  # what went into it so far

    async def to_speech(self, pcm: np.ndarray, wanted: asyncio.Event) -> AsyncGenerator[Step, None]:
        """Transcribe float32 [n] at 16 kHz; once `wanted`, answer it."""
        self.stage = "stt"
        self._count(heard_ms=len(pcm) * 1000 / EAR_HZ)
        try:
            text = await self.stt.transcribe(pcm)
        except Exception as error:
            yield _failed(self.stage, error)
            return
        yield Understood(text)
        if text:
            await wanted.wait()
            async with aclosing(self.to_text(text)) as steps:
                async for step in steps:
                    yield step

    async def to_text(self, text: str) -> AsyncGenerator[Step, None]:
        """Answer what the user said."""
        self.memory.hear(text)
        async with aclosing(self.to_all()) as steps:
            async for step in steps:
                yield step

    async def to_all(self) -> AsyncGenerator[Step, None]:
        """Answer what was said so far."""
        self.stage = "llm"
        try:
            if call := await self._call():
                yield call
                return
            async with aclosing(self._reply()) as steps:
                async for step in steps:
                    yield step
        except Exception as error:
            yield _failed(self.stage, error)

    async def aloud(self, text: str) -> AsyncGenerator[Step, None]:
        """Speak these very words."""
        phrases = Phrases(most=len(text))
        try:
            for phrase in [*phrases.push(text), *phrases.flush()]:
                yield await self._voiced(phrase, pieces=0)
        except Exception as error:
            yield _failed(self.stage, error)

    async def _call(self) -> Called | None:
        """The tool that the user's words ask for; a result that has just come is spoken of, not asked for again."""
        messages, wanted = self.memory.messages(), self.tools
        if not wanted.tools or wanted.choice == "none" or messages[-1]["role"] != "user":
            return None
        call = await self.llm.choose(messages, wanted.tools, wanted.choice)
        return Called(call.name, call.arguments) if call else None

    async def _reply(self) -> AsyncGenerator[Step, None]:
        phrases = Phrases(self.max_sentences)
        reached: set[str] = set()
        voiced = 0  # pieces
        async with aclosing(self.llm.reply(self.memory.messages())) as pieces:
            async for piece in _then_end(pieces):
                self._count(pieces=piece is not None)
                if "llm_first_token" not in reached:
                    reached.add("llm_first_token")
                    yield Reached("llm_first_token")
                for phrase in phrases.push(piece) if piece is not None else phrases.flush():
                    if "first_sentence" not in reached:
                        reached.add("first_sentence")
                        yield Reached("first_sentence")
                    since, voiced = voiced, self.work.pieces
                    yield await self._voiced(phrase, pieces=voiced - since)
                if phrases.done:
                    return

    async def _voiced(self, text: str, pieces: int) -> Phrase:
        self.stage = "tts"
        self._count(letters=len(text))
        pcm = await self.tts.speak(text, self.voice)
        self._count(voiced_ms=len(pcm) * 1000 / SAMPLE_RATE)
        self.stage = "llm"
        return Phrase(text, pcm, pieces)

    def _count(self, **more: float) -> None:
        self.work = replace(self.work, **{name: getattr(self.work, name) + n for name, n in more.items()})


async def _then_end(pieces: AsyncIterator[str]) -> AsyncGenerator[str | None, None]:
    """The pieces, then None."""
    async for piece in pieces:
        yield piece
    yield None


def _failed(stage: str, error: Exception) -> Failed:
    return Failed(stage, str(error) or repr(error))
