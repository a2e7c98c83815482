"""The scripted agent tells its turns to whoever asks for it; and the tones that it is asked with."""

from __future__ import annotations

from pathlib import Path

import pytest

from duplex.agents import open_agent
from duplex.events import Answered, Answering, Interrupted, SpeechStarted, SpeechStopped
from duplex.frame import FRAME_SAMPLES, Event, frames_of
from duplex.notes import Commit, TurnTaking
from duplex.session import SessionConfig, Unsupported
from eval.here import play_here
from eval.measure import measure
from eval.scenario import Scenario, facts_of
from eval.suites import scenarios_of

TURNS = SessionConfig(turns=TurnTaking())


@pytest.fixture(scope="module")
def asked() -> list[Scenario]:
    return list(scenarios_of("tones", 3, 2.0))


async def test_its_turns_are_told_in_order(asked: list[Scenario]) -> None:
    agent = open_agent("scripted", {"reply_ms": 8000})
    session = await agent.open(TURNS)
    told = [(heard.t, event) for heard in frames_of(asked[0].pcm) for event in (await session.step(heard)).events]
    with pytest.raises(Unsupported, match="Commit"):
        await session.tell(Commit())
    await session.close()
    await agent.close()
    kinds = [type(event) for _, event in told]
    turn = [SpeechStarted, SpeechStopped, Answering]
    assert kinds == [*turn, SpeechStarted, Interrupted, Answered, *turn[1:]]
    for t, event in told:
        if isinstance(event, (SpeechStarted, SpeechStopped)):
            assert event.sample < (t + 1) * FRAME_SAMPLES
    assert [event.why for _, event in told if isinstance(event, Answered)] == ["interrupted"]


async def test_an_answer_ends_with_its_sound(asked: list[Scenario]) -> None:
    session = await open_agent("scripted", {"reply_ms": 400}).open(TURNS)
    said = [await session.step(heard) for heard in frames_of(asked[1].pcm)]
    over = [frame for frame in said if Answered("completed") in frame.events]
    assert len(over) == 2 and all(frame.pcm is not None and not frame.pcm[-2:].any() for frame in over)
    assert all(said[frame.t - 1].pcm.any() for frame in over)


async def test_tones_are_met_as_the_agent_is_set_to(tmp_path: Path) -> None:
    settings = {"respond_after_ms": 240, "stop_after_ms": 160, "reply_ms": 8000}
    for recording in await play_here(tmp_path, "scripted", "tones", 3, 2.0, settings=settings):
        found = measure(recording, facts_of(recording.meta)).values
        hop_ms = 10 + 3  # in which the agent hears
        assert found["response_latency_ms"] == [pytest.approx(240 + 80, abs=hop_ms)] * 2
        assert found["stop_latency_ms"] == [pytest.approx(160 + 80, abs=hop_ms)]


async def test_whoever_does_not_ask_is_told_no_turns(asked: list[Scenario]) -> None:
    told = [await events(config, asked[0]) for config in (SessionConfig(), TURNS)]
    of_turns = (SpeechStarted, SpeechStopped, Answering, Answered)
    assert [type(event) for event in told[0]] == [Interrupted]
    assert {type(event) for event in told[1]} == {*of_turns, Interrupted}


async def events(config: SessionConfig, asked: Scenario) -> list[Event]:
    session = await open_agent("scripted", {"reply_ms": 8000}).open(config)
    return [event for heard in frames_of(asked.pcm) for event in (await session.step(heard)).events]


def test_tones_begin_at_no_frames_edge(asked: list[Scenario]) -> None:
    edges = {edge % FRAME_SAMPLES for one in asked for event in one.facts.events for edge in (event.begin, event.end)}
    assert len(edges) == 12 and all(abs(one.pcm[one.facts.events[0].begin]) > 0.2 for one in asked)
