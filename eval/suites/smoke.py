"""Ten short spoken questions, in four voices that are not the agents', with the user's end known to the sample.

Each is one fresh conversation: a moment of line noise, the question, a tail in which to answer. The clip is cut at its
last audible sample before it is placed, so nothing but noise follows `user_end_sample`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hibari import Hibari
from scipy.signal import resample_poly

from duplex.config import ConfigError
from duplex.frame import SAMPLE_RATE
from eval.scenario import Facts, Scenario

LEAD_S = 0.6
FLOOR_DBFS = -70.0  # white noise under the whole user channel
PEAK = 0.35  # of full scale
AUDIBLE = 0.01  # -40 dBFS: the clip begins and ends with a sample at least this loud

# (question, words of which a right answer holds one)
QUESTIONS = (
    ("What is the capital of France?", ("paris",)),
    ("What is two plus two?", ("four", "4")),
    ("What color is the sky?", ("blue",)),
    ("Can you tell me a joke?", ()),
    ("What is the capital of Japan?", ("tokyo",)),
    ("How are you?", ()),
    ("What is three times three?", ("nine", "9")),
    ("What can you do?", ()),
    ("What is the capital of Italy?", ("rome",)),
    ("What is your name?", ()),
)


@dataclass(frozen=True, slots=True)
class Voice:
    """The synthesiser's one voice, spoken at `speed`, then stretched: a stretch below 1 raises pitch and formants."""

    speed: float
    stretch: float

    def __str__(self) -> str:
        return f"hibari heart, speed {self.speed:g}, stretch {self.stretch:g}"


VOICES = (Voice(0.85, 0.88), Voice(1.15, 1.12), Voice(0.95, 0.94), Voice(1.05, 1.06))


def smoke(n: int = len(QUESTIONS), tail_s: float = 6.0) -> list[Scenario]:
    """The first `n` questions. Raises ConfigError when there are not that many."""
    if not 1 <= n <= len(QUESTIONS):
        raise ConfigError(f"the smoke suite has 1 to {len(QUESTIONS)} questions, asked for {n}")
    speak = Hibari()
    return [_scenario(speak, i, tail_s) for i in range(n)]


def _scenario(speak: Hibari, seed: int, tail_s: float) -> Scenario:
    text, expect = QUESTIONS[seed]
    voice = VOICES[seed % len(VOICES)]
    clip = spoken(speak, text, voice, seed)
    pcm, begin = placed(clip, tail_s, seed)
    facts = Facts(begin, begin + len(clip), len(pcm), text, str(voice), seed, expect)
    return Scenario(f"smoke-{seed + 1:02d}", pcm, facts)


def spoken(speak: Hibari, text: str, voice: Voice, seed: int) -> np.ndarray:
    """float32 [n] from the first audible sample to the last, peak PEAK. The seed makes it the same every time."""
    plain = speak(text, speed=voice.speed, seed=seed)
    clip = resample_poly(plain, round(100 * voice.stretch), 100)
    clip = clip * (PEAK / np.abs(clip).max())
    audible = np.flatnonzero(np.abs(clip) >= AUDIBLE)
    return clip[audible[0] : audible[-1] + 1].astype(np.float32)


def placed(clip: np.ndarray, tail_s: float, seed: int) -> tuple[np.ndarray, int]:
    """The clip between lead and tail, on the noise floor; and the sample where it begins."""
    begin, tail = round(LEAD_S * SAMPLE_RATE), round(tail_s * SAMPLE_RATE)
    noise = np.random.default_rng(seed).standard_normal(begin + len(clip) + tail)
    pcm = (noise * 10 ** (FLOOR_DBFS / 20)).astype(np.float32)
    pcm[begin : begin + len(clip)] += clip
    return pcm, begin
