"""The agent's own speech in what it says: where an utterance begins, and where it is over.

A full-duplex model has no answers, only sound: an utterance is sound or text until nothing follows it for a while.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from duplex.frame import SAMPLE_RATE
from duplex.turns import Gate, TurnDetector, levels_db

Change = Literal["began", "ended"]
_ON, _OFF = -42.0, -48.0  # dBFS, as in turns.ENERGY_GATE
_START_MS = 10.0  # one hop: who listens for the beginning must not miss the first frame
_REST_MS = 640.0  # longer than the pauses between the sentences of one answer
_GIVEN_WAY_MS = 320.0  # after the user has spoken up, a shorter silence is the end
_YIELDS_WITHIN = round(1.2 * SAMPLE_RATE)  # samples: an utterance that ends later did not end because of the user
_LOUD_DBFS = 0.0


def _gate(stop_ms: float) -> Gate:
    return Gate(_ON, _OFF, _START_MS, stop_ms)


class Voice:
    """Feed it every frame that the model says. Positions are samples of the session."""

    def __init__(self) -> None:
        self._detector = TurnDetector(_gate(_REST_MS))
        self._samples = 0
        self._spoken_to: int | None = None  # where the user spoke up during this utterance
        self.began = 0  # where the last utterance began
        self.text = ""  # of this utterance, or the last one
        self.gave_way = False  # the utterance that ended last ended because the user spoke

    @property
    def speaking(self) -> bool:
        return self._detector.speaking

    def push(self, pcm: np.ndarray, text: str) -> list[Change]:
        """The next float32 [1920] and its words -> what it makes certain. Words count as sound."""
        levels = levels_db(pcm)
        if text.strip():
            levels[0] = max(levels[0], _LOUD_DBFS)
        changes: list[Change] = []
        for level in levels:
            edge = self._detector.push(float(level))
            if edge:
                self._change(edge.kind, edge.sample)
                changes.append(edge.kind)
        self._samples += len(pcm)
        if self.speaking or changes:
            self.text += text
        if self._spoken_to is not None and self._samples - self._spoken_to > _YIELDS_WITHIN:
            self._expect(None)
        return changes

    def interrupted(self, sample: int) -> None:
        """The user began to speak at `sample`."""
        if self.speaking:
            self._expect(sample)

    def cut(self) -> None:
        """What is being said does not count; whatever sounds next is a new utterance."""
        self._detector.flush()
        self._expect(None)

    def _change(self, kind: Change, sample: int) -> None:
        if kind == "began":
            self.began, self.text = sample, ""
            return
        self.gave_way = self._spoken_to is not None and sample - self._spoken_to <= _YIELDS_WITHIN
        self._expect(None)

    def _expect(self, spoken_to: int | None) -> None:
        self._spoken_to = spoken_to
        self._detector.retune(_gate(_REST_MS if spoken_to is None else _GIVEN_WAY_MS))
