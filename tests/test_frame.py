"""The clock: frames depend on the samples alone, never on how they were cut up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex.frame import FRAME_MS, FRAME_SAMPLES, FRAME_SECONDS, SAMPLE_RATE, TICK_HZ, Frame, Framer, frames_of, silence

lengths = st.integers(0, 5 * FRAME_SAMPLES)
chunk_sizes = st.lists(st.integers(0, 2 * FRAME_SAMPLES + 7), max_size=20)


def ramp(samples: int) -> np.ndarray:
    """float32 [n] in which every sample differs from its neighbours."""
    return (np.arange(samples) % 7919).astype(np.float32)


def chunked(pcm: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    """The signal cut at `sizes`, the rest as one last chunk."""
    return np.split(pcm, np.minimum(np.cumsum(sizes), len(pcm)))


@given(lengths, chunk_sizes, st.integers(0, 100))
def test_any_chunking_gives_the_same_frames(length: int, sizes: list[int], first: int) -> None:
    pcm = ramp(length)
    framer = Framer(first)
    frames = [frame for chunk in chunked(pcm, sizes) for frame in framer.push(chunk)]
    assert framer.pending_samples == length % FRAME_SAMPLES
    frames += framer.flush()
    whole = list(frames_of(pcm, first))
    assert [f.t for f in frames] == [f.t for f in whole] == list(range(first, first + len(whole)))
    for frame, expected in zip(frames, whole, strict=True):
        np.testing.assert_array_equal(frame.pcm, expected.pcm)


@given(lengths)
def test_no_sample_is_lost_or_invented(length: int) -> None:
    pcm = ramp(length)
    joined = np.concatenate([np.zeros(0, np.float32), *(f.pcm for f in frames_of(pcm) if f.pcm is not None)])
    assert len(joined) % FRAME_SAMPLES == 0 and len(joined) - length < FRAME_SAMPLES
    np.testing.assert_array_equal(joined[:length], pcm)
    assert not joined[length:].any()


def test_frames_do_not_share_memory_with_the_callers_buffer() -> None:
    buffer = np.ones(FRAME_SAMPLES + 10, np.float32)
    framer = Framer()
    [frame] = framer.push(buffer)
    buffer[:] = 0
    assert frame.pcm is not None and frame.pcm.all()
    [rest] = framer.flush()
    assert rest.pcm is not None and rest.pcm[:10].all()


def test_flushing_with_nothing_pending_gives_nothing() -> None:
    framer = Framer()
    framer.push(ramp(FRAME_SAMPLES))
    assert framer.flush() == [] and framer.t == 1


def test_stereo_is_refused_with_its_shape() -> None:
    with pytest.raises(ValueError, match=r"\[n\], got \[10, 2\]"):
        Framer().push(np.zeros((10, 2), np.float32))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "neither pcm nor codes"),
        ({"pcm": np.zeros(FRAME_SAMPLES - 1, np.float32)}, r"must be float32 \[1920\], got float32 \[1919\]"),
        ({"pcm": np.zeros(FRAME_SAMPLES, np.float64)}, "got float64"),
        ({"codes": np.zeros((8, 1), int)}, r"codes must be \[K\], got \[8, 1\]"),
    ],
)
def test_a_frame_of_another_shape_is_refused(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Frame(3, **fields)


def test_at_moves_a_frame_and_nothing_else() -> None:
    frame = silence(2)
    moved = frame.at(9)
    assert (frame.t, moved.t) == (2, 9) and moved.pcm is frame.pcm


def test_the_clocks_numbers_agree_with_each_other() -> None:
    assert FRAME_SAMPLES / SAMPLE_RATE == FRAME_SECONDS == FRAME_MS / 1000 == 1 / TICK_HZ
