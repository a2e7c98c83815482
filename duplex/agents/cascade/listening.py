"""The user's turn in one session: what is heard, and who says that it is over."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from duplex.agents.cascade.config import VadConfig
from duplex.agents.cascade.vad import Ear, Score
from duplex.notes import TurnTaking
from duplex.turns import Edge

_FINISHED_MS = 300.0  # of silence, after which a sentence that is finished ends the turn, where one waits for more
_OFF_BELOW = 0.15  # silero: speech fades below its threshold by so much before it is over

# What an English sentence hardly ends with: the speaker is looking for the next word.
_GOES_ON = frozenset(
    """a an the my your his her its our their this these and or but so because if when while that which who than
    to of in on at for from with by about into as is are was were am be been do does did can could will would
    should shall may might must have has had um uh er hmm well like""".split()  # noqa: SIM905 (a table would be longer)
)


def finished(text: str) -> bool:
    """Whether the words of a turn sound complete: no trailing mark, and no word that wants another after it."""
    if text.rstrip().endswith(("...", "\u2026", ",", "-", "\u2014", ":", ";")):
        return False
    words = re.findall(r"[a-z']+", text.lower())
    return bool(words) and words[-1] not in _GOES_ON


class Listening:
    """An Ear under a client's rules."""

    def __init__(self, config: VadConfig, score: Score, rules: TurnTaking) -> None:
        self._config = config
        self._ear = Ear(config, score)
        self.obey(rules)

    def obey(self, rules: TurnTaking) -> None:
        """Other rules from here on; a turn that has begun goes on under them."""
        self.rules = rules
        threshold = self._config.threshold if rules.threshold is None else rules.threshold
        stop_ms = self._config.stop_ms if rules.stop_ms is None else rules.stop_ms
        self._finished_ms = min(stop_ms, _FINISHED_MS)
        off = self._config.off if rules.threshold is None else max(0.0, threshold - _OFF_BELOW)
        longest_ms = stop_ms if rules.wait_ms is None else max(stop_ms, rules.wait_ms)
        self._ear.retune(replace(self._config, threshold=threshold, off=off, stop_ms=longest_ms))
        self._ear.held = not rules.detect

    @property
    def turn(self) -> np.ndarray:
        """The turn so far, or else the last one: float32 [n] at 16 kHz."""
        return self._ear.turn

    @property
    def voiced_until(self) -> int:
        """The end of the last speech, in samples at 24 kHz."""
        return self._ear.voiced_until

    def paused(self, ms: float) -> bool:
        """Whether a turn is open, and the user has been quiet for so long."""
        return not self._ear.held and self._ear.speaking and self._ear.quiet_ms >= ms

    def hear(self, pcm: np.ndarray) -> list[Edge]:
        """The next float32 [n] at 24 kHz -> where turns begin and end, as far as this is ours to say."""
        return self._ear.hear(pcm)

    def understood(self, text: str) -> Edge | None:
        """The turn's words so far: its end, when they are a whole sentence and the rules ask for that."""
        over = self.rules.wait_ms is not None and self.paused(self._finished_ms) and finished(text)
        return self._ear.end() if over else None

    def end(self) -> Edge | None:
        """The client says that the turn is over; None when there is none."""
        return self._ear.end()

    def discard(self) -> None:
        """The client says that this turn does not count."""
        self._ear.forget()
