"""Two agents without a model: a delay line, and one that follows a script. Product, fixture and calibration source."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from duplex.config import from_dict
from duplex.engine.seats import Seats
from duplex.events import Answered, Answering, Interrupted, SpeechStarted, SpeechStopped
from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE, Event, Frame
from duplex.notes import Note
from duplex.session import Agent, Capabilities, Session, SessionConfig, Ticks, cannot, refuse
from duplex.turns import ENERGY_GATE, Edge, TurnDetector, levels_db


@dataclass(frozen=True, slots=True)
class EchoConfig:
    """Say back what was heard, `delay_ms` later (any number of milliseconds, to the sample)."""

    delay_ms: float = 0.0
    seats: int = 16

    def __post_init__(self) -> None:
        if self.delay_ms < 0:
            raise ValueError(f"delay_ms must not be negative, got {self.delay_ms}")


@dataclass(frozen=True, slots=True)
class ScriptedConfig:
    """Answer every user turn with a tone, a known time after the turn ended; stop when interrupted.

    Times are exact to the sample, from the true end (start) of the user's energy, so the judge can be calibrated.
    """

    respond_after_ms: float = 240.0  # from the user's last sample to the reply's first
    stop_after_ms: float = 160.0  # from the user's first sample to the reply's last
    reply_ms: float = 2_000.0
    text: str = "tone"
    seats: int = 16

    def __post_init__(self) -> None:
        for name, floor in (("respond_after_ms", ENERGY_GATE.stop_ms), ("stop_after_ms", ENERGY_GATE.start_ms)):
            if getattr(self, name) < floor:
                raise ValueError(f"{name} must be at least {floor:g}: only then is the turn's edge known")


_OF_TURNS = (SpeechStarted, SpeechStopped, Answering, Answered)


class FakeAgent:
    """Opens sessions of `kind`, one per seat."""

    def __init__(self, name: str, kind: type[FakeSession], config: Any) -> None:
        self.capabilities = Capabilities(name=name, full_duplex=True, seats=config.seats)
        self._kind, self._config, self._seats = kind, config, Seats(config.seats)

    async def open(self, config: SessionConfig) -> Session:
        refuse(config, self.capabilities)
        return self._kind(self._config, self.capabilities, self._seats, tells=config.turns is not None)

    async def close(self) -> None:
        """Nothing to free."""


class FakeSession:
    """What both fakes share: the tick check, notes, the seat, and whether turns are told."""

    def __init__(self, config: Any, can: Capabilities, seats: Seats, tells: bool) -> None:
        self._ticks, self._can, self._seats, self._tells = Ticks("pcm"), can, seats, tells
        self._seat: int | None = seats.take()
        self.prepare(config)

    def prepare(self, config: Any) -> None:
        raise NotImplementedError

    def answer(self, heard: Frame) -> Frame:
        raise NotImplementedError

    async def step(self, heard: Frame) -> Frame:
        self._ticks.check(heard)
        said = self.answer(heard)
        told = said.events if self._tells else tuple(e for e in said.events if not isinstance(e, _OF_TURNS))
        return replace(said, events=told)

    async def tell(self, note: Note) -> None:
        raise cannot(note, self._can)

    async def close(self) -> None:
        seat, self._seat = self._seat, None
        if seat is not None:
            self._seats.give_back(seat)


class EchoSession(FakeSession):
    """A delay line. It has no turns to tell, so protocols that are made of answers carry nothing of it."""

    def prepare(self, config: EchoConfig) -> None:
        self._line = np.zeros(round(config.delay_ms * SAMPLE_RATE / 1000), np.float32)

    def answer(self, heard: Frame) -> Frame:
        assert heard.pcm is not None
        line = np.concatenate([self._line, heard.pcm])
        self._line = line[FRAME_SAMPLES:]
        return Frame(heard.t, line[:FRAME_SAMPLES].copy())


@dataclass(slots=True)
class _Tone:
    """A reply, [begin, end) in samples."""

    begin: int
    end: int
    cut: bool = False


class ScriptedSession(FakeSession):
    """Speaks a 220 Hz tone after each user turn and stops when the user begins again."""

    def prepare(self, config: ScriptedConfig) -> None:
        self._config = config
        self._ear = TurnDetector(ENERGY_GATE)
        self._speak: deque[_Tone] = deque()  # still to be voiced

    def answer(self, heard: Frame) -> Frame:
        assert heard.pcm is not None
        now = heard.t * FRAME_SAMPLES
        edges = [edge for level in levels_db(heard.pcm) if (edge := self._ear.push(level))]
        events = [event for edge in edges for event in self._obey(edge)]
        begins = any(now <= tone.begin < now + FRAME_SAMPLES for tone in self._speak)
        pcm = self._voice(now)
        events += [Answering()] if begins else []
        while self._speak and self._speak[0].end <= now:
            events.append(Answered("interrupted" if self._speak.popleft().cut else "completed"))
        return Frame(heard.t, pcm, text=self._config.text if begins else "", events=tuple(events))

    def _obey(self, edge: Edge) -> list[Event]:
        if edge.kind == "ended":
            begin = edge.sample + _samples(self._config.respond_after_ms)
            self._speak.append(_Tone(begin, begin + _samples(self._config.reply_ms)))
            return [SpeechStopped(edge.sample)]
        told: list[Event] = [Interrupted(self._config.text)] if self._speak else []
        at = edge.sample + _samples(self._config.stop_after_ms)
        self._speak = deque(tone for tone in self._speak if tone.begin < at)
        for tone in self._speak:
            tone.cut |= at < tone.end
            tone.end = min(tone.end, at)
        return [SpeechStarted(edge.sample), *told]

    def _voice(self, now: int) -> np.ndarray:
        clock = np.arange(now, now + FRAME_SAMPLES)
        on = np.zeros(FRAME_SAMPLES, bool)
        for tone in self._speak:
            on |= (clock >= tone.begin) & (clock < tone.end)
        return np.where(on, 0.3 * np.sin(2 * np.pi * 220 * clock / SAMPLE_RATE), 0).astype(np.float32)


def _samples(ms: float) -> int:
    return round(ms * SAMPLE_RATE / 1000)


def open_echo(settings: Mapping[str, Any]) -> Agent:
    """Factory for `open_agent`."""
    return FakeAgent("echo", EchoSession, from_dict(EchoConfig, settings, "echo"))


def open_scripted(settings: Mapping[str, Any]) -> Agent:
    """Factory for `open_agent`."""
    return FakeAgent("scripted", ScriptedSession, from_dict(ScriptedConfig, settings, "scripted"))
