"""Held-out users as scripts: scenes taken from plans of the test split, their sound as it arrives at the agent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from zlib import crc32

import numpy as np

from duplex.frame import SAMPLE_RATE
from weights.air import Channel, transformed
from weights.check.users import Cue, Saying, Script
from weights.dialogue import LAST, START, Dialogue, Line
from weights.intents import Intent, intents
from weights.plan import plan
from weights.synth import Placed, place
from weights.voices import DEFAULT, WHISPERED, Voice, voices

AIR_S = 20
_CLEAR_DB = 300.0  # no noise: it is added once for the whole channel
_OPENS = ("question", "tale", "aside", "background", "noise")  # the kinds of line that begin a scene


@dataclass(frozen=True, slots=True)
class Case:
    """One scene of a held-out dialogue."""

    dialogue: Dialogue  # for its voices and its channel
    lines: tuple[Line, ...]

    @property
    def user(self) -> list[Line]:
        return [line for line in self.lines if line.who != "agent"]

    @property
    def who(self) -> str:
        """The engine, and whom it imitates."""
        return f"{self.dialogue.voice.engine} {self.dialogue.voice.base}".strip()

    @property
    def about(self) -> str:
        """Who speaks and through what, in one line."""
        voice, channel = self.dialogue.voice, self.dialogue.channel
        body = f"{self.who} pitch {voice.pitch:g} formant {voice.formant:g} speed {voice.speed:g}"
        way = f", room {channel.room_ms} ms" * bool(channel.room_ms) + ", telephone" * channel.telephone
        return f"{body}, {channel.snr_db:g} dB over noise, level {channel.level_db:+g} dB{way}"


def cases(scene: str, number: int, seed: int, engines: Sequence[str] = DEFAULT) -> list[Case]:
    """`number` scenes of one kind, no two from one dialogue, so that voices and channels differ.

    Raises NoEngine for a synthesiser that is not installed.
    """
    bodies = voices("test", engines)
    return list(islice(_found(scene, seed, bodies), number))


def _found(scene: str, seed: int, bodies: Sequence[Voice]) -> Iterator[Case]:
    first = seed * 1_000_000 + 500_000 + crc32(scene.encode()) % 400_000  # other users for other scenes
    for index in count(first):
        dialogue = plan(index, "test")
        if lines := first_scene(dialogue.lines, scene):
            body = bodies[seed_of(scene, dialogue.seed) % len(bodies)]
            voice = dialogue.voice if dialogue.voice.pitch == WHISPERED else body
            yield Case(replace(dialogue, voice=voice), lines)


def first_scene(lines: Sequence[Line], scene: str) -> tuple[Line, ...]:
    """The lines of the first scene of that kind; () if there is none."""
    first = next((i for i, line in enumerate(lines) if line.scene == scene), None)
    if first is None:
        return ()
    last = first + 1
    while last < len(lines) and lines[last].scene == scene and lines[last].kind not in _OPENS:
        last += 1
    return tuple(lines[first:last])


def intent_of(line: Line) -> Intent:
    return intents()[line.intent]


def sayings(dialogue: Dialogue, lines: Sequence[Line], cues: Sequence[Cue]) -> tuple[Saying, ...]:
    """The lines in the dialogue's voice, through its channel, each waiting for its cue."""
    alone = [replace(line, after=START, word=LAST, gap_ms=0, stops=None) for line in lines]
    placed = place(replace(dialogue, lines=tuple(alone)))
    return tuple(_saying(p, cue, dialogue) for p, cue in zip(placed, cues, strict=True))


def _saying(placed: Placed, cue: Cue, dialogue: Dialogue) -> Saying:
    clip, pauses = placed.clip, placed.line.pauses
    rng = np.random.default_rng((dialogue.seed, 2))  # one room for all that he says
    clear = replace(dialogue.channel, snr_db=_CLEAR_DB)
    tail = np.zeros(clear.room_ms * SAMPLE_RATE // 1000, np.float32)
    pcm = transformed(np.concatenate([clip.pcm, tail]), clear, rng)
    return Saying(placed.line, pcm, len(clip.pcm), cue, clip.words[pauses[0][0]].end if pauses else 0)


def air(dialogue: Dialogue, seconds: float = AIR_S) -> np.ndarray:
    """The channel's steady noise, float32 [n]."""
    rng = np.random.default_rng((dialogue.seed, 1))
    return transformed(np.zeros(round(seconds * SAMPLE_RATE), np.float32), dialogue.channel, rng)


def script(name: str, case: Case, cues: Sequence[Cue], limit_s: float = 45.0) -> Script:
    """The first lines of the case, as many as there are cues."""
    said = sayings(case.dialogue, case.user[: len(cues)], cues)
    return Script(
        name, seed_of(name, case.dialogue.seed), said, air(case.dialogue), limit_s, about=case.about, who=case.who
    )


def seed_of(name: str, seed: int) -> int:
    """The agent's sampling: its own for every trial, the same in every run."""
    return crc32(f"{name} {seed}".encode())


def through(case: Case, **channel: object) -> Case:
    """The same with another channel."""
    changed: Channel = replace(case.dialogue.channel, **channel)  # type: ignore[arg-type]
    return replace(case, dialogue=replace(case.dialogue, channel=changed))
