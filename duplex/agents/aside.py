"""What listens beside a full-duplex model: an ear for turns, speech-to-text, and a language model that may call tools.

Each is loaded when the first session asks for it, once for all sessions; who asks for nothing pays for nothing. Its
answers come from background jobs, as asynchronous streams that know no ticks.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from duplex.agents.cascade.config import PERSONA, LlmConfig, SttConfig, VadConfig
from duplex.events import Failed
from duplex.notes import UseTools
from duplex.session import Unsupported

if TYPE_CHECKING:
    from duplex.agents.cascade.memory import Memory


@dataclass(frozen=True, slots=True)
class AsideConfig:
    """The stages beside the model: the cascade's own, with settings of their own."""

    persona: str = PERSONA  # of the language model, when it puts a tool's result into words
    memory_chars: int = 2_000
    vad: VadConfig = field(default_factory=VadConfig)
    stt: SttConfig = field(default_factory=SttConfig)
    llm: LlmConfig = field(default_factory=LlmConfig)


@dataclass(frozen=True, slots=True)
class Understood:
    """What the user said; "" when it was not speech."""

    text: str


@dataclass(frozen=True, slots=True)
class Called:
    """A tool is wanted."""

    name: str
    arguments: str  # a JSON object


@dataclass(frozen=True, slots=True)
class Worded:
    """A sentence that the model shall say."""

    text: str


Thought = Understood | Called | Worded | Failed
Load = Callable[[], Any]


class Aside:
    """The stages, as far as somebody has asked for them. `close` frees them."""

    def __init__(self, config: AsideConfig, loaders: Mapping[str, Load], hearing: Executor | None = None) -> None:
        """`loaders` make the ear (which gives every session a Score), the stt and the llm."""
        self.config = config
        self.hearing = hearing or ThreadPoolExecutor(1, "side-ear")
        self._loaders, self._lock = loaders, threading.Lock()
        self._loaded: dict[str, Any] = {}

    async def need(self, *stages: str) -> None:
        """Load what is not there yet: ear, stt, llm. Raises Unsupported when one cannot be had here."""
        if set(stages) - self._loaded.keys():
            await asyncio.to_thread(self._load, stages)

    def listener(self) -> Any:
        """A fresh Score for one session, after `need("ear")`."""
        return self._loaded["ear"]()

    async def understand(self, pcm: np.ndarray, memory: Memory, tools: UseTools) -> AsyncGenerator[Thought, None]:
        """float32 [n] at 16 kHz -> its words, and the tool that they ask for."""
        try:
            text = await self._loaded["stt"].transcribe(pcm)
        except Exception as error:
            yield Failed("stt", str(error) or repr(error))
            return
        yield Understood(text)
        if not text or not tools.tools or tools.choice == "none":
            return
        memory.hear(text)
        try:
            call = await self._loaded["llm"].choose(memory.messages(), tools.tools, tools.choice)
        except Exception as error:
            yield Failed("llm", str(error) or repr(error))
            return
        if call:
            yield Called(call.name, call.arguments)

    async def word(self, memory: Memory) -> AsyncGenerator[Thought, None]:
        """One short sentence about the results that came last."""
        from duplex.agents.cascade.phrases import Phrases

        phrases = Phrases(1)
        found: list[str] = []
        try:
            async with aclosing(self._loaded["llm"].reply(memory.messages())) as pieces:
                async for piece in pieces:
                    found += phrases.push(piece)
                    if phrases.done:
                        break
            found += phrases.flush()
        except Exception as error:
            yield Failed("llm", str(error) or repr(error))
            return
        if found:
            yield Worded(" ".join(found))

    async def close(self) -> None:
        """Idempotent."""
        self.hearing.shutdown(wait=False)
        loaded, self._loaded = self._loaded, {}
        if "stt" in loaded:
            loaded["stt"].close()
        if "llm" in loaded:
            await loaded["llm"].close()

    def _load(self, stages: tuple[str, ...]) -> None:
        with self._lock:
            for stage in stages:
                if stage not in self._loaded:
                    try:
                        self._loaded[stage] = self._loaders[stage]()
                    except Exception as error:  # weights or a package that is not here: this session cannot be had
                        raise Unsupported(f"the {stage} beside the model cannot be loaded: {error}") from error


def open_aside(config: AsideConfig, seats: int) -> Aside:
    """Loads nothing yet."""

    def ear() -> Any:
        from duplex.agents.cascade.vad import Silero

        return Silero().listener

    def stt() -> Any:
        from duplex.agents.cascade.stt import Whisper

        return Whisper(config.stt)

    def llm() -> Any:
        from duplex.agents.cascade.llm import open_llm

        return open_llm(config.llm, seats, config.persona)

    return Aside(config, {"ear": ear, "stt": stt, "llm": llm})
