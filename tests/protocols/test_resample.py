"""The resampler as a stream: any chunking, no bursts, its delay, what passes and what does not."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex.protocols.resample import Resampler

RATES = (8_000, 16_000, 24_000, 44_100, 48_000)
PAIRS = [(a, b) for a in RATES for b in RATES]
NOISE = np.random.default_rng(0).uniform(-1, 1, 3_000).astype(np.float32)


def tone(hz: float, rate: int, seconds: float = 0.5) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


def gain_db(signal: np.ndarray, rate: int, hz: float) -> float:
    """The level of the steady part at `hz`, 0 dB for a sine of full scale."""
    steady = signal[rate // 10 :][: rate * 3 // 10]
    clock = np.arange(len(steady)) / rate
    window = np.blackman(len(steady))
    size = 2 * abs((steady * window) @ np.exp(-2j * np.pi * hz * clock)) / window.sum()
    return 20 * np.log10(max(size, 1e-9))


def peak_db(signal: np.ndarray, rate: int) -> float:
    return 20 * np.log10(max(np.abs(signal[rate // 10 :][: rate * 3 // 10]).max(), 1e-9))


@pytest.mark.parametrize(("a", "b"), PAIRS)
@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, len(NOISE)), max_size=8))
def test_any_chunking_gives_the_same_samples(a, b, cuts):
    edges = [0, *sorted(cuts), len(NOISE)]
    stream = Resampler(a, b)
    cut = np.concatenate([stream.push(NOISE[i:j]) for i, j in pairwise(edges)])
    whole = Resampler(a, b).push(NOISE)
    assert cut.dtype == whole.dtype == np.float32
    assert np.array_equal(cut, whole) and len(whole) == -(-len(NOISE) * b // a)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_twenty_milliseconds_in_are_twenty_out(a, b):
    stream = Resampler(a, b)
    assert {len(stream.push(np.zeros(a // 50, np.float32))) for _ in range(20)} == {b // 50}


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_the_delay_is_what_it_says_and_short(a, b):
    stream = Resampler(a, b)
    signal = tone(440, a)
    late = np.sin(2 * np.pi * 440 * (np.arange(round(b * 0.5)) - stream.delay_samples) / b)
    assert np.abs(stream.push(signal) - late)[b // 50 :].max() < 2e-3
    assert stream.delay_samples <= 0.004 * b and (stream.delay_samples == 0) == (a == b)


@pytest.mark.parametrize("high", [16_000, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("hz", [100, 1_000, 2_400, 3_000, 3_300, 3_400])
def test_the_telephone_band_passes(high, hz):
    assert gain_db(Resampler(high, 8_000).push(tone(hz, high)), 8_000, hz) == pytest.approx(0, abs=0.1)
    assert gain_db(Resampler(8_000, high).push(tone(hz, 8_000)), high, hz) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(("a", "b"), [pair for pair in PAIRS if pair[0] > pair[1]])
@pytest.mark.parametrize("share", [0.5, 0.53, 0.6, 0.75, 0.97])
def test_nothing_folds_back(a, b, share):
    """`share` of the lower rate; what is above half of the higher rate does not exist."""
    if share * b < a / 2:
        assert peak_db(Resampler(a, b).push(tone(share * b, a)), b) < -60


@pytest.mark.parametrize("hz", [300, 1_000, 3_400])
def test_no_image_is_heard(hz):
    said = Resampler(8_000, 24_000).push(tone(hz, 8_000))
    assert max(gain_db(said, 24_000, image) for image in (8_000 - hz, 8_000 + hz, 16_000 - hz)) < -60


def test_equal_rates_change_nothing():
    assert np.array_equal(Resampler(24_000, 24_000).push(NOISE), NOISE)


def test_a_rate_must_be_one():
    with pytest.raises(ValueError, match="rates must be positive, got 0 and 8000 Hz"):
        Resampler(0, 8_000)
