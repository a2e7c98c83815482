"""Turns as a view of frames: where one channel speaks, found with hysteresis.

The detector is fed one score a hop (an energy in dB, a VAD's probability) and reports edges; offline spans are made by
running the same detector to the end, so streaming and offline always agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE

ENERGY_HOP_SAMPLES = 240  # 10 ms, eight hops a frame


class Span(NamedTuple):
    """Speech in [begin, end), in samples on the session's clock."""

    begin: int
    end: int

    @property
    def begin_tick(self) -> int:
        return self.begin // FRAME_SAMPLES

    @property
    def end_tick(self) -> int:
        """The tick in which the last sample lies."""
        return max(self.begin, self.end - 1) // FRAME_SAMPLES

    @property
    def ms(self) -> float:
        return (self.end - self.begin) * 1000 / SAMPLE_RATE


class Edge(NamedTuple):
    """A span began or ended at `sample`; it was certain at `known`, after the hops that hysteresis asks for."""

    kind: Literal["began", "ended"]
    sample: int
    known: int


@dataclass(frozen=True, slots=True)
class Gate:
    """Hysteresis: speech begins after `start_ms` at or above `on`, and ends after `stop_ms` below `off`.

    Raises ValueError when off > on.
    """

    on: float
    off: float
    start_ms: float
    stop_ms: float
    hop_samples: int = ENERGY_HOP_SAMPLES

    def __post_init__(self) -> None:
        if self.off > self.on:
            raise ValueError(f"off ({self.off}) must not exceed on ({self.on})")

    def hops(self, ms: float) -> int:
        """Hops that cover `ms`, at least one."""
        return max(1, round(ms * SAMPLE_RATE / 1000 / self.hop_samples))


# dBFS of a 10 ms hop. 200 ms of silence ends an inter-pausal unit, as in the dGSLM battery (arXiv 2203.16502).
ENERGY_GATE = Gate(on=-42.0, off=-48.0, start_ms=30, stop_ms=200)


class TurnDetector:
    """Feed one score a hop; get an edge when one becomes certain."""

    def __init__(self, gate: Gate) -> None:
        self.retune(gate)
        self._hop = 0
        self._begin = 0  # first hop of the current run
        self._voiced = 0  # one past the last hop at or above the threshold
        self._running = False  # a run of voiced hops is open, perhaps not yet long enough
        self.speaking = False

    def push(self, score: float) -> Edge | None:
        """One hop's score -> the edge that it makes certain, or None."""
        self._hop += 1
        if score >= (self._gate.off if self._running else self._gate.on):
            return self._heard()
        return self._quiet()

    def retune(self, gate: Gate) -> None:
        """Go on with other thresholds and times, at hops of the same length."""
        self._gate = gate
        self._start_hops = gate.hops(gate.start_ms)
        self._stop_hops = gate.hops(gate.stop_ms)

    def flush(self) -> Edge | None:
        """The signal, or all of it that matters, is over: the end of the span that is still open, if any."""
        if not self.speaking:
            return None
        self.speaking = self._running = False
        return self._edge("ended", self._voiced)

    def _heard(self) -> Edge | None:
        if not self._running:
            self._running = True
            if not self.speaking:
                self._begin = self._hop - 1
        self._voiced = self._hop
        if self.speaking or self._hop - self._begin < self._start_hops:
            return None
        self.speaking = True
        return self._edge("began", self._begin)

    def _quiet(self) -> Edge | None:
        if not self.speaking:
            self._running = False
            return None
        if self._hop - self._voiced < self._stop_hops:
            return None
        self.speaking = self._running = False
        return self._edge("ended", self._voiced)

    def _edge(self, kind: Literal["began", "ended"], hop: int) -> Edge:
        return Edge(kind, hop * self._gate.hop_samples, self._hop * self._gate.hop_samples)


def spans_of(scores: Iterable[float], gate: Gate) -> list[Span]:
    """All spans of a whole sequence of scores."""
    detector = TurnDetector(gate)
    edges = [edge for score in scores if (edge := detector.push(score))]
    last = detector.flush()
    edges += [last] if last else []
    return [Span(a.sample, b.sample) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def levels_db(pcm: np.ndarray, hop_samples: int = ENERGY_HOP_SAMPLES) -> np.ndarray:
    """float32 [n] -> RMS level in dBFS of every whole hop, [n // hop]; silence is -120."""
    hops = pcm[: len(pcm) // hop_samples * hop_samples].reshape(-1, hop_samples)
    power = np.mean(np.square(hops, dtype=np.float64), axis=1)
    return 10 * np.log10(np.maximum(power, 1e-12))


def speech_spans(pcm: np.ndarray, gate: Gate = ENERGY_GATE) -> list[Span]:
    """Where a clean channel float32 [n] speaks, by energy."""
    return spans_of(levels_db(pcm, gate.hop_samples), gate)
