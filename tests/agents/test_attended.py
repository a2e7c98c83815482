"""A full-duplex model that is attended: a row that follows a script, a loud or silent user, stages without models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from duplex.agents.aside import Aside, AsideConfig
from duplex.agents.attended import NOTES, AttendedSession
from duplex.agents.cascade.memory import Message
from duplex.events import Answered, Answering, Failed, Interrupted, SpeechStarted, SpeechStopped, ToolCall, Transcript
from duplex.frame import FRAME_SAMPLES, Event, Frame, silence
from duplex.notes import (
    Commit,
    Discard,
    Heard,
    Hush,
    Instruct,
    Note,
    Respond,
    Say,
    Tool,
    ToolResult,
    TurnTaking,
    UseTools,
)
from duplex.session import Capabilities, SessionConfig, Unsupported
from tests.cascade.fakes import FakeLlm, FakeStt, InPlace, loud, on_a_jumping_clock, talk

CAN = Capabilities("native", notes=NOTES, tools=True)
TURNS = SessionConfig(turns=TurnTaking())
WEATHER = (Tool("get_weather"),)
Script = Callable[[int], tuple[float, str]]  # tick -> loudness, words


class ScriptedRow:
    """Says what `script` says at every tick: a loudness and words. Given words are said whole, in the next tick."""

    def __init__(self, script: Script) -> None:
        self.script, self.given, self.said = script, list[str](), list[str]()
        self.muted: list[bool] = []
        self.lag = self._waits = 0
        self.dropped = self.closed = 0

    async def step(self, heard: Frame) -> Frame:
        level, text = self.script(heard.t)
        self._waits = self._waits + 1 if self.given else 0
        if self._waits > self.lag:
            level, text = 0.1, " " + self.given.pop(0)
        return Frame(heard.t, np.full(FRAME_SAMPLES, level, np.float32), text=text)

    def say(self, text: str) -> None:
        if text == "...":
            raise Unsupported("no word")
        self.given.append(text)
        self.said.append(text)

    def drop(self) -> None:
        self.dropped += 1

    def mute(self, on: bool) -> None:
        self.muted.append(on)

    async def close(self) -> None:
        self.closed += 1


class ChoosingLlm(FakeLlm):
    """Calls the tool whose name is in the user's last words."""

    async def choose(self, messages: list[Message], tools: tuple[Tool, ...], choice: str) -> Any:
        from duplex.agents.cascade.tools import Call

        self.asked.append(messages)
        name = next((tool.name for tool in tools if tool.name.split("_")[-1] in messages[-1]["content"]), None)
        return Call(name, '{"city": "Oslo"}') if name else None


def speaks(*spans: tuple[int, int]) -> Script:
    """Loud in each [begin, end) of ticks, a word at each begin."""

    def script(t: int) -> tuple[float, str]:
        begins = any(t == begin for begin, _ in spans)
        return (0.1 if any(begin <= t < end for begin, end in spans) else 0.0), " well" if begins else ""

    return script


def aside_of(stt: Any = None, llm: Any = None) -> Aside:
    stages = {"ear": lambda: loud, "stt": lambda: stt or FakeStt(text="Hello."), "llm": lambda: llm or ChoosingLlm()}
    made = Aside(AsideConfig(), stages, InPlace())
    made._load(("ear", "stt", "llm"))  # here and now: a clock that jumps waits for no thread
    return made


SILENT = speaks()


class Scene:
    """A conversation, played to the end."""

    def __init__(self, script: Script = SILENT, wish: SessionConfig = TURNS, **stages: Any):
        self.row, self._wish, self._stages = ScriptedRow(script), wish, stages
        self.said: list[Frame] = []

    def play(
        self, frames: list[Frame], notes: dict[int, list[Note]] | None = None, clocked: bool = False, lag: int = 0
    ) -> Scene:
        """`notes` are told before the frame of their tick; `clocked`: work takes its time; `lag`: of given words."""
        self.row.lag = lag

        async def main() -> None:
            now = asyncio.get_running_loop().time if clocked else lambda: 0.0
            session = AttendedSession(self.row, CAN, self._wish, aside_of(**self._stages), now)
            await session.prepare()
            for heard in frames:
                for note in (notes or {}).get(heard.t, []):
                    await session.tell(note)
                self.said.append(await session.step(heard))
            await session.close()
            await session.close()

        on_a_jumping_clock(main())
        return self

    @property
    def events(self) -> list[Event]:
        return [event for frame in self.said for event in frame.events]

    def ticks(self, kind: type[Event]) -> list[int]:
        return [frame.t for frame in self.said for event in frame.events if isinstance(event, kind)]

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def loud(self) -> list[int]:
        return [frame.t for frame in self.said if frame.pcm is not None and np.abs(frame.pcm).max() > 1e-3]


