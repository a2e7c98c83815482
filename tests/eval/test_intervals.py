"""Spans are sets of samples: every operation is checked against arrays of booleans."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from duplex.frame import SAMPLE_RATE
from duplex.turns import Span
from eval.metrics.intervals import between, both, clean, either, length, merged, within

LENGTH = 60
spans = st.lists(st.tuples(st.integers(0, LENGTH), st.integers(0, LENGTH)).map(lambda t: Span(*t)), max_size=8)


def samples(found: list[Span]) -> np.ndarray:
    mask = np.zeros(LENGTH, bool)
    for span in found:
        mask[span.begin : span.end] = True
    return mask


def is_clean(found: list[Span]) -> bool:
    return all(s.begin < s.end for s in found) and all(a.end < b.begin for a, b in pairwise(found))


@given(spans)
def test_clean_keeps_the_samples(a: list[Span]) -> None:
    assert is_clean(clean(a))
    np.testing.assert_array_equal(samples(clean(a)), samples(a))
    assert length(clean(a)) == samples(a).sum()


@given(spans, spans)
def test_both_and_either_are_and_and_or(a: list[Span], b: list[Span]) -> None:
    one, other = clean(a), clean(b)
    np.testing.assert_array_equal(samples(both(one, other)), samples(a) & samples(b))
    np.testing.assert_array_equal(samples(either(one, other)), samples(a) | samples(b))
    assert both(one, other) == both(other, one) and is_clean(either(one, other))


@given(spans, st.integers(0, LENGTH), st.integers(0, LENGTH))
def test_within_is_what_lies_there(a: list[Span], begin: int, end: int) -> None:
    window = np.zeros(LENGTH, bool)
    window[begin:end] = True
    np.testing.assert_array_equal(samples(within(clean(a), begin, end)), samples(a) & window)


@given(spans)
def test_speech_and_the_silences_between_are_one_stretch(a: list[Span]) -> None:
    found = clean(a)
    both_kinds = either(found, between(found))
    assert both_kinds == ([Span(found[0].begin, found[-1].end)] if found else [])


def test_merged_joins_what_is_at_most_so_far_apart() -> None:
    second = SAMPLE_RATE
    found = [Span(0, second), Span(2 * second, 3 * second), Span(5 * second, 6 * second)]
    assert merged(found, 1000) == [Span(0, 3 * second), found[2]]
    assert merged(found, 999) == found and merged(found, 2000) == [Span(0, 6 * second)]
