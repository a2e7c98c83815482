"""Words that a model is made to say: a text token for every tick, at the pace of speech. Pure: knows no model.

The layout is the one that Moshi is trained on: a word's pieces stand in consecutive ticks from the one in which it
begins to sound, END_OF_PAD in the tick before it, PAD elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from duplex.engine.spelling import spelled
from duplex.engine.text import END_OF_PAD, PAD

FREE = -1  # the model says what it likes
Encode = Callable[[str], Sequence[int]]  # a word -> its pieces

# How long a word of the voice that speaks nano's lines lasts, in ticks: fitted to 909 words, to 0.9 of a tick.
_WORD, _LETTER, _CLAUSE, _SENTENCE = 0.32, 0.64, 2.5, 3.5
_REST = 8  # ticks without a word after the last one: a model that may write at once often adds words of its own


def laid_out(text: str, encode: Encode) -> list[int]:
    """The tokens of consecutive ticks, until the last word has been said; [] when there is no word in it."""
    tokens: list[int] = []
    due = 1.0  # the tick in which the next word is to begin
    for word in spelled(text).split():
        pieces = encode(word) if any(c.isalnum() for c in word) else ()
        if not pieces:
            continue
        _pad_to(tokens, round(due))
        if not tokens or tokens[-1] == PAD:
            tokens[-1:] = [END_OF_PAD]
        due = max(due, len(tokens) - 0.5) + lasts(word)  # after a word of many pieces: at once
        tokens += pieces
    if tokens:
        _pad_to(tokens, round(due))
    return tokens


def lasts(word: str) -> float:
    """From the begin of a word to that of the next one, in ticks; a pause belongs to the word before it."""
    pause = _SENTENCE if word[-1] in ".!?" else _CLAUSE if word[-1] in ",;:" else 0.0
    return _WORD + _LETTER * sum(letter.isalnum() for letter in word) + pause


class Forcing:
    """One session's words that are still to be forced."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._tokens: deque[int] = deque()
        self._rest = 0  # ticks
        self.mute = False  # no words at all, when there are none to force

    @property
    def busy(self) -> bool:
        """Words are being forced."""
        return bool(self._tokens)

    def say(self, text: str) -> None:
        """Say this after everything that is to be said already. Raises ValueError when nothing in it can be said."""
        tokens = laid_out(text, self._encode)
        if not tokens:
            raise ValueError(f"there is no word in {text!r} that the model's vocabulary can write")
        self._tokens += tokens

    def drop(self) -> None:
        """Forget what was not yet said; a word that was begun is left to the model."""
        self._tokens.clear()
        self._rest = 0

    def next(self) -> int:
        """The text token of the next tick, or FREE."""
        if self._tokens:
            self._rest = _REST
            return self._tokens.popleft()
        self._rest = max(0, self._rest - 1)
        return PAD if self.mute or self._rest else FREE


def _pad_to(tokens: list[int], length: int) -> None:
    tokens += [PAD] * (length - len(tokens))