def quiet(ticks: int) -> list[Frame]:
    return [silence(t) for t in range(ticks)]


def test_a_plain_session_is_the_row_itself():
    scene = Scene(speaks((3, 6)), SessionConfig()).play(quiet(20), {4: [Heard("well"), Respond()]})
    assert scene.events == [] and scene.loud() == [3, 4, 5] and scene.row.closed == 2


def test_a_turn_and_its_answer():
    """The user speaks from 400 to 1200 ms, that is certain 448 ms later; the model answers from 2,000 ms on."""
    scene = Scene(speaks((25, 30)), SessionConfig(turns=TurnTaking(), transcribe=True)).play(
        talk((400, 1200), until_ms=5000)
    )
    assert scene.kinds() == ["SpeechStarted", "SpeechStopped", "Transcript", "Answering", "Answered"]
    started, stopped = scene.events[:2]
    assert isinstance(started, SpeechStarted) and isinstance(stopped, SpeechStopped)
    assert abs(started.sample - 9_600) < 1_600 and abs(stopped.sample - 28_800) < 1_600
    assert scene.events[2] == Transcript("Hello.") and scene.events[-1] == Answered("completed")
    assert scene.ticks(Answering) == [25] and scene.ticks(Answered) == [37]  # 640 ms after the last sound


def test_an_agent_that_answers_at_once_ends_the_turn_first():
    scene = Scene(speaks((18, 24))).play(talk((400, 1200), until_ms=4000))
    assert scene.kinds() == ["SpeechStarted", "SpeechStopped", "Answering", "Answered"]
    assert scene.ticks(SpeechStopped) == scene.ticks(Answering) == [18]


def test_an_agent_that_falls_silent_when_the_user_speaks_was_interrupted():
    scene = Scene(speaks((5, 20), (45, 50))).play(talk((1200, 2400), until_ms=6000))
    assert scene.kinds() == [
        *("Answering", "SpeechStarted", "Interrupted", "Answered", "SpeechStopped", "Answering", "Answered")
    ]
    assert scene.events[2] == Interrupted("well") and scene.events[3] == Answered("interrupted")
    assert scene.row.dropped == 1  # words that it was given are not pressed on
    assert scene.ticks(Answered)[0] < 26


def test_an_agent_that_goes_on_was_not_interrupted():
    scene = Scene(speaks((5, 40))).play(talk((1200, 2000), until_ms=8000))
    assert Answered("interrupted") not in scene.events and scene.events.count(Answered("completed")) == 2
    assert scene.ticks(Answered)[1] >= 40 + 3_000 / 80  # it owed an answer to what was said, and had none


def test_a_turn_that_is_not_answered_is_answered_with_nothing():
    scene = Scene().play(talk((400, 1200), until_ms=6000))
    assert scene.kinds() == ["SpeechStarted", "SpeechStopped", "Answering", "Answered"]
    assert scene.ticks(Answered)[0] - scene.ticks(SpeechStopped)[0] == pytest.approx(3_000 / 80, abs=1)


def test_a_user_who_goes_on_is_told_that_the_answer_to_his_first_words_is_off():
    scene = Scene(speaks((60, 65))).play(talk((400, 1200), (2400, 3200), until_ms=7000))
    assert [e for e in scene.events if isinstance(e, Answered)] == [Answered("interrupted"), Answered("completed")]
    assert scene.kinds().count("SpeechStopped") == scene.kinds().count("Answering") == 2


def test_given_words_are_an_answer():
    scene = Scene().play(quiet(30), {5: [Say("hello there")]})
    assert scene.kinds() == ["Answering", "Answered"] and scene.ticks(Answering) == [5]
    assert "".join(frame.text for frame in scene.said) == " hello there"


