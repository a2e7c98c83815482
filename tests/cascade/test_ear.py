"""The ear: resampling as a stream, and silero's judgement of speech, silence and noise."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import resample_poly

from duplex.agents.cascade.config import VadConfig
from duplex.agents.cascade.vad import Ear, Resampler, Silero
from duplex.frame import SAMPLE_RATE
from duplex.turns import Span
from tests.cascade.fakes import loud, talk

NOISE = np.random.default_rng(1).normal(0, 0.1, 30_000).astype(np.float32)


@given(st.lists(st.integers(0, 5_000), max_size=8))
def test_resampling_in_pieces_is_resampling_the_whole(cuts: list[int]) -> None:
    whole = Resampler().push(NOISE)
    resampler = Resampler()
    pieces = [resampler.push(piece) for piece in np.split(NOISE, np.cumsum(cuts).clip(0, len(NOISE)))]
    assert len(whole) == 20_000
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-7)


def test_resampling_is_causal() -> None:
    changed = NOISE.copy()
    changed[15_000:] = 0
    np.testing.assert_array_equal(Resampler().push(changed)[:10_000], Resampler().push(NOISE)[:10_000])


@pytest.mark.parametrize(("hz", "gain"), [(200, 1.0), (3_000, 1.0), (6_500, 1.0), (9_500, 0.0), (11_000, 0.0)])
def test_resampling_keeps_speech_and_drops_what_would_fold_into_it(hz: int, gain: float) -> None:
    tone = np.sin(2 * np.pi * hz * np.arange(24_000) / SAMPLE_RATE).astype(np.float32)
    steady = Resampler().push(tone)[1_000:]
    assert np.sqrt(2 * np.mean(steady**2)) == pytest.approx(gain, abs=0.02)


def test_the_turn_holds_the_speech_and_what_came_just_before_it() -> None:
    ear = Ear(VadConfig(pad_ms=320), loud())
    for frame in talk((1_000, 1_800), until_ms=2_000):
        assert frame.pcm is not None
        ear.hear(frame.pcm)
    assert ear.speaking and 0 < ear.quiet_ms <= 200 + 32
    voiced = np.flatnonzero(np.abs(ear.turn) > 0.01) / 16
    assert 320 <= voiced[0] <= 320 + 96 and voiced[-1] - voiced[0] == pytest.approx(800, abs=2)
    ear.hear(np.zeros(SAMPLE_RATE, np.float32))
    assert not ear.speaking and len(np.flatnonzero(np.abs(ear.turn) > 0.01)) > 0.7 * 800 * 16


def test_a_turn_without_end_is_kept_to_its_latest_part() -> None:
    ear = Ear(VadConfig(longest_turn_ms=2_000), loud())
    for frame in talk((0, 9_000), until_ms=9_000):
        assert frame.pcm is not None
        ear.hear(frame.pcm)
    assert len(ear.turn) == 2 * 16_000


def test_silero_finds_speech_where_it_is_and_none_in_noise(spoken_question: np.ndarray) -> None:
    def spans(pcm: np.ndarray) -> list[Span]:
        ear = Ear(VadConfig(), Silero().listener())
        edges = [edge for chunk in np.split(pcm, range(1_920, len(pcm), 1_920)) for edge in ear.hear(chunk)]
        return [Span(a.sample, b.sample) for a, b in zip(edges[::2], edges[1::2], strict=True)]

    second = np.zeros(SAMPLE_RATE, np.float32)
    (span,) = spans(np.concatenate([second, spoken_question, second]))
    assert span.begin == pytest.approx(SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)
    assert span.end == pytest.approx(SAMPLE_RATE + len(spoken_question), abs=0.15 * SAMPLE_RATE)
    assert spans(NOISE) == [] == spans(np.zeros(30_000, np.float32))


def test_two_listeners_share_a_model_and_no_state(spoken_question: np.ndarray) -> None:
    silero = Silero()
    hops = Resampler().push(spoken_question)[: 512 * 30].reshape(-1, 512)
    alone = silero.listener()
    expected = [alone(hop) for hop in hops]
    one, other = silero.listener(), silero.listener()
    mixed = [(one(hop), other(np.zeros(512, np.float32)))[0] for hop in hops]
    assert mixed == expected and max(expected) > 0.9


def test_hearing_imports_no_torch() -> None:
    code = (
        "import sys; from duplex.agents.cascade.vad import Silero; Silero().listener(); print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_it_is_the_resampling_that_scipy_does_to_a_whole_signal(spoken_question: np.ndarray) -> None:
    """Against another filter: the same speech, a millisecond later."""
    mine, scipys = Resampler().push(spoken_question)[16:], np.asarray(resample_poly(spoken_question, 2, 3))
    n = min(len(mine), len(scipys)) - 100
    assert np.corrcoef(mine[:n], scipys[:n])[0, 1] > 0.99
