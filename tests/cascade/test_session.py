"""The cascade's own logic, with fake stages: endpointing, speculation, barge-in, memory, notes, failures."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import numpy as np
import pytest

from duplex.events import Failed, Hop, Interrupted, SpeechStarted, SpeechStopped, Transcript
from duplex.frame import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE
from duplex.notes import Instruct, Say, TypedText
from duplex.session import SessionConfig
from tests.cascade.fakes import (
    FakeLlm,
    FakeStt,
    FakeTts,
    converse,
    events,
    fake_cascade,
    loud_ticks,
    on_a_jumping_clock,
    play,
    talk,
    text,
)

STOP_TICKS = 6  # 448 ms of silence end a turn


def test_a_turn_is_answered_with_its_words_in_the_ticks_in_which_they_sound() -> None:
    llm = FakeLlm()
    said = converse(talk((400, 1_200), until_ms=5_000), stt=FakeStt(text="Hello."), llm=llm)
    ((_, started),) = events(said, SpeechStarted)
    ((stopped_tick, stopped),) = events(said, SpeechStopped)
    assert started.sample == pytest.approx(0.4 * SAMPLE_RATE, abs=768)
    assert stopped.sample == pytest.approx(1.2 * SAMPLE_RATE, abs=768)
    assert stopped_tick - 1.2 / 0.08 <= STOP_TICKS + 1
    assert [e.text for _, e in events(said, Transcript)] == ["Hello."]
    assert text(said) == llm.text
    assert loud_ticks(said) == list(range(stopped_tick, stopped_tick + len(loud_ticks(said))))
    worded = [frame.t for frame in said if frame.text]
    assert worded[0] == stopped_tick and set(worded) <= set(loud_ticks(said)) and len(worded) > 5
    assert [m["role"] for m in llm.asked[0]] == ["system", "user"] and llm.asked[0][1]["content"] == "Hello."


def test_the_hops_are_told_in_milliseconds_since_the_speech_ended() -> None:
    said = converse(
        talk((400, 1_200), until_ms=5_000),
        stt=FakeStt(0.1),
        llm=FakeLlm(0.05, 0.01),
        tts=FakeTts(0.02),
        speculate="no",
    )
    ((stopped_tick, stopped),) = events(said, SpeechStopped)
    hops = {e.stage: e.ms for _, e in events(said, Hop)}
    endpoint_ms = (stopped_tick + 1) * FRAME_MS - stopped.sample * 1000 / SAMPLE_RATE
    # the sentence has five words; the sixth, 10 ms later each, shows that it is over
    expected = {"endpoint": 0, "stt": 100, "llm_first_token": 150, "first_sentence": 200, "tts_first_chunk": 220}
    assert {stage: ms - endpoint_ms for stage, ms in hops.items() if stage != "release"} == pytest.approx(
        expected, abs=0.1
    )
    first_sample = (loud_ticks(said)[0] + 1) * FRAME_MS - stopped.sample * 1000 / SAMPLE_RATE
    assert hops["release"] == pytest.approx(first_sample, abs=1)


@pytest.mark.parametrize(("speculate", "hidden_ms"), [("no", 0), ("transcript", 150), ("reply", 150 + 100 + 50)])
def test_what_speculation_hides_in_the_endpoint_timer(speculate: str, hidden_ms: int) -> None:
    def first_sound(mode: str) -> int:
        said = converse(
            talk((400, 1_200), until_ms=5_000),
            stt=FakeStt(0.15),
            llm=FakeLlm(0.1),
            tts=FakeTts(0.05),
            speculate=mode,
        )
        return loud_ticks(said)[0]

    saved_ms = (first_sound("no") - first_sound(speculate)) * FRAME_MS
    assert hidden_ms - FRAME_MS <= saved_ms <= hidden_ms + FRAME_MS


@pytest.mark.parametrize("speculate", ["no", "transcript", "reply"])
def test_the_whole_turn_is_transcribed_however_early_that_begins(speculate: str) -> None:
    stt = FakeStt()
    converse(talk((1_000, 3_000), until_ms=6_000), stt=stt, speculate=speculate)
    (seconds,) = stt.turns
    assert seconds == pytest.approx(0.416 + 2.0, abs=0.6) and seconds > 2.3


def test_speech_that_resumes_discards_the_speculation_and_the_whole_turn_is_transcribed_again() -> None:
    stt, llm = FakeStt(0.1), FakeLlm(1.0)
    said = converse(talk((400, 1_000), (1_300, 2_000), until_ms=6_000), stt=stt, llm=llm, paced=True)
    assert len(stt.turns) == 2 and stt.turns[1] > stt.turns[0] + 0.9
    assert llm.cancelled == 1 and len(llm.asked) == 2
    assert len(events(said, Transcript)) == len(events(said, SpeechStopped)) == 1
    assert text(said) == llm.text


def test_barge_in_silences_the_voice_within_two_ticks_without_a_click_and_stops_the_work() -> None:
    llm = FakeLlm(each_s=0.2, text="One two three four five. " * 3)
    said = converse(talk((400, 1_000), (2_500, 3_500), until_ms=3_600), llm=llm)
    (_, (onset, _)) = events(said, SpeechStarted)
    ((cut, interrupted),) = events(said, Interrupted)
    assert cut == onset
    assert onset - 2_500 // FRAME_MS <= 2
    assert [t for t in loud_ticks(said) if t > onset] == []
    assert llm.cancelled == 1 and llm.pieces < 15
    sounding = np.concatenate([f.pcm for f in said if f.pcm is not None])
    assert np.abs(sounding[onset * FRAME_SAMPLES + SAMPLE_RATE // 50 :]).max() == 0
    assert np.abs(np.diff(sounding)).max() < 0.05  # the tone itself moves by 0.015 a sample; a hard cut by up to 0.3
    assert interrupted.heard == text(said) and llm.text.startswith(interrupted.heard)


def test_only_what_was_heard_is_remembered_after_an_interruption() -> None:
    llm = FakeLlm(text="One two three four five six seven eight nine ten eleven twelve.")
    said = converse(talk((400, 1_000), (2_200, 3_000), until_ms=7_000), stt=FakeStt(text="Hello."), llm=llm)
    ((_, interrupted),) = events(said, Interrupted)
    assert 1 < len(interrupted.heard.split()) < 12 and llm.text.startswith(interrupted.heard)
    assert [m["content"] for m in llm.asked[-1]][1:] == ["Hello.", interrupted.heard, "Hello."]


def test_going_on_before_the_answer_sounds_is_one_turn_to_the_model() -> None:
    llm = FakeLlm(first_s=1.0)
    said = converse(talk((400, 1_000), (1_700, 2_300), until_ms=6_000), stt=FakeStt(text="Hello"), llm=llm)
    assert events(said, Interrupted) == []
    assert [m["content"] for m in llm.asked[-1]][1:] == ["Hello Hello"]
    assert text(said) == llm.text


def test_what_is_not_speech_is_not_answered() -> None:
    llm = FakeLlm()
    said = converse(talk((400, 1_000), until_ms=4_000), stt=FakeStt(text=""), llm=llm)
    assert len(events(said, SpeechStopped)) == 1 and events(said, Transcript) == []
    assert llm.asked == [] and loud_ticks(said) == []


def test_silence_is_answered_with_silence() -> None:
    llm = FakeLlm()
    said = converse(talk(until_ms=20_000), llm=llm)
    assert loud_ticks(said) == [] and llm.asked == [] and not any(frame.events for frame in said)


class Broken(FakeStt, FakeTts):
    async def transcribe(self, pcm: np.ndarray) -> str:
        raise OSError("no microphone for you")

    async def speak(self, text: str, voice: str) -> np.ndarray:
        raise OSError("lost my voice")


class BrokenLlm(FakeLlm):
    async def reply(self, messages: list[Any]) -> AsyncGenerator[str, None]:
        yield "One two three. "
        raise OSError("out of ideas")


class Hangs(FakeStt, FakeTts):
    async def transcribe(self, pcm: np.ndarray) -> str:
        return await asyncio.Event().wait() and ""

    async def speak(self, text: str, voice: str) -> np.ndarray:
        return await asyncio.Event().wait() and np.zeros(0, np.float32)


class HangingLlm(FakeLlm):
    async def reply(self, messages: list[Any]) -> AsyncGenerator[str, None]:
        await asyncio.Event().wait()
        yield ""


@pytest.mark.parametrize(
    ("stages", "stage", "reason"),
    [
        ({"stt": Broken()}, "stt", "no microphone for you"),
        ({"llm": BrokenLlm()}, "llm", "out of ideas"),
        ({"tts": Broken()}, "tts", "lost my voice"),
        ({"stt": Hangs()}, "stt", "nothing for 2 s"),
        ({"llm": HangingLlm()}, "llm", "nothing for 2 s"),
        ({"tts": Hangs()}, "tts", "nothing for 2 s"),
    ],
)
def test_a_stage_that_fails_or_hangs_is_reported_and_the_session_goes_on(
    stages: dict[str, Any], stage: str, reason: str
) -> None:
    said = converse(talk((400, 1_000), (5_000, 5_600), until_ms=10_000), **stages, patience_ms=2_000)
    assert [(e.stage, e.reason) for _, e in events(said, Failed)] == [(stage, reason)] * 2
    assert len(said) == 125


def notes(*told: tuple[int, Any], until_ms: int = 6_000, spans: tuple[tuple[int, int], ...] = (), **stages: Any) -> Any:
    """A session that is told each (tick, note)."""

    async def main() -> Any:
        agent = fake_cascade(now=asyncio.get_running_loop().time, **stages)
        session = await agent.open(SessionConfig(persona="Be kind."))
        said, frames = [], talk(*spans, until_ms=until_ms)
        for frame in frames:
            for tick, note in told:
                if tick == frame.t:
                    await session.tell(note)
            said += await play(session, [frame])
        await agent.close()
        return said

    return on_a_jumping_clock(main())


def test_typed_text_is_answered_like_speech_and_remembered() -> None:
    llm = FakeLlm(0.2)
    said = notes((5, TypedText("What now?")), (50, TypedText("And then?")), llm=llm)
    assert text(said) == f"{llm.text} {llm.text}"
    assert [m["content"] for m in llm.asked[1]] == ["Be kind.", "What now?", llm.text, "And then?"]
    assert events(said, Transcript) == [] == events(said, Hop)


def test_forced_speech_is_spoken_word_for_word_and_interrupts_itself() -> None:
    llm = FakeLlm()
    first, then = "One two three four five six seven. Eight nine.", "Stop, please."
    said = notes((5, Say(first)), (8, Say(then)), llm=llm)
    ((_, interrupted),) = events(said, Interrupted)
    assert first.startswith(interrupted.heard)
    assert text(said) == f"{interrupted.heard} {then}" and llm.asked == []


def test_an_instruction_replaces_the_persona_from_there_on() -> None:
    llm = FakeLlm()
    notes((5, TypedText("Hi.")), (40, Instruct("Be brief.")), (41, TypedText("Hi.")), llm=llm)
    assert [asked[0]["content"] for asked in llm.asked] == ["Be kind.", "Be brief."]


def test_a_turn_replaces_the_answer_to_a_typed_text() -> None:
    llm = FakeLlm(text="One two three four five six seven eight nine ten eleven twelve.")
    said = notes((12, TypedText("Hi.")), spans=((400, 1_500),), until_ms=5_000, llm=llm)
    assert len(events(said, Interrupted)) == 1 and len(llm.asked) >= 2


def test_the_voice_of_the_session_is_the_one_that_speaks() -> None:
    class Noting(FakeTts):
        async def speak(self, text: str, voice: str) -> np.ndarray:
            self.spoken.append(voice)
            return np.zeros(10, np.float32)

    tts = Noting()
    converse(talk((400, 1_000), until_ms=3_000), tts=tts, config=SessionConfig(voice="other"))
    assert set(tts.spoken) == {"other"}


def test_closing_in_the_middle_of_an_answer_stops_its_work() -> None:
    llm = FakeLlm(each_s=1.0)

    async def main() -> None:
        agent = fake_cascade(llm=llm, now=asyncio.get_running_loop().time)
        session = await agent.open(SessionConfig())
        await play(session, talk((400, 1_000), until_ms=2_000))
        await session.close()
        assert llm.cancelled == 1
        await session.close()
        await agent.close()

    on_a_jumping_clock(main())