def test_hush_keeps_the_rest_of_the_utterance_from_the_user_and_no_more():
    scene = Scene(speaks((5, 20), (40, 45))).play(quiet(70), {10: [Hush()]})
    assert scene.events == [Answering(), Answered("cancelled"), Answering(), Answered("completed")]
    assert scene.loud() == [*range(5, 10), *range(40, 45)]
    assert scene.row.muted[0] is True and scene.row.muted[-1] is False


def test_hush_drops_an_answer_that_was_owed_and_is_nothing_otherwise():
    owed = Scene().play(talk((400, 1200), until_ms=6000), {25: [Hush()]})
    assert owed.events[-2:] == [Answering(), Answered("cancelled")] and owed.kinds().count("Answered") == 1
    assert Scene().play(quiet(60), {5: [Hush()]}).events == []


def test_words_given_after_a_hush_are_heard():
    scene = Scene(speaks((5, 30))).play(quiet(60), {10: [Hush()], 15: [Say("sorry")]})
    assert [type(e) for e in scene.events] == [Answering, Answered, Answering, Answered]
    assert scene.loud() == [*range(5, 10), *range(15, 30)]


def test_push_to_talk():
    wish = SessionConfig(turns=TurnTaking(detect=False), transcribe=True)
    scene = Scene(speaks((40, 45)), wish).play(talk((400, 1200), until_ms=6000), {20: [Commit(), Respond()]})
    assert scene.kinds() == ["SpeechStopped", "Transcript", "Answering", "Answered"]
    assert scene.ticks(SpeechStopped) == [20]
    unsaid = Scene(wish=wish).play(talk((400, 1200), until_ms=6000), {20: [Discard()]})
    assert unsaid.events == []


def test_commit_ends_a_turn_and_who_then_asks_gets_at_least_nothing():
    scene = Scene().play(talk((400, 1200), until_ms=2000) + [silence(t) for t in range(25, 80)], {12: [Commit()]})
    assert scene.ticks(SpeechStopped)[0] == 12
    asked = Scene().play(quiet(60), {3: [Respond()]})
    assert asked.kinds() == ["Answering", "Answered"]


def test_rules_may_change_and_a_plain_session_begins_to_attend():
    scene = Scene(wish=SessionConfig()).play(talk((400, 1200), until_ms=4000), {1: [TurnTaking(stop_ms=800)]})
    stopped = scene.ticks(SpeechStopped)[0]
    assert stopped * 80 >= 1200 + 800 - 80 and scene.ticks(SpeechStarted) != []


@pytest.mark.parametrize("rules", [TurnTaking(respond=False), TurnTaking(interrupt=False)])
def test_that_moshi_decides_cannot_be_changed(rules):
    with pytest.raises(Unsupported, match="decides by itself"):
        Scene(wish=SessionConfig(turns=rules)).play([])
    with pytest.raises(Unsupported, match="decides by itself"):
        Scene().play(quiet(3), {1: [rules]})


def test_other_notes_are_refused():
    with pytest.raises(Unsupported, match="cannot take Instruct"):
        Scene().play(quiet(3), {1: [Instruct("Be kind.")]})


def test_without_speech_there_is_no_transcript_and_a_failing_stage_is_told():
    class Broken(FakeStt):
        async def transcribe(self, pcm: np.ndarray) -> str:
            raise RuntimeError("out of memory")

    wish = SessionConfig(turns=TurnTaking(), transcribe=True)
    frames = talk((400, 1200), until_ms=3000)
    assert "Transcript" not in Scene(wish=wish, stt=FakeStt(text="")).play(frames).kinds()
    assert Failed("stt", "out of memory") in Scene(wish=wish, stt=Broken()).play(frames).events


def with_tools(text: str, llm: ChoosingLlm | None = None) -> dict[str, Any]:
    wish = SessionConfig(turns=TurnTaking(), transcribe=True, tools=WEATHER)
    return {"wish": wish, "stt": FakeStt(text=text), "llm": llm or ChoosingLlm(text="It rains in Oslo.")}


