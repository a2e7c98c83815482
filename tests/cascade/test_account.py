"""What a cascade tells of the work that went into its answers, and of what was for nothing."""

from typing import Any

import numpy as np
import pytest

from duplex.events import Interrupted, Made, SpeechStopped, Wasted
from duplex.frame import SAMPLE_RATE, Frame
from duplex.notes import Say, TypedText
from tests.cascade.fakes import FakeLlm, FakeStt, FakeTts, converse, events, talk, text
from tests.cascade.test_session import HangingLlm, Hangs, notes

WORD_MS = 100  # of sound, by the fake voice
SENTENCE = "One two three four five six seven eight nine ten eleven twelve."


def told(said: list[Frame], kind: type[Any]) -> list[Any]:
    return [event for _, event in events(said, kind)]


def sounding_ms(said: list[Frame]) -> float:
    pcm = np.concatenate([frame.pcm for frame in said if frame.pcm is not None])
    return np.count_nonzero(pcm) * 1000 / SAMPLE_RATE


def test_an_answer_that_is_heard_to_its_end_wastes_nothing() -> None:
    llm = FakeLlm()
    said = converse(talk((400, 1_200), until_ms=5_000), stt=FakeStt(text="Hello."), llm=llm)
    (made,) = told(said, Made)
    words = len(llm.text.split())
    assert (made.pieces, made.letters) == (words, len(llm.text) - 1)  # two phrases, without the blank between
    assert made.voiced_ms == words * WORD_MS == pytest.approx(sounding_ms(said), abs=1)
    assert 800 < made.heard_ms < 800 + 500  # the turn, with what came just before it
    assert told(said, Wasted) == []


def test_an_interruption_throws_away_what_had_not_sounded() -> None:
    said = converse(talk((400, 1_000), (2_200, 3_000), until_ms=3_200), llm=FakeLlm(text=SENTENCE))
    made, wasted = told(said, Made)[0], told(said, Wasted)[0]
    assert (made.pieces, made.voiced_ms) == (12, 12 * WORD_MS) and wasted.why == "interrupted"
    assert made.voiced_ms - wasted.voiced_ms == pytest.approx(sounding_ms(said), abs=1)  # the fade sounds, too
    heard = len(told(said, Interrupted)[0].heard.split())
    assert 0 < wasted.pieces < 12 and abs((made.pieces - wasted.pieces) - heard) <= 1
    assert wasted.letters == pytest.approx(len(SENTENCE) * wasted.voiced_ms / made.voiced_ms, abs=1)
    assert wasted.heard_ms == 0  # the user's words were understood and are remembered


def test_an_answer_that_never_sounded_is_all_for_nothing() -> None:
    llm = FakeLlm(first_s=0.2, each_s=0.2, text=SENTENCE)
    said = converse(talk((400, 1_000), (2_000, 2_800), until_ms=3_400), llm=llm, speculate="no")
    made, wasted = told(said, Made)[0], told(said, Wasted)[0]
    assert 0 < made.pieces < 12 and (wasted.pieces, wasted.letters, wasted.voiced_ms) == (made.pieces, 0, 0)
    assert wasted.why == "interrupted" and told(said, Interrupted) == []


def test_a_guess_that_the_user_talks_over_is_unused_and_its_audio_is_transcribed_again() -> None:
    stt = FakeStt(0.05)
    said = converse(talk((400, 1_000), (1_300, 2_000), until_ms=6_000), stt=stt, llm=FakeLlm(0.05))
    guess, answer = told(said, Made)
    (wasted,) = told(said, Wasted)
    assert wasted.why == "unused" and wasted.heard_ms == guess.heard_ms > 0
    assert (wasted.pieces, wasted.letters, wasted.voiced_ms) == (guess.pieces, guess.letters, guess.voiced_ms)
    assert guess.pieces == 10 and guess.voiced_ms == 10 * WORD_MS  # all was ready before the user went on
    assert [guess.heard_ms, answer.heard_ms] == pytest.approx([seconds * 1000 for seconds in stt.turns], abs=0.1)
    assert len(told(said, SpeechStopped)) == 1


def test_half_a_sentence_at_the_token_limit_is_unfinished() -> None:
    said = converse(talk((400, 1_000), until_ms=5_000), llm=FakeLlm(text="One two three. And then four"))
    (made,), (wasted,) = told(said, Made), told(said, Wasted)
    assert text(said) == "One two three." and made.pieces == 6 and made.letters == len("One two three.")
    # the word that showed that the sentence was over counts as part of it
    assert (wasted.why, wasted.pieces, wasted.letters, wasted.voiced_ms) == ("unfinished", 2, 0, 0)


@pytest.mark.parametrize(
    ("stages", "letters", "heard"), [({"tts": Hangs()}, True, False), ({"stt": Hangs()}, False, True)]
)
def test_what_went_into_a_stage_that_hangs_failed(stages: dict[str, Any], letters: bool, heard: bool) -> None:
    said = converse(talk((400, 1_000), until_ms=6_000), **stages, patience_ms=2_000)
    (wasted,) = told(said, Wasted)
    assert wasted.why == "failed" and (wasted.letters > 0, wasted.heard_ms > 0) == (letters, heard)
    assert wasted.voiced_ms == 0


def test_a_model_that_says_nothing_wastes_nothing_but_time() -> None:
    said = converse(talk((400, 1_000), until_ms=6_000), llm=HangingLlm(), patience_ms=2_000)
    (made,) = told(said, Made)
    assert made.pieces == 0 and told(said, Wasted) == []  # its transcript stays in the conversation


def test_notes_are_accounted_for_like_speech() -> None:
    said = notes((5, Say("Hello there.")), (40, TypedText("What now?")), llm=FakeLlm(), tts=FakeTts())
    aloud, typed = told(said, Made)
    assert (aloud.heard_ms, aloud.pieces, aloud.letters, aloud.voiced_ms) == (0, 0, len("Hello there."), 2 * WORD_MS)
    assert typed.heard_ms == 0 and typed.pieces == 10 and told(said, Wasted) == []
