"""The native agent over a tiny checkpoint: seats, codes in and out, bad weights and bad codes."""

from __future__ import annotations

import asyncio
import shutil

import numpy as np
import pytest

from duplex.agents import open_agent
from duplex.checkpoint import BadFile, MissingFile, locate
from duplex.codec import open_codec
from duplex.config import ConfigError
from duplex.events import Answering, Took
from duplex.frame import Frame, silence
from duplex.notes import Commit, Say, Tool, TurnTaking
from duplex.session import Sampling, SessionConfig, Unsupported
from tests.engine.conftest import signal

SEEDED = Sampling(text_seed=3, audio_seed=4)


@pytest.fixture(scope="module")
def agent(tiny):
    made = open_agent("native", {"checkpoint": str(tiny), "seats": 2, "device": "cpu"})
    yield made
    asyncio.run(made.close())


async def test_capabilities_say_what_codes_are(agent, tiny):
    can = agent.capabilities
    assert (can.codebooks, can.cardinality, can.seats, can.full_duplex) == (4, 32, 2, True)
    assert len(can.codec) == 64


async def test_a_session_in_codes_says_what_a_session_in_pcm_says(agent, tiny):
    user = signal(1, 20)
    ear, mouth = (open_codec(locate(tiny), codebooks=4) for _ in range(2))
    spoken = await agent.open(SessionConfig(sampling=SEEDED))
    coded = await agent.open(SessionConfig(sampling=SEEDED, medium="codes"))
    for t, pcm in enumerate(user):
        by_pcm, by_codes = await asyncio.gather(spoken.step(Frame(t, pcm)), coded.step(Frame(t, codes=ear.encode(pcm))))
        assert by_codes.pcm is None and by_codes.codes.shape == (4,)
        assert by_codes.text == by_pcm.text
        np.testing.assert_allclose(mouth.decode(by_codes.codes), by_pcm.pcm, atol=1e-5)
    await spoken.close()
    await coded.close()


@pytest.mark.parametrize("codes", [[0, 0, 0], [0, 0, 0, 32], [0, 0, 0, -1]])
async def test_bad_codes_are_refused_and_the_session_goes_on(agent, codes):
    session = await agent.open(SessionConfig(medium="codes"))
    with pytest.raises(ValueError, match="4 codes of 0 to 31"):
        await session.step(Frame(0, codes=np.array(codes)))
    assert (await session.step(Frame(0, codes=np.zeros(4, np.int64)))).t == 0
    await session.close()


async def test_a_seeded_session_repeats_itself_and_another_seed_does_not(agent):
    async def run(seed: int) -> bytes:
        session = await agent.open(SessionConfig(sampling=Sampling(text_seed=seed, audio_seed=seed)))
        said = [(await session.step(Frame(t, pcm))).pcm.tobytes() for t, pcm in enumerate(signal(2, 12))]
        await session.close()
        return b"".join(said)

    first = await run(1)
    assert await run(1) == first
    assert await run(2) != first


@pytest.mark.parametrize("medium", ["pcm", "codes"])
async def test_a_session_that_asks_is_told_where_every_tick_went(agent, medium):
    session = await agent.open(SessionConfig(medium=medium, timings=True))
    for t in range(3):
        heard = silence(t) if medium == "pcm" else Frame(t, codes=np.zeros(4, np.int64))
        (took,) = (await session.step(heard)).events
        assert isinstance(took, Took) and took.queue_ms >= 0
        assert min(took.encode_ms, took.decode_ms) >= 0 and min(took.temporal_ms, took.depth_ms) > 0
    await session.close()
    unasked = await agent.open(SessionConfig(medium="codes"))
    assert (await unasked.step(Frame(0, codes=np.zeros(4, np.int64)))).events == ()
    await unasked.close()


@pytest.mark.parametrize("medium", ["pcm", "codes"])
async def test_given_words_are_voiced_one_after_the_other_and_then_the_model_goes_on(agent, medium):
    session = await agent.open(SessionConfig(medium=medium, sampling=Sampling(text_temperature=0.0)))
    neighbour = await agent.open(SessionConfig(sampling=SEEDED))

    async def text(t: int) -> str:
        heard = silence(t) if medium == "pcm" else Frame(t, codes=np.zeros(4, np.int64))
        said, beside = await asyncio.gather(session.step(heard), neighbour.step(silence(t)))
        besides.append(beside.pcm)
        return said.text

    besides = []
    before = [await text(t) for t in range(3)]
    await session.tell(Say("hello there"))
    await session.tell(Say("how are you"))
    said = "".join([await text(t) for t in range(3, 40)])
    assert len(before) == 3 and " hello there how are you" in said
    await session.close()
    await neighbour.close()
    alone = await agent.open(SessionConfig(sampling=SEEDED))
    for t, pcm in enumerate(besides):
        np.testing.assert_array_equal((await alone.step(silence(t))).pcm, pcm)
    await alone.close()


async def test_a_session_in_codes_is_not_attended_and_says_why(agent):
    for wish in ({"turns": TurnTaking()}, {"transcribe": True}, {"tools": (Tool("get_weather"),)}):
        with pytest.raises(Unsupported, match="in sound only"):
            await agent.open(SessionConfig(medium="codes", **wish))
    session = await agent.open(SessionConfig(medium="codes"))
    with pytest.raises(Unsupported, match="Commit only in a session of medium 'pcm'"):
        await session.tell(Commit())
    await session.close()


async def test_rules_that_it_cannot_keep_are_refused_and_take_no_seat(agent):
    for _ in range(agent.capabilities.seats + 1):
        with pytest.raises(Unsupported, match="decides by itself"):
            await agent.open(SessionConfig(turns=TurnTaking(respond=False)))
    await (await agent.open(SessionConfig())).close()


async def test_an_attended_session_reports_the_turns_of_both_sides(agent):
    session = await agent.open(SessionConfig(turns=TurnTaking(), sampling=SEEDED))
    said = [await session.step(Frame(t, pcm)) for t, pcm in enumerate(signal(5, 20))]
    plain = await agent.open(SessionConfig(sampling=SEEDED))
    for frame, pcm in zip(said, signal(5, 20), strict=True):
        alone = await plain.step(Frame(frame.t, pcm))
        np.testing.assert_array_equal(frame.pcm, alone.pcm)  # who attends changes nothing of what is said
        assert frame.text == alone.text and alone.events == ()
    kinds = [type(event) for frame in said for event in frame.events]
    assert kinds[0] is Answering  # random weights babble from the first moment on
    await session.close()
    await plain.close()


async def test_words_that_cannot_be_written_are_refused(agent):
    session = await agent.open(SessionConfig())
    with pytest.raises(Unsupported, match="Say: there is no word"):
        await session.tell(Say("..."))
    await session.close()


async def test_a_closed_session_cannot_step(agent):
    session = await agent.open(SessionConfig())
    await session.close()
    with pytest.raises(RuntimeError, match="closed"):
        await session.step(silence(0))


def test_truncated_weights_are_named(tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "cut")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadFile, match=r"model\.safetensors"):
        open_agent("native", {"checkpoint": str(folder)})


def test_missing_weights_are_named(tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "gone")
    (folder / "mimi.safetensors").unlink()
    with pytest.raises(MissingFile, match=r"mimi\.safetensors"):
        open_agent("native", {"checkpoint": str(folder)})


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"seat": 8}, "valid keys: .*seats"), ({"seats": 0}, "at least 1"), ({"checkpoint": "mimi"}, "is no Moshi")],
)
def test_bad_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        open_agent("native", settings)
