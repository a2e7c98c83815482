"""Full-Duplex-Bench's numbers as its scorers compute them, to stand beside the strict ones: `--fdb-compat`.

Written from the published definitions (arXiv 2503.04721 and 2507.19040, scorers as of revision d7336bd), not from their
code. Times are seconds; a word is (start, end), where a transcriber may leave the end out. What is wrong with these
numbers is in DEFECTS and is printed wherever they are. Version 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import jensenshannon

VERSION = 1
TURN_S, TURN_WORDS = 1.0, 3  # shorter and of no more words than this is no takeover
BACKCHANNEL_WORDS = 2
LONG_S = 3.0  # a longer segment is a turn
BIN_S = 0.2
USER_MERGE_S, MODEL_MERGE_S = 0.6, 0.5
ROUNDED_S = 0.001  # what the times in a file may have lost: a word cut in two begins with the cut
NO_BACKCHANNEL = 1.0  # their distance where there is none; distances end at 0.8326
DEFECTS = {
    "interruption": "sees only what is said after the interruption: who never yields takes over at once",
    "stop": "ends with the user at the latest, so a model that talks on looks like one that stopped",
    "response": "an early start is left out, and the next one counts instead",
    "jsd": "a distance in nats, at most 0.83, but 1.0 without backchannels",
    "backchannel": "the last segment decides; a segment of more than 3 s ends the search",
    "duration": "from the first to the last word: two single words far apart are a takeover",
    "latency": "never below 0, over takeovers alone, as a mean",
    "greeting": "a pause comes 1 to 2 s into a clip, so whoever greets the user takes the turn",
    "rate": "Silero takes output.wav for 16 kHz whatever it is: at 48 kHz all is three times as long, and no word fits",
    "intervals": "all of a clip, not those of the annotated event; FDB has no mean over them, this one is ours",
}


class Word(NamedTuple):
    start: float
    end: float | None
    text: str = ""


class Segment(NamedTuple):
    start: float
    end: float


class Backchannels(NamedTuple):
    """Of one clip."""

    takeover: bool
    per_s: float
    jsd: float | None  # None: nobody knows when people would say something


# --- v1 ---------------------------------------------------------------------------------------------------------------


def takeover(words: Sequence[Word]) -> bool:
    """Pause handling, turn-taking and interruption: whether what was said is a turn."""
    if not words:
        return False
    last = words[-1].start if words[-1].end is None else words[-1].end
    return not (last - words[0].start < TURN_S and len(words) <= TURN_WORDS)


def takeover_rate(clips: Iterable[Sequence[Word]]) -> float | None:
    """TOR; None without clips."""
    taken = [takeover(words) for words in clips]
    return sum(taken) / len(taken) if taken else None


def turn_latency_s(words: Sequence[Word], turn_end: float) -> float | None:
    """Smooth turn-taking: to the first word, never below 0; None where the turn was not taken."""
    return max(0.0, words[0].start - turn_end) if takeover(words) else None


def interruption_latency_s(words: Sequence[Word], interruption_end: float) -> float | None:
    """To the first word that begins after the interruption; their transcriber hears nothing before."""
    heard = after(words, interruption_end)
    return max(0.0, heard[0].start - interruption_end) if takeover(heard) else None


def after(words: Sequence[Word], begin: float) -> list[Word]:
    """Those that a transcriber hears who is given the sound from `begin` on."""
    return [word for word in words if word.start >= begin - ROUNDED_S]


def backchannels(
    segments: Sequence[Segment], words: Sequence[Word], duration_s: float, human: Sequence[float] | None
) -> Backchannels:
    """Silero's segments of the output, its words, and `human`: how likely a backchannel is at each time of the clip,
    if known."""
    listed, taken = [], False
    for segment in segments:
        length = segment.end - segment.start
        if length > LONG_S:
            taken = True
            break
        said = sum(w.end is not None and w.start <= segment.end and w.end > segment.start for w in words)
        taken = not (length < TURN_S and said <= BACKCHANNEL_WORDS)
        listed.append(segment)
    return Backchannels(taken, len(listed) / duration_s, _jsd(listed, duration_s, human))


def _jsd(listed: Sequence[Segment], duration_s: float, human: Sequence[float] | None) -> float | None:
    if not listed:
        return NO_BACKCHANNEL
    if human is None:
        return None
    bins = np.full(int(duration_s / BIN_S) + 1, 1e-10)
    for segment in listed:
        bins[int(segment.start / BIN_S) : int(segment.end / BIN_S) + 1] += 1
    expected = np.interp(np.linspace(0, 1, len(bins)), np.linspace(0, 1, len(human)), human)
    return float(jensenshannon(bins / bins.sum(), expected))


# --- v1.5 -------------------------------------------------------------------------------------------------------------


def stop_intervals(user: Sequence[Segment], model: Sequence[Segment]) -> list[Segment]:
    """Where both speak; of those that end in the same millisecond the shortest."""
    shortest: dict[float, Segment] = {}
    for one in joined(user, USER_MERGE_S):
        for other in joined(model, MODEL_MERGE_S):
            found = Segment(max(one.start, other.start), min(one.end, other.end))
            end = round(found.end, 3)
            if found.end > found.start and (end not in shortest or found.start > shortest[end].start):
                shortest[end] = found
    return sorted(shortest.values())


def response_intervals(user: Sequence[Segment], model: Sequence[Segment]) -> list[Segment]:
    """From each end of the user's to the first start of the model's after it; one for each start, the shortest."""
    starts = [segment.start for segment in joined(model, MODEL_MERGE_S)]
    latest: dict[float, float] = {}
    for segment in joined(user, USER_MERGE_S):
        start = next((s for s in starts if s > segment.end), None)
        if start is not None:
            latest[start] = max(segment.end, latest.get(start, segment.end))
    return [Segment(end, start) for start, end in sorted(latest.items())]


def joined(segments: Sequence[Segment], gap_s: float) -> list[Segment]:
    """Those at most `gap_s` apart become one."""
    out: list[Segment] = []
    for segment in segments:
        if out and segment.start - out[-1].end <= gap_s:
            out[-1] = Segment(out[-1].start, max(out[-1].end, segment.end))
        else:
            out.append(segment)
    return out
