"""Recordings made by hand, with every kind of event in the user's channel, and what is measured on them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from by_hand import SAMPLES, Times, facts, hand_made

from duplex.frame import SAMPLE_RATE
from eval.catalogue import METRICS
from eval.judge import Unscorable, check
from eval.measure import Measured, estimates, measure
from eval.scenario import Event, Facts, Kind
from eval.score import score


def event(kind: Kind, begin: float, end: float) -> Event:
    return Event(kind, round(begin * SAMPLE_RATE), round(end * SAMPLE_RATE))


def measured(folder: Path, events: list[Event], *agent: Times) -> Measured:
    user = tuple((e.begin / SAMPLE_RATE, e.end / SAMPLE_RATE) for e in events if e.kind not in ("pause", "noise"))
    known = facts(events=tuple(events))
    return measure(hand_made(folder / "a", *agent, user=user), known)


def test_a_question_without_events_is_one_turn(tmp_path: Path) -> None:
    found = measure(hand_made(tmp_path / "a", (2.3, 4.0)), facts())
    assert found.values["response_latency_ms"] == [pytest.approx(300, abs=3)] and found.values["response_rate"] == [1]
    assert found.values["ttfat_ms"] == [pytest.approx(240)]  # the frame that sounds at 2.3 s is made in tick 27
    assert found.values["ttf_decision_ms"] == [None]
    assert "yield_rate" not in found.values and "unprompted_speech_rate" not in found.values


def test_an_answer_comes_before_the_user_speaks_again(tmp_path: Path) -> None:
    asked = [event("question", 0.5, 1.0), event("question", 3.0, 3.5)]
    assert measured(tmp_path, asked, (3.7, 5.0)).values["response_latency_ms"] == [None, pytest.approx(200, abs=3)]


def test_an_interruption_is_met_and_answered(tmp_path: Path) -> None:
    events = [event("question", 0.5, 1.0), event("interruption", 2.0, 2.6)]
    found = measured(tmp_path, events, (1.2, 2.4), (3.1, 4.0)).values
    assert found["yield_rate"] == [1] and found["stop_latency_ms"] == [pytest.approx(400, abs=3)]
    assert found["post_interrupt_latency_ms"] == [pytest.approx(500, abs=3)]
    assert found["response_latency_ms"] == [pytest.approx(200, abs=3), pytest.approx(500, abs=3)]
    went_on = measured(tmp_path, events, (1.2, 5.5)).values
    assert went_on["yield_rate"] == [0] and went_on["stop_latency_ms"] == [None]
    assert went_on["response_rate"] == [1, 0]  # what it was saying before is no answer
    silent = measured(tmp_path, events, (3.1, 4.0))
    assert silent.void == {"yield_rate: the agent was not talking": 1} and "yield_rate" not in silent.values


def test_a_backchannel_should_change_nothing(tmp_path: Path) -> None:
    events = [event("question", 0.5, 1.0), event("backchannel", 3.0, 3.3)]
    assert measured(tmp_path, events, (1.2, 5.5)).values["false_stop_rate"] == [0]
    assert measured(tmp_path, events, (1.2, 3.4)).values["false_stop_rate"] == [1]
    into_silence = measured(tmp_path, events, (1.2, 2.0), (3.8, 4.5)).values
    assert into_silence["false_answer_rate"] == [1] and "false_stop_rate" not in into_silence


def test_a_pause_is_not_the_end_and_not_speech(tmp_path: Path) -> None:
    events = [event("question", 0.5, 3.0), event("pause", 1.5, 2.2)]
    early = measured(tmp_path, events, (1.8, 3.5)).values
    assert early["premature_takeover_rate"] == [1] and early["agent_interruption_rate"] == [0]
    assert early["pause_onset_rate"] == [1]
    after = measured(tmp_path, events, (3.2, 4.5)).values
    assert after["premature_takeover_rate"] == [0] == after["pause_onset_rate"]
    gave_way = measured(tmp_path, events, (1.8, 2.4), (3.6, 4.8)).values
    assert gave_way["premature_takeover_rate"] == [0] and gave_way["pause_onset_rate"] == [1]
    into_speech = measured(tmp_path, events, (1.0, 2.5)).values
    assert into_speech["agent_interruption_rate"] == [1]
    assert into_speech["overlap_s_per_min"] == [pytest.approx(0.8 * 60 / (SAMPLES / SAMPLE_RATE), rel=0.02)]


def test_quiet_is_measured_by_the_minute(tmp_path: Path) -> None:
    found = measured(tmp_path, [event("noise", 0.5, 5.5)], (2.0, 3.0)).values
    assert found["unprompted_speech_rate"] == [10.0] and "response_rate" not in found


def test_every_metric_has_an_estimate_and_what_is_void_is_counted(tmp_path: Path) -> None:
    asked = Facts(**{**asdict(facts()), "events": (event("question", 1.0, 2.0), event("interruption", 3.0, 4.0))})
    for name, agent in (("a", ((2.2, 3.2), (4.5, 5.0))), ("b", ((2.4, 2.6),)), ("c", ((2.3, 5.8),))):
        hand_made(tmp_path / name, *agent, user=((1.0, 2.0), (3.0, 4.0)), facts=asdict(asked))
    scores = score(tmp_path)
    assert set(scores["metrics"]) == set(METRICS) == set(estimates([]))
    assert scores["void"] == {"yield_rate: the agent was not talking": 1}
    yielded = scores["metrics"]["yield_rate"]
    assert (yielded["value"], yielded["n"], yielded["missing"], yielded["direction"]) == (0.5, 2, 0, "up")
    assert yielded["ci95"] == [0.0, 1.0] and yielded["version"] == 1
    assert scores["metrics"]["stop_latency_ms"]["n"] == 1 and scores["metrics"]["stop_latency_ms"]["missing"] == 1
    assert scores["metrics"]["unprompted_speech_rate"]["value"] is None
    assert json.loads((tmp_path / "scores.json").read_text()) == scores


def test_the_decision_is_the_first_word_after_the_user(tmp_path: Path) -> None:
    said = {20: "Well. ", 26: "Paris ", 28: "it is."}
    recording = hand_made(tmp_path / "a", (2.5, 4.0), said=lambda t: {"text": said.get(t, "")})
    found = measure(recording, facts(expect=("paris",))).values
    assert found["ttf_decision_ms"] == [pytest.approx(27 * 80 - 2000)] and found["answer_accuracy"] == [1]
    heard = measure(recording, facts(expect=("paris",)), transcribe=lambda pcm: "Rome").values
    assert heard["answer_accuracy"] == [0]
    assert measure(hand_made(tmp_path / "b"), facts(expect=("paris",))).values["answer_accuracy"] == [0]


def test_ticks_and_tokens_are_the_machines(tmp_path: Path) -> None:
    late = hand_made(tmp_path / "a", late_ms=lambda t: 90.0 if t % 5 == 0 else 20.0, capabilities={"codebooks": 8})
    found = estimates([measure(late, facts())])
    assert found["deadline_miss_rate"].value == 0.2 and found["tokens_per_min"].value == 17 * 12.5 * 60
    unpaced = measure(hand_made(tmp_path / "b", pace="unpaced", capabilities={"codebooks": 0}), facts()).values
    assert "deadline_miss_rate" not in unpaced and unpaced["tokens_per_min"] == [0.0]


def test_a_user_who_is_not_heard_is_not_judged(tmp_path: Path) -> None:
    asked = facts(events=(event("question", 1.0, 2.0), event("interruption", 3.0, 4.0)))
    with pytest.raises(Unscorable, match=r"not heard at 3\.0 s"):
        check(hand_made(tmp_path / "a", user=((1.0, 2.0),)), asked)


def test_who_stopped_for_nothing_may_go_on(tmp_path: Path) -> None:
    events = [event("question", 0.5, 1.0), event("backchannel", 3.0, 3.3)]
    assert measured(tmp_path, events, (1.2, 3.4), (4.4, 5.5)).values["resume_rate"] == [1]
    assert measured(tmp_path, events, (1.2, 3.4)).values["resume_rate"] == [0]
    assert "resume_rate" not in measured(tmp_path, events, (1.2, 5.5)).values


def test_a_sign_of_listening_in_a_breath_is_a_backchannel(tmp_path: Path) -> None:
    told = [event("question", 0.5, 4.5), event("pause", 2.0, 3.0)]
    found = measured(tmp_path, told, (2.2, 2.6), (4.8, 5.8)).values
    assert found["backchannels_per_min"] == [pytest.approx(15)]
    assert found["backchannel_timing_ms"] == [pytest.approx(200, abs=3)]
    assert found["premature_takeover_rate"] == [0] and found["agent_interruption_rate"] == [0]
    none = measured(tmp_path, told, (4.8, 5.8)).values
    assert none["backchannels_per_min"] == [0] and "backchannel_timing_ms" not in none


def test_evas_score_of_a_conversation(tmp_path: Path) -> None:
    asked = [event("question", 0.5, 1.0), event("interruption", 3.0, 3.5)]
    found = measured(tmp_path, asked, (2.0, 3.4), (4.5, 5.5)).values["eva_turn_score"]
    assert found == [pytest.approx((1 + 0.8) / 2, abs=0.01)]  # answered after 1 s; stopped 400 of 2,000 ms later
    assert measured(tmp_path, asked, (2.0, 3.4)).values["eva_turn_score"] == [0]  # the last turn got no answer
    into_speech = measured(tmp_path, [event("question", 0.5, 3.0)], (1.0, 2.2), (3.6, 5.0)).values
    assert into_speech["eva_turn_score"] == [pytest.approx(0.2, abs=0.01)]  # half of what 1.2 of 2 s of overlap leave


def test_what_was_met_is_kept_for_the_picture(tmp_path: Path) -> None:
    asked = [event("question", 0.5, 1.0), event("interruption", 3.0, 3.5), event("backchannel", 5.0, 5.3)]
    question, interruption, backchannel = measured(tmp_path, asked, (2.0, 3.4), (4.5, 5.9)).met
    assert question.answer == pytest.approx(2.0 * SAMPLE_RATE, abs=80) and question.stop is None
    assert interruption.stop == pytest.approx(3.4 * SAMPLE_RATE, abs=80)
    assert interruption.answer == pytest.approx(4.5 * SAMPLE_RATE, abs=80)
    assert backchannel.stop == pytest.approx(5.9 * SAMPLE_RATE, abs=80) and backchannel.text == ""


def test_speech_is_held_against_its_own_text(tmp_path: Path) -> None:
    recording = hand_made(tmp_path / "a", (2.5, 4.0), said=lambda t: {"text": "It's four, yes." if t == 26 else ""})
    found = measure(recording, facts(), transcribe=lambda pcm: "it's 4").values
    assert found["agent_wer"] == [pytest.approx(1 / 3)]
    assert "agent_wer" not in measure(recording, facts()).values
    assert "agent_wer" not in measure(hand_made(tmp_path / "b"), facts(), transcribe=lambda pcm: "dreams").values
