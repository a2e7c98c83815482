"""Who the users are: the voices of each split, and the engines that speak with them. Levels, rooms and noise are added
elsewhere. Another synthesiser is one more row in each of ENGINES, SHARES and _VOICES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache, lru_cache
from itertools import product

from weights.flite import FliteSpeaker
from weights.hibari import HibariSpeaker
from weights.intents import Split
from weights.kokoro import ENGLISH, FOREIGN, HELD_OUT, KokoroSpeaker
from weights.piper import PiperSpeaker
from weights.speech import WHISPERED, Clip, NoEngine, Phone, Speaker, Voice, Word

__all__ = [
    "AGENT",
    "DEFAULT",
    "ENGINES",
    "WHISPERED",
    "Clip",
    "HibariSpeaker",
    "NoEngine",
    "Phone",
    "Speaker",
    "Voice",
    "Word",
    "agent_says",
    "speaker",
    "varied",
    "voices",
]

PITCHES = (0.5, 0.58, 0.66, 0.74, 0.82, 0.9, 1.1, 1.2, 1.32, 1.45)  # times the agent's
FORMANTS = (0.82, 0.87, 0.92, 0.97, 1.03, 1.08, 1.13, 1.18)
SPEEDS = (0.8, 0.9, 1.0, 1.12, 1.25)
FLITE_PITCHES = (0.75, 0.87, 1.0, 1.15, 1.3)
BENDS = (0.87, 0.93, 1.0, 1.08, 1.16)  # of the whole sound, where formants cannot be moved by themselves
DEFAULT = ("hibari",)  # what the project itself depends on
SHARES = {"hibari": 35, "kokoro": 40, "flite": 15, "joe": 10}
_PITCH_SPREAD, _FORMANT_SPREAD, _SPEED_SPREAD = 0.04, 0.02, 0.06
_FINE = 4  # times the longest list is repeated, so that the others' shares come out

AGENT = Voice()


def voices(split: Split, engines: Iterable[str] = DEFAULT) -> list[Voice]:
    """The user voices of a split, to be drawn from evenly: an engine that has few is listed as often as its SHARES say.

    Raises ValueError for an unknown engine, NoEngine for one that is not installed: other voices would be other data.
    """
    wanted = dict.fromkeys(engines)
    if unknown := wanted.keys() - ENGINES.keys():
        raise ValueError(f"there is no engine {', '.join(sorted(unknown))}; there are {', '.join(ENGINES)}")
    for engine in wanted.keys() - set(DEFAULT):
        speaker(engine)
    lists = {engine: _VOICES[engine](split) for engine in wanted}
    most = _FINE * max(len(own) / SHARES[engine] for engine, own in lists.items())
    return [v for engine, own in lists.items() for v in own * max(1, round(most * SHARES[engine] / len(own)))]


def varied(voice: Voice, draw: Callable[[float, float], float]) -> Voice:
    """Somebody near him, as drawn from between two numbers: held-out bodies stay apart."""
    pitch, formant, speed = (draw(1 - s, 1 + s) for s in (_PITCH_SPREAD, _FORMANT_SPREAD, _SPEED_SPREAD))
    return replace(voice, pitch=voice.pitch * pitch, formant=voice.formant * formant, speed=voice.speed * speed)


def _hibari(split: Split) -> list[Voice]:
    """A held-out pair of pitch and formant is held out at every speed."""
    pairs = product(enumerate(PITCHES), enumerate(FORMANTS))
    bodies = [(p, f) for (i, p), (j, f) in pairs if ((i + 2 * j) % 5 == 0) == (split == "test")]
    return [Voice("hibari", speed, pitch, formant) for (pitch, formant), speed in product(bodies, SPEEDS)]


def _flite(split: Split) -> list[Voice]:
    """Whole people are held out. rms has one pitch, which bends with the sound."""
    if split == "test":
        pairs = [("kal16", p, f) for p, f in product(FLITE_PITCHES, BENDS)]
        pairs += [("rms", f, f) for f in BENDS] * len(FLITE_PITCHES)
    else:
        pairs = [(base, p, f) for base, p, f in product(("awb", "slt", "kal"), FLITE_PITCHES, BENDS)]
    return [Voice("flite", speed, p, f, base) for (base, p, f), speed in product(pairs, SPEEDS)]


def _joe(split: Split) -> list[Voice]:
    """One man, held out where he is bent to somebody else."""
    return [Voice("joe", speed, b, b) for b, speed in product(BENDS[1::2] if split == "test" else BENDS[::2], SPEEDS)]


def _kokoro(split: Split) -> list[Voice]:
    """Whole people are held out, and are mixed among themselves only."""
    own = HELD_OUT if split == "test" else ENGLISH
    mixed = [f"{a}+{b}" for step in (1, 4) for a, b in zip(own, own[step:], strict=False)]
    bases = [*own, *mixed, *(() if split == "test" else FOREIGN)]
    return [Voice("kokoro", speed, base=base) for base, speed in product(bases, SPEEDS)]


ENGINES: dict[str, Callable[[], Speaker]] = {
    "hibari": HibariSpeaker,
    "kokoro": KokoroSpeaker,
    "flite": FliteSpeaker,
    "joe": PiperSpeaker,
}
_VOICES: dict[str, Callable[[Split], list[Voice]]] = {
    "hibari": _hibari,
    "kokoro": _kokoro,
    "flite": _flite,
    "joe": _joe,
}


@lru_cache(maxsize=2048)
def agent_says(sentence: str) -> Clip:
    """A sentence of the agent: it always has the same samples. Raises ValueError when it cannot be pronounced."""
    return speaker(AGENT.engine).speak(sentence, AGENT, seed=0)


@cache
def speaker(engine: str) -> Speaker:
    """The engine by name, loaded once. Raises KeyError, and NoEngine when it is not installed."""
    return ENGINES[engine]()
