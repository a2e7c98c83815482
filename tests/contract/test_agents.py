"""The contract of duplex/session.py, clause by clause, for every agent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import get_args

import numpy as np
import pytest

from duplex.frame import FRAME_SAMPLES, Frame, frames_of, silence
from duplex.notes import (
    Commit,
    Discard,
    Heard,
    Hush,
    Image,
    Instruct,
    Note,
    Remember,
    Respond,
    Rewrite,
    Say,
    Tool,
    ToolResult,
    TurnTaking,
    TypedText,
    UseTools,
    UseVoice,
)
from duplex.session import Agent, AtCapacity, Sampling, Session, SessionConfig, Unsupported
from tests.contract.conftest import Candidate

NOTES = [
    Say("Well."),
    TypedText("Hi."),
    Remember("user", "My name is Ada."),
    Rewrite((Remember("user", "Hello."), Remember("assistant", "Hi."))),
    Heard("Hel"),
    Commit(),
    Discard(),
    Respond(),
    Hush(),
    Instruct("Be brief."),
    UseVoice("heart"),
    Image(b"\x89PNG", "image/png"),
    ToolResult("1", "ok"),
    UseTools((Tool("get_weather"),)),
    TurnTaking(stop_ms=300),
]
SEEDED = SessionConfig(sampling=Sampling(text_seed=1, audio_seed=2))
AT_ONCE_S = 1.0  # "at once" is not a speed, but it is no wait for a seat either


@asynccontextmanager
async def opened(agent: Agent, config: SessionConfig = SEEDED) -> AsyncIterator[Session]:
    session = await agent.open(config)
    try:
        yield session
    finally:
        await session.close()


async def replies(session: Session, frames: list[Frame]) -> list[Frame]:
    return [await session.step(frame) for frame in frames]


def content(said: list[Frame]) -> list[tuple[int, str, str, bytes]]:
    return [(f.t, f.text, repr(f.events), f.pcm.tobytes() if f.pcm is not None else b"") for f in said]


def test_every_kind_of_note_is_tried() -> None:
    assert {type(note) for note in NOTES} == set(get_args(Note))


async def test_one_frame_of_finite_samples_comes_out_in_the_tick_of_every_frame_in(
    agent: Agent, dialogue: list[Frame]
) -> None:
    async with opened(agent) as session:
        said = await replies(session, dialogue)
    assert [frame.t for frame in said] == [frame.t for frame in dialogue]
    for frame in said:
        assert frame.pcm is not None and frame.pcm.shape == (FRAME_SAMPLES,) and frame.pcm.dtype == np.float32
        assert np.isfinite(frame.pcm).all() and np.abs(frame.pcm).max() <= 1.5


async def test_the_agent_says_something(agent: Agent, dialogue: list[Frame]) -> None:
    async with opened(agent) as session:
        said = await replies(session, dialogue)
    assert max(np.abs(frame.pcm).max() for frame in said if frame.pcm is not None) > 0.05


@pytest.mark.parametrize("t", [0, 9, 30])
async def test_what_is_said_depends_on_nothing_heard_later(
    agent: Agent, candidate: Candidate, dialogue: list[Frame], t: int
) -> None:
    if candidate.timed:
        t = 0  # before its first answer nothing depends on how long the work takes
    noise = np.random.default_rng(0).normal(0, 0.1, FRAME_SAMPLES).astype(np.float32)
    changed = [frame if frame.t <= t else Frame(frame.t, noise) for frame in dialogue[: t + 6]]
    async with opened(agent) as session:
        before = content(await replies(session, dialogue[: t + 6]))
    async with opened(agent) as session:
        after = content(await replies(session, changed))
    assert before[: t + 1] == after[: t + 1]


async def test_silence_is_legal_for_ever(agent: Agent) -> None:
    async with opened(agent) as session:
        said = await replies(session, [silence(t) for t in range(300)])
    assert [frame.t for frame in said] == list(range(300))


async def test_a_wrong_tick_is_refused_and_the_session_goes_on(agent: Agent) -> None:
    async with opened(agent) as session:
        for wrong, right in ((1, 0), (0, 1), (5, 2), (-1, 3)):
            with pytest.raises(ValueError, match=str(wrong)):
                await session.step(silence(wrong))
            assert (await session.step(silence(right))).t == right


async def test_a_frame_of_the_wrong_medium_is_refused_and_the_session_goes_on(agent: Agent) -> None:
    async with opened(agent) as session:
        with pytest.raises(ValueError, match="pcm"):
            await session.step(Frame(0, codes=np.zeros(8, np.int64)))
        assert (await session.step(silence(0))).t == 0


@pytest.mark.parametrize("note", NOTES, ids=lambda note: type(note).__name__)
async def test_a_note_is_honoured_or_refused_with_the_reason(agent: Agent, note: Note) -> None:
    async with opened(agent) as session:
        await session.step(silence(0))
        if isinstance(note, agent.capabilities.notes):
            await session.tell(note)
        else:
            with pytest.raises(Unsupported, match=type(note).__name__):
                await session.tell(note)
        assert [frame.t for frame in await replies(session, [silence(t) for t in range(1, 20)])] == list(range(1, 20))


async def test_closing_twice_is_fine_and_frees_one_seat(agent: Agent) -> None:
    seats = agent.capabilities.seats
    sessions = [await agent.open(SessionConfig()) for _ in range(seats)]
    await sessions[0].close()
    await sessions[0].close()
    sessions.append(await agent.open(SessionConfig()))
    with pytest.raises(AtCapacity):
        await agent.open(SessionConfig())
    for session in sessions:
        await session.close()


async def test_a_full_agent_refuses_at_once_and_says_how_many_seats_it_has(agent: Agent) -> None:
    seats = agent.capabilities.seats
    sessions = [await agent.open(SessionConfig()) for _ in range(seats)]
    for _ in range(2):
        with pytest.raises(AtCapacity, match=str(seats)):
            await asyncio.wait_for(agent.open(SessionConfig()), AT_ONCE_S)
    for session in sessions:
        await session.close()
    async with opened(agent):
        pass


async def test_what_it_lacks_is_refused_and_takes_no_seat(agent: Agent) -> None:
    can = agent.capabilities
    lacks = [SessionConfig(voice="nobody's"), SessionConfig(language="tlh")]
    lacks += [] if can.persona else [SessionConfig(persona="Be kind.")]
    lacks += [] if can.codebooks else [SessionConfig(medium="codes")]
    for config in lacks * can.seats:
        with pytest.raises(Unsupported, match=can.name):
            await agent.open(config)
    sessions = [await agent.open(SessionConfig()) for _ in range(can.seats)]
    for session in sessions:
        await session.close()


async def test_what_it_offers_it_opens(agent: Agent) -> None:
    can = agent.capabilities
    offers = [SessionConfig(voice=voice) for voice in can.voices]
    offers += [SessionConfig(language=language) for language in can.languages]
    offers += [SessionConfig(persona="Be kind.")] if can.persona else []
    for config in offers:
        async with opened(agent, config) as session:
            assert (await session.step(silence(0))).t == 0


async def test_sessions_do_not_disturb_each_other(agent: Agent, candidate: Candidate, dialogue: list[Frame]) -> None:
    """One hears the dialogue while the other hears it half a second later; each says what it says alone."""
    late = list(frames_of(np.concatenate([np.zeros(12_000), *[f.pcm for f in dialogue if f.pcm is not None]])))
    async with opened(agent) as session:
        alone = await replies(session, dialogue)
    async with opened(agent) as one, opened(agent) as other:
        pairs = [await asyncio.gather(one.step(a), other.step(b)) for a, b in zip(dialogue, late, strict=False)]
    together = [said for said, _ in pairs]
    if candidate.timed:  # how long the work takes differs, so only what was said can be compared
        assert words(together).split()[:4] == words(alone).split()[:4] != []
    else:
        assert content(together) == content(alone)


def words(said: list[Frame]) -> str:
    return "".join(frame.text for frame in said).strip()


async def test_a_session_that_is_abandoned_in_mid_answer_leaves_nothing_behind(
    agent: Agent, dialogue: list[Frame]
) -> None:
    for cut in (25, 45, 50):
        async with opened(agent) as session:
            await replies(session, dialogue[:cut])
    async with opened(agent) as session:
        said = await replies(session, [silence(t) for t in range(3)])
    assert [frame.t for frame in said] == [0, 1, 2]
