"""What other people's clients ask of the cascade: who ends a turn, when it is answered, what is remembered, tools."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from duplex.agents.cascade.agent import CascadeAgent, Stages
from duplex.agents.cascade.config import CascadeConfig
from duplex.agents.cascade.listening import finished
from duplex.agents.cascade.tools import Call
from duplex.config import from_dict
from duplex.events import Answered, Answering, Interrupted, SpeechStarted, SpeechStopped, ToolCall, Transcript
from duplex.frame import SAMPLE_RATE, Frame
from duplex.notes import (
    Commit,
    Discard,
    Heard,
    Hush,
    Image,
    Note,
    Remember,
    Respond,
    Rewrite,
    Tool,
    ToolResult,
    TurnTaking,
    TypedText,
    UseTools,
    UseVoice,
)
from duplex.session import SessionConfig, Unsupported
from tests.cascade.fakes import (
    FakeLlm,
    FakeStt,
    FakeTts,
    InPlace,
    events,
    fake_cascade,
    loud,
    loud_ticks,
    on_a_jumping_clock,
    play,
    talk,
    text,
)

WEATHER = Tool("get_weather", "the weather in a city")
TURNS = (SpeechStarted, SpeechStopped, Transcript, Answering, Interrupted, Answered, ToolCall)


@dataclass
class Chooser(FakeLlm):
    """Calls the weather for everything that holds the word."""

    chosen: list[Any] = field(default_factory=list)

    async def choose(self, messages: list[Any], tools: tuple[Tool, ...], choice: str) -> Call | None:
        self.chosen.append((messages[-1]["content"], tuple(tool.name for tool in tools), choice))
        return Call("get_weather", '{"city": "Rome"}') if "weather" in messages[-1]["content"] else None


def told(
    frames: list[Frame],
    *notes: tuple[int, Note],
    rules: TurnTaking | None = None,
    tools: tuple[Tool, ...] = (),
    **how: Any,
) -> list[Frame]:
    """A whole session; each note is told before the tick with its number."""

    async def main() -> list[Frame]:
        agent = fake_cascade(now=asyncio.get_running_loop().time, **{"persona": "Be kind.", **how})
        session = await agent.open(SessionConfig(turns=rules or TurnTaking(), tools=tools))
        said = []
        for heard in frames:
            for t, note in notes:
                if t == heard.t:
                    await session.tell(note)
            said.append(await session.step(heard))
        await agent.close()
        return said

    return on_a_jumping_clock(main())


def story(said: list[Frame]) -> list[str]:
    """The turns of both sides, in order."""
    return [type(e).__name__ + getattr(e, "why", "") for f in said for e in f.events if isinstance(e, TURNS)]


# --- who ends a turn --------------------------------------------------------------------------------------------------


def test_a_turn_and_its_answer_are_told_in_order() -> None:
    said = told(talk((400, 1_200), until_ms=5_000), stt=FakeStt(text="Hello."))
    assert story(said) == ["SpeechStarted", "SpeechStopped", "Answering", "Transcript", "Answeredcompleted"]
    ((begun, _),), ((over, _),) = events(said, Answering), events(said, Answered)
    assert begun <= loud_ticks(said)[0] and over >= loud_ticks(said)[-1]


def test_whoever_did_not_ask_is_not_told() -> None:
    async def main() -> list[Frame]:
        agent = fake_cascade(now=asyncio.get_running_loop().time)
        session = await agent.open(SessionConfig())
        said = [await session.step(heard) for heard in talk((400, 1_200), until_ms=3_000)]
        await agent.close()
        return said

    said = on_a_jumping_clock(main())
    assert events(said, SpeechStopped) and not events(said, Answering) and not events(said, Answered)


def test_an_interruption_is_told_in_order() -> None:
    said = told(talk((400, 1_200), (2_400, 3_000), until_ms=6_000), stt=FakeStt(text="Hello."))
    assert story(said)[4:8] == ["SpeechStarted", "Interrupted", "Answeredinterrupted", "SpeechStopped"]


def test_the_agent_may_be_told_to_go_on_through_the_users_speech() -> None:
    frames = talk((400, 1_200), (1_900, 2_200), until_ms=8_000)
    said = told(frames, rules=TurnTaking(interrupt=False, respond=True), stt=FakeStt(text="Hello."))
    started = events(said, SpeechStarted)[1][0]
    assert {started + 1, started + 2, started + 3} <= set(loud_ticks(said))


def test_push_to_talk_hears_everything_between_commits_and_answers_when_asked() -> None:
    stt, frames = FakeStt(), talk((400, 800), (2_000, 2_400), until_ms=8_000)
    said = told(frames, (40, Commit()), (60, Respond()), rules=TurnTaking(detect=False), stt=stt)
    assert stt.turns == [pytest.approx(41 * 0.08, abs=0.04)], "pauses belong to the turn"
    assert story(said) == ["Transcript", "Answering", "Answeredcompleted"]
    assert events(said, Transcript)[0][0] < 60 <= events(said, Answering)[0][0] <= loud_ticks(said)[0]


def test_what_is_discarded_is_not_part_of_the_turn() -> None:
    stt = FakeStt()
    told(talk((0, 3_000), until_ms=4_000), (20, Discard()), (30, Commit()), rules=TurnTaking(detect=False), stt=stt)
    assert stt.turns == [pytest.approx(10 * 0.08, abs=0.04)]


def test_a_commit_of_nothing_is_nothing() -> None:
    said = told(talk(until_ms=2_000), (10, Commit()))
    assert story(said) == []


def test_a_turn_may_be_understood_without_being_answered() -> None:
    llm = FakeLlm()
    said = told(talk((400, 1_200), until_ms=4_000), rules=TurnTaking(respond=False), stt=FakeStt(text="Hi."), llm=llm)
    assert story(said) == ["SpeechStarted", "SpeechStopped", "Transcript"] and not llm.asked


def test_silence_ends_a_turn_as_late_as_the_client_says() -> None:
    late = told(talk((400, 1_200), until_ms=5_000), rules=TurnTaking(stop_ms=1_200))
    ((stopped, edge),) = events(late, SpeechStopped)
    assert stopped * 0.08 - edge.sample / SAMPLE_RATE == pytest.approx(1.2, abs=0.1)
    early = told(talk((400, 1_200), (1_800, 2_400), until_ms=5_000), (10, TurnTaking(stop_ms=1_200)))
    assert len(events(early, SpeechStopped)) == 1, "new rules hold for a turn that has begun"


@pytest.mark.parametrize(("words", "waited_s"), [("What time is it?", 0.3), ("I would like to", 4.0)])
def test_an_unfinished_sentence_is_waited_for(words: str, waited_s: float) -> None:
    said = told(talk((400, 1_200), until_ms=8_000), rules=TurnTaking(wait_ms=4_000), stt=FakeStt(text=words))
    ((stopped, _),) = events(said, SpeechStopped)
    assert stopped * 0.08 - 1.2 == pytest.approx(waited_s, abs=0.2)


@pytest.mark.parametrize("words", ["What's the weather in Paris?", "Yes.", "Thank you", "Tell me a joke!"])
def test_whole_sentences(words: str) -> None:
    assert finished(words)


@pytest.mark.parametrize("words", ["", "I want to", "Well, um", "My name is...", "First,", "Tell me about the"])
def test_parts_of_sentences(words: str) -> None:
    assert not finished(words)


# --- notes ------------------------------------------------------------------------------------------------------------


def test_hush_stops_the_answer_and_only_what_was_voiced_is_remembered() -> None:
    llm = FakeLlm()
    said = told(talk(until_ms=4_000), (2, TypedText("Hi.")), (6, Hush()), (20, TypedText("And?")), llm=llm)
    assert story(said)[:2] == ["Answering", "Answeredcancelled"]
    assert not set(loud_ticks(said)) & set(range(8, 20))
    spoken = llm.asked[1][2]["content"]
    assert spoken and llm.text.startswith(spoken) and spoken != llm.text


def test_what_the_user_did_not_hear_is_forgotten() -> None:
    llm = FakeLlm()
    told(talk(until_ms=4_000), (2, TypedText("Hi.")), (30, Heard("One two")), (31, TypedText("And?")), llm=llm)
    assert [m["content"] for m in llm.asked[1]] == ["Be kind.", "Hi.", "One two", "And?"]
    told(talk(until_ms=4_000), (2, TypedText("Hi.")), (30, Heard("")), (31, TypedText("And?")), llm=llm)
    assert [m["content"] for m in llm.asked[3]] == ["Be kind.", "Hi. And?"]


def test_what_was_said_elsewhere_is_known_and_answered_only_when_asked() -> None:
    llm = FakeLlm()
    lines = (Remember("user", "My name is Ada."), Remember("assistant", "Hello Ada."))
    said = told(
        talk(until_ms=4_000), (2, Rewrite(lines)), (3, Remember("user", "And me?")), (9, Respond("Be short.")), llm=llm
    )
    assert [m["content"] for m in llm.asked[0]] == ["Be short.", "My name is Ada.", "Hello Ada.", "And me?"]
    assert events(said, Answering)[0][0] == 9 and text(said) == llm.text


def test_one_answer_at_a_time() -> None:
    llm = FakeLlm()
    said = told(talk(until_ms=3_000), (2, Respond()), (4, Respond()), llm=llm)
    assert story(said) == ["Answering", "Answeredcompleted"] and len(llm.asked) == 1


async def test_what_the_cascade_cannot_do_is_said() -> None:
    session = await fake_cascade().open(SessionConfig())
    with pytest.raises(Unsupported, match="no voice 'marin'; cascade has heart, other"):
        await session.tell(UseVoice("marin"))
    with pytest.raises(Unsupported, match="an Image needs a language model that sees: set url"):
        await session.tell(Image(b"x", "image/png"))


def test_pictures_reach_a_model_that_takes_them() -> None:
    llm = FakeLlm()

    async def main() -> None:
        stages = Stages(loud, FakeStt(), llm, FakeTts())
        config = from_dict(CascadeConfig, {"llm": {"url": "http://127.0.0.1:1/v1", "images": True}})
        agent = CascadeAgent(config, stages, asyncio.get_running_loop().time, InPlace())
        assert agent.capabilities.images
        session = await agent.open(SessionConfig())
        for note in (Image(b"\x89PNG", "image/png"), Remember("user", "What is it?"), Respond()):
            await session.tell(note)
        await play(session, talk(until_ms=1_000))
        await agent.close()

    on_a_jumping_clock(main())
    shown, asked = llm.asked[0][1:]
    assert shown["content"][0]["image_url"]["url"] == "data:image/png;base64,iVBORw=="
    assert asked == {"role": "user", "content": "What is it?"}


# --- tools ------------------------------------------------------------------------------------------------------------


def test_a_tool_is_called_and_its_result_spoken() -> None:
    llm = Chooser(text="It is sunny in Rome.")
    said = told(
        talk((400, 1_200), until_ms=8_000),
        (40, ToolResult("call_1", '{"sky": "sunny"}')),
        (41, Respond()),
        tools=(WEATHER,),
        stt=FakeStt(text="What is the weather in Rome?"),
        llm=llm,
    )
    assert story(said) == [
        "SpeechStarted", "SpeechStopped", "Answering", "Transcript", "ToolCall", "Answeredcompleted",
        "Answering", "Answeredcompleted",
    ]  # fmt: skip
    assert [e for _, e in events(said, ToolCall)] == [ToolCall("call_1", "get_weather", '{"city": "Rome"}')]
    assert text(said) == llm.text and loud_ticks(said)[0] >= 41
    assert "sunny" in llm.asked[0][-1]["content"] and len(llm.chosen) == 1, "a result is no request"
    assert llm.prepared == 1, "before they are first needed"


@pytest.mark.parametrize("tools", [UseTools(()), UseTools((WEATHER,), "none")])
def test_without_tools_nobody_asks_for_them(tools: UseTools) -> None:
    llm = Chooser()
    said = told(talk(until_ms=3_000), (2, tools), (3, TypedText("How is the weather?")), tools=(WEATHER,), llm=llm)
    assert not llm.chosen and text(said) == llm.text


def test_a_call_has_a_name_of_its_own() -> None:
    notes = ((2, TypedText("weather")), (12, TypedText("weather")))
    said = told(talk(until_ms=3_000), *notes, tools=(WEATHER,), llm=Chooser())
    assert [e.call_id for _, e in events(said, ToolCall)] == ["call_1", "call_2"]
    assert not np.concatenate([f.pcm for f in said if f.pcm is not None]).any()
