"""Text-to-speech: a phrase -> samples, without the silence around it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import hibari
import numpy as np
from hibari.voices import VOICES, voice_path

from duplex.agents.cascade.due import in_thread
from duplex.frame import SAMPLE_RATE
from duplex.turns import ENERGY_HOP_SAMPLES, levels_db

_AUDIBLE_DBFS = -50.0  # of a 10 ms hop
_LEAD_MS, _TAIL_MS = 20, 160  # hibari leaves 280 and 450 ms of silence: the first is delay, the second drags


class Speaker(Protocol):
    voices: tuple[str, ...]

    async def speak(self, text: str, voice: str) -> np.ndarray: ...  # -> float32 [n] at 24 kHz
    def close(self) -> None: ...


class Hibari:
    """hibari-tts: 20 ms of work for 2 s of speech on one core. Offers the voices that are on this machine."""

    def __init__(self, voice: str) -> None:
        names = (name for name in VOICES if name == voice or _is_here(name))
        self._voices = {name: hibari.Hibari(name) for name in names}
        if voice not in self._voices:
            raise ValueError(f"no voice {voice!r}; hibari has {', '.join(VOICES)}")
        self.voices = tuple(self._voices)
        self._pool = ThreadPoolExecutor(1, "cascade-tts")
        for name in self.voices:
            self._speak("Hello there.", name)  # the first call loads the lexicon

    async def speak(self, text: str, voice: str) -> np.ndarray:
        return await in_thread(self._pool, self._speak, text, voice)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _speak(self, text: str, voice: str) -> np.ndarray:
        return trimmed(self._voices[voice](text, seed=0))


def trimmed(pcm: np.ndarray) -> np.ndarray:
    """float32 [n] at 24 kHz with at most 20 ms of silence before and 160 ms after; [0] when nothing is audible."""
    audible = np.flatnonzero(levels_db(pcm) > _AUDIBLE_DBFS) * ENERGY_HOP_SAMPLES
    if not len(audible):
        return np.zeros(0, np.float32)
    begin = max(0, audible[0] - _LEAD_MS * SAMPLE_RATE // 1000)
    return pcm[begin : audible[-1] + ENERGY_HOP_SAMPLES + _TAIL_MS * SAMPLE_RATE // 1000].astype(np.float32)


def _is_here(name: str) -> bool:
    try:
        voice_path(name, download_missing=False)
    except FileNotFoundError:
        return False
    return True
