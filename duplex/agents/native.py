"""The native agent: a session is a seat in the engine's batch. Says nothing about models; that is the engine's part."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from duplex.agents.aside import AsideConfig, open_aside
from duplex.agents.attended import NOTES, AttendedSession
from duplex.agents.cascade.config import LlmConfig, SttConfig, VadConfig
from duplex.checkpoint import locate, manifest, sha256
from duplex.config import ConfigError, from_dict
from duplex.engine.engine import Deadlines, Engine
from duplex.engine.forcing import Forcing
from duplex.engine.text import InnerMonologue, Vocabulary
from duplex.frame import Frame
from duplex.notes import Note, Say
from duplex.session import Agent, Capabilities, Sampling, Session, SessionConfig, Ticks, Unsupported, cannot, refuse


@dataclass(frozen=True, slots=True)
class NativeConfig:
    """Which weights, for how many at once, and where."""

    checkpoint: str = "nano"  # a name of weights/manifest.toml, or a folder with a config.json
    seats: int = 2  # the batch is always this wide: on a CPU every seat costs time even when it is empty
    device: str = "auto"  # auto | cpu | cuda | cuda:1 ...
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    context: int | None = None  # attention window in frames; None: the checkpoint's own
    threads: int = 1  # of torch on the CPU: two of them, on two cores that also run a server, wait for each other
    # What attends to a session that asks for turns, transcripts or tools (duplex/agents/attended.py):
    vad: VadConfig = field(default_factory=VadConfig)
    stt: SttConfig = field(default_factory=lambda: SttConfig(threads=1))  # the model needs the other core
    llm: LlmConfig = field(default_factory=LlmConfig)

    def __post_init__(self) -> None:
        for name in ("seats", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


class NativeAgent:
    """Opens sessions on one engine."""

    def __init__(self, config: NativeConfig) -> None:
        """Blocks while the weights load and warm up."""
        entry = manifest().get(config.checkpoint)
        if entry and entry.kind != "moshi":
            raise ConfigError(f"{entry.name} ({entry.title}) is no Moshi: the native agent cannot run it")
        checkpoint = locate(config.checkpoint)

        def load() -> Any:
            from duplex.engine.model import Model, Place, use_threads

            use_threads(config.threads)
            place = Place.named(config.device, config.dtype)
            model = Model.load(checkpoint, config.seats, place, config.context)
            model.warm_up()
            return model

        self._engine = Engine(load)
        self._vocabulary = Vocabulary(checkpoint.files["tokenizer"])
        self._aside = open_aside(AsideConfig(vad=config.vad, stt=config.stt, llm=config.llm), config.seats)
        self.capabilities = Capabilities(
            name="native",
            model=checkpoint.name,
            full_duplex=True,
            tools=True,
            notes=NOTES,
            codebooks=self._engine.model.codebooks,
            cardinality=self._engine.model.cardinality,
            codec=sha256(checkpoint.files["mimi"]),
            seats=config.seats,
        )

    async def open(self, config: SessionConfig) -> Session:
        """Raises Unsupported also for turns, transcripts and tools in codes, or when what they need is not here."""
        refuse(config, self.capabilities)
        if config.medium == "codes":
            if config.turns is not None or config.transcribe or config.tools:
                raise Unsupported("native hears turns, words and requests in sound only: open with medium 'pcm'")
            return NativeSession(self._engine, self._vocabulary, self.capabilities, config)
        row = NativeSession(self._engine, self._vocabulary, self.capabilities, config)
        session = AttendedSession(row, self.capabilities, config, self._aside, self._engine.now)
        try:
            await session.prepare()
        except BaseException:
            await session.close()
            raise
        return session

    async def close(self) -> None:
        await self._aside.close()
        await asyncio.to_thread(self._engine.close)

    def deadlines(self) -> Deadlines:
        """How the engine's steps compare with 80 ms."""
        return self._engine.deadlines()


class NativeSession:
    """One conversation in one row of the batch, as the model has it."""

    def __init__(self, engine: Engine, vocabulary: Vocabulary, can: Capabilities, config: SessionConfig) -> None:
        self._engine, self._can = engine, can
        self._words, self._forcing = InnerMonologue(vocabulary), Forcing(vocabulary.encode)
        self._ticks = Ticks(config.medium)
        self._codes, self._timed = config.medium == "codes", config.timings
        self._begins: Sampling | None = config.sampling
        self._row: int | None = engine.seats.take()

    async def step(self, heard: Frame) -> Frame:
        if self._row is None:
            raise RuntimeError("the session is closed")
        self._check_codes(heard.codes)
        self._ticks.check(heard)
        frame = Frame(heard.t, codes=heard.codes) if self._codes else Frame(heard.t, pcm=heard.pcm)
        begins, self._begins = self._begins, None
        answer = self._engine.post(self._row, frame, begins, self._timed, self._forcing.next())
        voiced = await asyncio.wrap_future(answer)
        text = self._words.push(voiced.text)
        events = (voiced.took,) if voiced.took else ()
        if self._codes:
            return Frame(heard.t, codes=voiced.codes, text=text, events=events)
        return Frame(heard.t, pcm=voiced.pcm, text=text, events=events)

    async def tell(self, note: Note) -> None:
        """Say alone: all else needs somebody who hears the user's sound."""
        if not isinstance(note, self._can.notes):
            raise cannot(note, self._can)
        if not isinstance(note, Say):
            raise Unsupported(f"{self._can.name} takes {type(note).__name__} only in a session of medium 'pcm'")
        self.say(note.text)

    def say(self, text: str) -> None:
        """These words are voiced from the next tick on, at the pace of speech, after those given before.

        Raises Unsupported when there is no word in them.
        """
        try:
            self._forcing.say(text)
        except ValueError as error:
            raise Unsupported(f"{self._can.name} cannot take this Say: {error}") from None

    def drop(self) -> None:
        """Forget the words that were given and not yet said."""
        self._forcing.drop()

    def mute(self, on: bool) -> None:
        """Let the model write no words of its own."""
        self._forcing.mute = on

    async def close(self) -> None:
        row, self._row = self._row, None
        if row is not None:
            self._engine.seats.give_back(row)

    def _check_codes(self, codes: np.ndarray | None) -> None:
        """Raises ValueError: a code out of range would stop the device for everybody."""
        if not self._codes or codes is None:
            return
        books, card = self._can.codebooks, self._can.cardinality
        if codes.shape != (books,) or codes.min() < 0 or codes.max() >= card:
            raise ValueError(f"a frame is {books} codes of 0 to {card - 1}, got {codes.tolist()}")


def open_native(settings: Mapping[str, Any]) -> Agent:
    """Factory for `open_agent`."""
    return NativeAgent(from_dict(NativeConfig, settings, "native"))
