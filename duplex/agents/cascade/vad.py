"""The ear: 24 kHz frames -> voice activity, turn edges, and the audio of the turn at 16 kHz.

The VAD is silero's ONNX model, run directly: importing its package would import torch and change torch's threads.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from scipy.signal import firwin, upfirdn

from duplex.agents.cascade.config import VadConfig
from duplex.frame import SAMPLE_RATE
from duplex.turns import Edge, Gate, TurnDetector

EAR_HZ = 16_000
_UP, _DOWN = 2, 3  # 24 kHz -> 16 kHz
_HOP = 512  # samples at 16 kHz, what silero was trained with
_CONTEXT = 64  # samples of the hop before that silero wants in front
_HOP_SAMPLES = _HOP * _DOWN // _UP  # 768 at 24 kHz

Score = Callable[[np.ndarray], float]  # the next hop float32 [512] at 16 kHz -> how much it is speech, 0..1

# 1 ms of delay at 48 kHz, -6 dB at 7.6 kHz
_TAPS = np.asarray(firwin(97, 7_600, fs=48_000) * _UP, np.float32)
_HISTORY = 51  # input samples that the filter looks back on; a multiple of _DOWN, at least len(_TAPS) / _UP


class Resampler:
    """24 kHz -> 16 kHz as a stream: causal, and the same samples however the input is cut up."""

    def __init__(self) -> None:
        self._past = np.zeros(_HISTORY, np.float32)
        self._rest = np.zeros(0, np.float32)

    def push(self, pcm: np.ndarray) -> np.ndarray:
        """float32 [n] at 24 kHz -> the samples at 16 kHz that are now certain, two for every whole three."""
        fresh = np.concatenate([self._rest, pcm])
        whole = len(fresh) // _DOWN * _DOWN
        self._rest = fresh[whole:]
        known = np.concatenate([self._past, fresh[:whole]])
        self._past = known[len(known) - _HISTORY :]
        return upfirdn(_TAPS, known, _UP, _DOWN)[_HISTORY * _UP // _DOWN : len(known) * _UP // _DOWN]


class Silero:
    """The model; every session gets its own `listener`."""

    def __init__(self) -> None:
        spec = importlib.util.find_spec("silero_vad")
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError("silero-vad is not installed: pip install silero-vad")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # the published graph draws warnings about unused initialisers
        model = Path(spec.submodule_search_locations[0]) / "data" / "silero_vad.onnx"
        self._model = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def listener(self) -> Score:
        """A fresh stream: feed it consecutive hops."""
        state = np.zeros((2, 1, 128), np.float32)
        context = np.zeros(_CONTEXT, np.float32)
        rate = np.array(EAR_HZ, np.int64)

        def score(hop: np.ndarray) -> float:
            nonlocal state, context
            heard = np.concatenate([context, hop])[None]  # [1, 576]
            context = hop[-_CONTEXT:]
            probability, state = self._model.run(None, {"input": heard, "state": state, "sr": rate})
            return float(probability[0, 0])  # type: ignore[index]

        return score


class Ear:
    """One session's hearing. Positions are in samples at 24 kHz on the session's clock."""

    def __init__(self, config: VadConfig, score: Score) -> None:
        self._config, self._score = config, score
        self._detector = TurnDetector(_gate(config))
        self._resampler = Resampler()
        self._rest = np.zeros(0, np.float32)  # at 16 kHz, less than a hop
        self._audio = np.zeros(0, np.float32)  # at 16 kHz: the turn so far, or the last pad_ms
        self._ended = self._audio  # the turn before
        self._hops = 0
        self.voiced_until = 0  # the end of the last hop that sounded like speech
        self.held = False  # somebody else says when a turn begins and ends: no edges, and all audio belongs to it

    @property
    def speaking(self) -> bool:
        return self._detector.speaking

    @property
    def quiet_ms(self) -> float:
        """How long no hop has sounded like speech."""
        return (self._hops * _HOP_SAMPLES - self.voiced_until) * 1000 / SAMPLE_RATE

    @property
    def turn(self) -> np.ndarray:
        """The turn so far, or else the last one, with what came just before it: float32 [n] at 16 kHz."""
        return self._audio if self.speaking or (self.held and len(self._audio)) else self._ended

    def retune(self, config: VadConfig) -> None:
        """Other thresholds and times from here on."""
        self._config = config
        self._detector.retune(_gate(config))

    def end(self) -> Edge | None:
        """The turn is over now, if there is one: its edge, without waiting for silence."""
        now = self._hops * _HOP_SAMPLES
        edge = Edge("ended", now, now) if self.held and len(self._audio) else self._detector.flush()
        if edge:
            self._ended = self._audio
            self.forget()
        return edge

    def forget(self) -> None:
        """What was heard of this turn does not count."""
        self._detector.flush()
        self._audio = np.zeros(0, np.float32)

    def hear(self, pcm: np.ndarray) -> list[Edge]:
        """The next float32 [n] at 24 kHz -> the edges that it makes certain."""
        fresh = np.concatenate([self._rest, self._resampler.push(pcm)])
        whole = len(fresh) // _HOP * _HOP
        self._rest = fresh[whole:]
        edges = [edge for hop in fresh[:whole].reshape(-1, _HOP) if (edge := self._hop(hop))]
        return edges

    def _hop(self, hop: np.ndarray) -> Edge | None:
        score = self._score(hop)
        self._hops += 1
        edge = self._detector.push(score)
        if score >= (self._config.off if self.speaking else self._config.threshold):
            self.voiced_until = self._hops * _HOP_SAMPLES
        if edge and edge.kind == "ended":
            self._ended = self._audio
        whole = self.speaking or self.held
        keep_ms = self._config.longest_turn_ms if whole else self._config.pad_ms + self._config.start_ms
        self._audio = np.concatenate([self._audio, hop])[-round(keep_ms * EAR_HZ / 1000) :]
        return None if self.held else edge


def _gate(config: VadConfig) -> Gate:
    return Gate(config.threshold, config.off, config.start_ms, config.stop_ms, _HOP_SAMPLES)
