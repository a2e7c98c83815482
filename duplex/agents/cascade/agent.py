"""The cascade as an Agent: the stages that all sessions share, and the seats."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

from duplex.agents.cascade.answer import Answer
from duplex.agents.cascade.config import CascadeConfig
from duplex.agents.cascade.llm import LanguageModel
from duplex.agents.cascade.memory import Memory
from duplex.agents.cascade.session import NOTES, CascadeSession
from duplex.agents.cascade.stt import Transcriber
from duplex.agents.cascade.tts import Speaker
from duplex.agents.cascade.vad import Score
from duplex.notes import Image, UseTools
from duplex.session import AtCapacity, Capabilities, Session, SessionConfig, refuse


@dataclass(frozen=True, slots=True)
class Stages:
    """What a cascade is made of; loaded once, used by every session."""

    ear: Callable[[], Score]  # a fresh listener for each session
    stt: Transcriber
    llm: LanguageModel
    tts: Speaker


class CascadeAgent:
    """Opens sessions over shared stages. Owns the stages and the hearing thread: `close` frees them."""

    def __init__(
        self, config: CascadeConfig, stages: Stages, now: Callable[[], float], hearing: Executor | None = None
    ) -> None:
        self._config, self._stages, self._now = config, stages, now
        self._hearing = hearing or ThreadPoolExecutor(1, "cascade-vad")
        self._sessions: set[CascadeSession] = set()
        self._open = True
        self.capabilities = Capabilities(
            name="cascade",
            model=f"silero + {config.stt.model} + {config.llm.model} + {config.voice}",
            persona=True,
            voices=stages.tts.voices,
            tools=True,
            images=config.llm.images,
            notes=(*NOTES, Image) if config.llm.images else NOTES,
            seats=config.seats,
        )

    async def open(self, config: SessionConfig) -> Session:
        refuse(config, self.capabilities)
        if len(self._sessions) >= self._config.seats:
            raise AtCapacity(f"all {self._config.seats} seats are taken")
        session = CascadeSession(
            config=self._config,
            can=self.capabilities,
            wish=config,
            score=self._stages.ear(),
            answer=self._answer,
            prepare_tools=self._stages.llm.prepare_tools,
            hearing=self._hearing,
            now=self._now,
            leave=lambda: self._sessions.discard(session),
        )
        self._sessions.add(session)
        return session

    async def close(self) -> None:
        if not self._open:
            return
        self._open = False
        for session in tuple(self._sessions):
            await session.close()
        self._hearing.shutdown(wait=False)
        self._stages.stt.close()
        self._stages.tts.close()
        await self._stages.llm.close()

    def _answer(self, voice: str, memory: Memory, tools: UseTools) -> Answer:
        stages = self._stages
        return Answer(stages.stt, stages.llm, stages.tts, voice, memory, self._config.max_sentences, tools)
