"""Lists of spans as sets of samples: joined, cut, intersected. Pure, and the ground that every metric stands on.

A *clean* list is in order, without overlap and without empty spans; all functions give clean lists and, `clean` apart,
expect them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from duplex.frame import SAMPLE_RATE
from duplex.turns import Span


def clean(spans: Iterable[Span]) -> list[Span]:
    """Any spans as a clean list of the same samples; those that touch become one."""
    return merged(sorted(s for s in spans if s.end > s.begin), 0.0)


def merged(spans: Sequence[Span], gap_ms: float) -> list[Span]:
    """Spans that are at most `gap_ms` apart become one."""
    out: list[Span] = []
    for span in spans:
        if out and ms(span.begin - out[-1].end) <= gap_ms:
            out[-1] = Span(out[-1].begin, max(out[-1].end, span.end))
        else:
            out.append(span)
    return out


def within(spans: Sequence[Span], begin: int, end: int) -> list[Span]:
    """What lies in [begin, end)."""
    cut = (Span(max(s.begin, begin), min(s.end, end)) for s in spans)
    return [s for s in cut if s.end > s.begin]


def both(a: Sequence[Span], b: Sequence[Span]) -> list[Span]:
    """Where spans of both lists are."""
    out, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        begin, end = max(a[i].begin, b[j].begin), min(a[i].end, b[j].end)
        if begin < end:
            out.append(Span(begin, end))
        if a[i].end < b[j].end:
            i += 1
        else:
            j += 1
    return out


def either(a: Sequence[Span], b: Sequence[Span]) -> list[Span]:
    """Where a span of one list or of the other is."""
    return clean([*a, *b])


def between(spans: Sequence[Span]) -> list[Span]:
    """The silences between spans, not those before the first or after the last."""
    return [Span(a.end, b.begin) for a, b in pairwise(spans)]


def length(spans: Iterable[Span]) -> int:
    """Samples of all spans together."""
    return sum(s.end - s.begin for s in spans)


def total_s(spans: Iterable[Span]) -> float:
    return length(spans) / SAMPLE_RATE


def ms(samples: float) -> float:
    return samples * 1000 / SAMPLE_RATE
