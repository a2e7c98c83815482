"""The dGSLM battery: how two people share the time. Source: Nguyen et al., arXiv 2203.16502, section on turn-taking.

IPU: speech of one side between silences of more than 200 ms (`IPU_GAP_MS`). Overlap: both sides speak. Where neither
does, between the first and the last speech: a pause if who spoke last goes on, a gap if the other one begins.
Counts and seconds are pooled over recordings: all events over all minutes, never a mean of each recording's rate.
Version 1. Direction: none; a system is compared with a reference, by `distance`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from scipy.stats import wasserstein_distance

from duplex.frame import SAMPLE_RATE
from duplex.turns import Span
from eval.metrics.intervals import between, both, either, length, merged

VERSION = 1
IPU_GAP_MS = 200.0
KINDS = ("ipu", "pause", "gap", "overlap")

Events = Mapping[str, Sequence[Span]]


class Rate(NamedTuple):
    """Of one kind of event, pooled."""

    per_min: float
    s_per_min: float
    n: int


def events(user: Sequence[Span], agent: Sequence[Span]) -> dict[str, list[Span]]:
    """Clean spans of both sides of one recording -> spans of every kind in KINDS."""
    sides = merged(user, IPU_GAP_MS), merged(agent, IPU_GAP_MS)
    found: dict[str, list[Span]] = {"ipu": sorted([*sides[0], *sides[1]]), "pause": [], "gap": []}
    for silence in between(either(*sides)):
        before = {who for who, side in enumerate(sides) if any(s.end == silence.begin for s in side)}
        after = {who for who, side in enumerate(sides) if any(s.begin == silence.end for s in side)}
        found["pause" if before & after else "gap"].append(silence)
    return found | {"overlap": both(*sides)}


def pooled(recordings: Iterable[tuple[Events, int]]) -> dict[str, Rate]:
    """(events, samples) of every recording -> the rate of each kind. {} without a sample."""
    counts, samples, total = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0), 0
    for found, n in recordings:
        total += n
        for kind in KINDS:
            counts[kind] += len(found[kind])
            samples[kind] += length(found[kind])
    if not total:
        return {}
    minutes = total / SAMPLE_RATE / 60
    return {k: Rate(counts[k] / minutes, samples[k] / SAMPLE_RATE / minutes, counts[k]) for k in KINDS}


def distance(found: Iterable[Events], reference: Iterable[Events]) -> dict[str, float | None]:
    """Wasserstein-1 distance in seconds between the durations of each kind; None where one side has none of it."""
    sides = [list(found), list(reference)]
    ours, theirs = ({k: [s.ms for events in side for s in events[k]] for k in KINDS} for side in sides)
    return distance_of_durations(ours, theirs)


def distance_of_durations(
    ours_ms: Mapping[str, Sequence[float]], theirs_ms: Mapping[str, Sequence[float]]
) -> dict[str, float | None]:
    """The same, in seconds, of durations in ms, for each kind."""
    return {
        kind: float(wasserstein_distance(ours_ms[kind], theirs_ms[kind])) / 1000
        if ours_ms[kind] and theirs_ms[kind]
        else None
        for kind in KINDS
    }
