"""What a sample's metadata says that the user does, as events in samples at 24 kHz.

The user's speech is where transcription.json has words, or else where the judge's ear hears input.wav.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from duplex.frame import SAMPLE_RATE
from duplex.turns import Span
from eval import instrument
from eval.fdb import files
from eval.fdb.files import BadSample
from eval.scenario import Event, Kind


class Happens(NamedTuple):
    events: list[Event]  # in order of their begin, never empty
    from_s: float = 0.0  # where FDB's scorer begins to count


class Piece(NamedTuple):
    """A word, or a stretch of speech of which nobody knows the words."""

    begin: int
    end: int
    text: str = ""


class Said(NamedTuple):
    """All that input.wav holds."""

    pieces: list[Piece]  # in order, at least one
    samples: int  # of the whole channel

    def turn(self, until: int | None = None) -> Piece | None:
        """From the first piece to the end of the last that begins before `until`, which it does not outlast."""
        until = self.samples if until is None else until
        pieces = [p for p in self.pieces if p.begin < until]
        if not pieces:
            return None
        return Piece(pieces[0].begin, min(max(p.end for p in pieces), until), " ".join(p.text for p in pieces).strip())


def said(folder: Path, pcm: np.ndarray) -> Said:
    """`pcm`: input.wav as float32 [n] at 24 kHz. Raises BadSample when nobody speaks."""
    path = folder / files.TRANSCRIPT
    if path.exists():
        found = [Piece(_at(w.start), _at(w.start if w.end is None else w.end), w.text) for w in files.words(path)]
    else:
        path, found = folder / files.INPUT, [Piece(*span) for span in instrument.speech(pcm)]
    pieces = sorted(Piece(p.begin, min(p.end, len(pcm)), p.text) for p in found)
    if not any(p.end > p.begin for p in pieces):
        raise BadSample(f"{path}: expected somebody to speak")
    return Said([p for p in pieces if p.end > p.begin], len(pcm))


def pause(folder: Path, heard: Said) -> Happens:
    """pause.json: silences within a turn."""
    path, turn = folder / files.PAUSE, heard.turn()
    assert turn is not None
    events = [Event("question", *turn)]
    for one in files.objects(path):
        begin, end = _span(one, "timestamp", path, heard)
        if not turn.begin < begin < end <= turn.end:
            where = f"{turn.begin / SAMPLE_RATE:.2f} to {turn.end / SAMPLE_RATE:.2f} s"
            raise BadSample(f"{path}: expected a pause within the user's speech, {where}, got {one.get('timestamp')}")
        events.append(Event("pause", begin, end))
    return Happens(sorted(events, key=lambda event: event.begin))


def turn(folder: Path, heard: Said) -> Happens:
    """turn_taking.json: its timestamp begins where the user's turn ends."""
    path = folder / files.TURN
    end_s, _ = files.times(files.objects(path)[0], "timestamp", path, heard.samples / SAMPLE_RATE)
    turn = heard.turn(until=_at(end_s))
    if turn is None:
        raise BadSample(f"{path}: expected the user's turn to end after he began, got {end_s:g} s")
    return Happens([Event("question", turn.begin, _at(end_s), turn.text)], end_s)


def interruption(folder: Path, heard: Said) -> Happens:
    """interrupt.json: what the user says into an answer, and what he said before."""
    path = folder / files.INTERRUPT
    one = files.objects(path)[0]
    _, end_s = files.times(one, "timestamp", path, heard.samples / SAMPLE_RATE)
    second = Event("interruption", *_span(one, "timestamp", path, heard), str(one.get("interrupt", "")))
    return Happens([*_context(heard, second.begin, one.get("context")), second], end_s)


def monologue(folder: Path, heard: Said) -> Happens:
    """A long turn, and nothing else."""
    turn = heard.turn()
    assert turn is not None
    return Happens([Event("question", *turn)])


def overlap(kind: Kind) -> Callable[[Path, Said], Happens]:
    """metadata.json of v1.5: what sounds into an answer, and what the user said before."""

    def read(folder: Path, heard: Said) -> Happens:
        path = folder / files.METADATA
        one = files.read_json(path)
        if not isinstance(one, dict):
            raise BadSample(f"{path}: expected an object with 'timestamps': [start, end]")
        second = Event(kind, *_span(one, "timestamps", path, heard), str(one.get("current_turn_text", "")))
        return Happens([*_context(heard, second.begin, one.get("context_text")), second])

    return read


def _context(heard: Said, until: int, text: object) -> list[Event]:
    before = heard.turn(until)
    return [Event("question", before.begin, before.end, str(text or before.text))] if before else []


def _span(values: Mapping[str, Any], key: str, path: Path, heard: Said) -> Span:
    begin_s, end_s = files.times(values, key, path, heard.samples / SAMPLE_RATE)
    if _at(begin_s) == _at(end_s):
        raise BadSample(f"{path}: {key!r} must be [start, end] with an end after the start, got {values[key]!r}")
    return Span(_at(begin_s), _at(end_s))


def _at(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)
