"""Due: a job's items come at the same ticks however fast the session runs."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex.agents.cascade.due import Due, in_thread
from duplex.frame import FRAME_SECONDS
from tests.cascade.fakes import FakeLlm, FakeStt, FakeTts, converse, on_a_jumping_clock, talk


async def timed(delays_ms: list[float]) -> AsyncGenerator[int, None]:
    for i, delay_ms in enumerate(delays_ms):
        await asyncio.sleep(delay_ms / 1000)
        yield i


async def released(delays_ms: list[float], paced: bool, ticks: int = 40) -> list[tuple[int, int]]:
    """(tick, item) of a job that begins in tick 3."""
    loop = asyncio.get_running_loop()
    start, out, due = loop.time(), [], None
    for t in range(ticks):
        if paced:
            await asyncio.sleep(start + t * FRAME_SECONDS - loop.time())
        if t == 3:
            due = Due(timed(delays_ms), began=3, now=loop.time)
        if due:
            out += [(t, ready.item) for ready in await due.by(t)]
    assert due and due.finished
    return out


def test_an_item_is_released_in_the_tick_in_which_it_would_have_been_ready() -> None:
    # ready 79, 81 and 241 ms after a job began in tick 3: ceil(0.99), ceil(1.01), ceil(3.01) ticks later
    assert on_a_jumping_clock(released([79, 2, 160], paced=False)) == [(4, 0), (5, 1), (7, 2)]


# half milliseconds, so that nothing is ready exactly on a tick, where either answer is right
delays = st.lists(st.integers(0, 400).map(lambda ms: ms + 0.0625), max_size=6)


@given(delays)
def test_paced_and_unpaced_release_alike(delays_ms: list[float]) -> None:
    assert on_a_jumping_clock(released(delays_ms, True)) == on_a_jumping_clock(released(delays_ms, False))


def test_a_session_ahead_of_the_clock_waits_only_for_work_in_flight() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        due = Due(timed([100]), began=0, now=loop.time)
        await due.by(1_000)
        return loop.time()

    assert on_a_jumping_clock(main()) == pytest.approx(0.1)


def test_what_the_job_raises_comes_out_of_by() -> None:
    async def broken() -> AsyncGenerator[int, None]:
        yield 1
        raise OSError("disk on fire")

    async def main() -> None:
        due = Due(broken(), began=0, now=asyncio.get_running_loop().time)
        await due.by(5)

    with pytest.raises(OSError, match="disk on fire"):
        on_a_jumping_clock(main())


def test_closing_stops_the_job_and_its_generator() -> None:
    stopped = []

    async def endless() -> AsyncGenerator[int, None]:
        try:
            while True:
                await asyncio.sleep(1)
                yield 0
        finally:
            stopped.append(True)

    async def main() -> None:
        due = Due(endless(), began=0, now=asyncio.get_running_loop().time)
        await due.by(20)
        await due.close()
        assert due.finished

    on_a_jumping_clock(main())
    assert stopped == [True]


async def test_a_cancelled_call_is_waited_for_while_its_thread_runs() -> None:
    running, go = threading.Event(), threading.Event()

    def work() -> None:
        running.set()
        go.wait(10)

    with ThreadPoolExecutor(1) as pool:
        task = asyncio.create_task(in_thread(pool, work))
        await asyncio.to_thread(running.wait, 10)
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
        assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task


milliseconds = st.integers(0, 500).map(lambda ms: (ms + 0.0625) / 1000)


@settings(max_examples=25)
@given(
    stt_s=milliseconds,
    first_s=milliseconds,
    each_s=st.integers(0, 60).map(lambda ms: (ms + 0.0625) / 1000),
    tts_s=milliseconds,
    pause_ms=st.integers(0, 900),
    second_ms=st.integers(100, 900),
    speculate=st.sampled_from(["no", "transcript", "reply"]),
)
def test_a_whole_session_says_the_same_paced_and_unpaced(
    stt_s: float, first_s: float, each_s: float, tts_s: float, pause_ms: int, second_ms: int, speculate: str
) -> None:
    """Endpoints, speculation that is discarded, barge-in: tick for tick and sample for sample."""
    resumes = 900 + pause_ms
    frames = talk((300, 900), (resumes, resumes + second_ms), (4_200, 4_700), until_ms=7_000)

    def run(paced: bool) -> list[tuple[int, str, tuple[object, ...], bytes]]:
        said = converse(
            frames,
            stt=FakeStt(stt_s),
            llm=FakeLlm(first_s, each_s),
            tts=FakeTts(tts_s),
            paced=paced,
            speculate=speculate,
        )
        return [(f.t, f.text, f.events, f.pcm.tobytes()) for f in said if f.pcm is not None]

    assert run(paced=True) == run(paced=False)