def test_a_tool_is_called_and_its_result_voiced():
    scene = Scene(**with_tools("What is the weather in Oslo?"))
    scene.play(talk((400, 1200), until_ms=6000), {40: [ToolResult("call_1", "rain")], 42: [Respond()]})
    assert scene.kinds() == [
        *("SpeechStarted", "SpeechStopped", "Transcript", "Answering", "ToolCall", "Answered", "Answering", "Answered")
    ]
    assert ToolCall("call_1", "get_weather", '{"city": "Oslo"}') in scene.events
    assert scene.row.said == ["It rains in Oslo."] and scene.ticks(Answering)[1] >= 42


def test_an_answer_that_took_long_to_word_is_not_called_empty_before_it_sounds():
    """The row voices given words some ticks later, and the language model needs longer than an answer is waited for."""
    scene = Scene(**with_tools("What is the weather?", ChoosingLlm(first_s=5.0, text="It rains in Oslo.")))
    scene.play(talk((400, 1200), until_ms=12_000), {40: [ToolResult("call_1", "rain"), Respond()]}, clocked=True, lag=3)
    assert scene.row.said == ["It rains in Oslo."]
    assert scene.kinds()[-2:] == ["Answering", "Answered"] and scene.kinds().count("Answering") == 2


def test_the_language_model_knows_the_question_and_the_result():
    llm = ChoosingLlm(text="It rains.")
    scene = Scene(**with_tools("How is the weather?", llm))
    scene.play(talk((400, 1200), until_ms=6000), {40: [ToolResult("call_1", "rain, 8 degrees"), Respond()]})
    texts = [message["content"] for message in llm.asked[-1]]
    assert any("How is the weather?" in text for text in texts) and any("rain, 8 degrees" in text for text in texts)


def test_a_result_alone_is_not_spoken_of():
    scene = Scene(**with_tools("What is the weather?"))
    scene.play(talk((400, 1200), until_ms=6000), {40: [ToolResult("call_1", "rain")]})
    assert scene.row.said == []


def test_what_the_model_makes_up_instead_of_calling_is_cut_short():
    scene = Scene(speaks((20, 60)), **with_tools("What is the weather?"))
    scene.play(talk((400, 1200), until_ms=6000))
    call = scene.ticks(ToolCall)[0]
    assert scene.kinds().count("Answering") == scene.kinds().count("Answered") == 1
    assert max(scene.loud()) < max(call, 21) and scene.row.muted[0] is True


@pytest.mark.parametrize("choice", ["none", "auto"])
def test_what_needs_no_tool_calls_none(choice):
    wish = SessionConfig(turns=TurnTaking(), transcribe=True)
    words = "What is the weather?" if choice == "none" else "Tell me a story."
    scene = Scene(speaks((30, 40)), wish, stt=FakeStt(text=words))
    scene.play(talk((400, 1200), until_ms=6000), {0: [UseTools(WEATHER, choice)]})
    assert "ToolCall" not in scene.kinds() and Transcript(words) in scene.events


def refuses(text: str) -> None:
    raise Unsupported("no word")


def test_a_sentence_that_the_model_cannot_write_is_told():
    scene = Scene(**with_tools("What is the weather?", ChoosingLlm(text="...")))
    scene.row.say = refuses  # type: ignore[method-assign]
    scene.play(talk((400, 1200), until_ms=9000), {40: [ToolResult("call_1", "rain"), Respond()]})
    assert scene.row.said == [] and scene.kinds()[-2:] == ["Answering", "Answered"]
    scene = Scene(**with_tools("What is the weather?"))
    scene.row.say = refuses  # type: ignore[method-assign]
    scene.play(talk((400, 1200), until_ms=9000), {40: [ToolResult("call_1", "rain"), Respond()]})
    assert Failed("say", "no word") in scene.events and scene.kinds()[-2:] == ["Answering", "Answered"]


def test_a_stage_that_cannot_be_loaded_refuses_the_session():
    def missing() -> Any:
        raise FileNotFoundError("whisper-tiny.en")

    aside = Aside(AsideConfig(), {"ear": missing}, InPlace())
    with pytest.raises(Unsupported, match=r"ear beside the model cannot be loaded: whisper-tiny\.en"):
        aside._load(("ear",))
