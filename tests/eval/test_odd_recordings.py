"""Recordings that nobody planned for: each gives a sensible result, or a refusal that says why."""

from __future__ import annotations

import json
import wave
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from by_hand import facts, hand_made, tone

from duplex.frame import SAMPLE_RATE
from duplex.recording import NotARecording, RecordingWriter
from eval.plain import open_plain
from eval.scenario import Event, Kind
from eval.score import score


def write_wav(path: Path, *channels: np.ndarray, rate: int = SAMPLE_RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pcm = np.stack(channels, axis=1)  # [n, channels]
    with wave.open(str(path), "wb") as wav:
        wav.setparams((len(channels), 2, rate, 0, "NONE", ""))
        wav.writeframes((np.clip(pcm, -1, 1) * 32767).astype("<i2").tobytes())


def people(folder: Path, name: str = "call", **how: Any) -> dict[str, Any]:
    """Two people: from 1 to 2 s and 4 to 5 s, from 2.3 to 4.2 s."""
    write_wav(folder / f"{name}.wav", tone((1.0, 2.0), (4.0, 5.0)), tone((2.3, 4.2)), **how)
    return score(folder)


def test_two_people_are_judged_by_how_they_share_the_time(tmp_path: Path) -> None:
    found = people(tmp_path)
    assert found["broken"] == [] and found["questions"] == []
    dgslm = found["panels"]["dgslm"]
    assert (dgslm["ipu"]["n"], dgslm["gap"]["n"], dgslm["overlap"]["n"], dgslm["pause"]["n"]) == (3, 1, 1, 0)
    assert dgslm["gap"]["durations_ms"] == [pytest.approx(300, abs=6)]
    assert found["metrics"]["overlap_s_per_min"]["value"] == pytest.approx(0.2 * 10, abs=0.1)
    assert found["metrics"]["response_latency_ms"]["n"] == 0  # when he had ended is known by construction only


def test_a_telephone_call_is_resampled_and_says_so(tmp_path: Path) -> None:
    write_wav(tmp_path / "call.wav", tone((1.0, 2.0))[::3], tone((2.3, 4.2))[::3], rate=8000)
    found = score(tmp_path)
    assert found["panels"]["dgslm"]["gap"]["durations_ms"] == [pytest.approx(300, abs=10)]
    assert found["conversations"][0]["doubts"] == ["recorded at 8000 Hz: nothing above 4 kHz is heard"]


def test_a_clipped_channel_is_judged_and_says_so(tmp_path: Path) -> None:
    write_wav(tmp_path / "call.wav", tone((1.0, 2.0)) * 10, tone((2.3, 4.2)))
    found = score(tmp_path)
    assert found["panels"]["dgslm"]["gap"]["durations_ms"] == [pytest.approx(300, abs=6)]
    (doubt,) = found["conversations"][0]["doubts"]
    assert doubt.startswith("the user's channel is clipped in 16.67%")


def test_one_side_only_is_no_conversation_but_speech(tmp_path: Path) -> None:
    write_wav(tmp_path / "call.wav", tone((1.0, 2.0), (3.0, 4.0)), tone())
    found = score(tmp_path)
    assert (found["panels"]["dgslm"]["pause"]["n"], found["panels"]["dgslm"]["gap"]["n"]) == (1, 0)
    assert found["conversations"][0]["doubts"] == ["nobody speaks on the agent's side"]


@pytest.mark.parametrize("channels, why", [(1, "one channel"), (3, "3 channels")])
def test_who_says_what_must_be_told(tmp_path: Path, channels: int, why: str) -> None:
    write_wav(tmp_path / "call.wav", *[tone((1.0, 2.0))] * channels)
    with pytest.raises(NotARecording, match=f"{why}; who says what is told from two"):
        open_plain(tmp_path / "call.wav")
    (broken,) = score(tmp_path)["broken"]
    assert broken["recording"] == "call" and why in broken["why"]


def test_what_holds_nothing_is_refused_and_disturbs_nobody(tmp_path: Path) -> None:
    write_wav(tmp_path / "empty.wav", np.zeros(0, np.float32), np.zeros(0, np.float32))
    (tmp_path / "text.wav").write_text("not a sound")
    with RecordingWriter(tmp_path / "killed", {"agent": "hand", "facts": asdict(facts())}):
        pass
    found = people(tmp_path)
    assert {b["recording"]: b["why"].split(": ")[-1] for b in found["broken"]}.keys() == {"empty", "killed", "text"}
    assert [c["recording"] for c in found["conversations"]] == ["call"]
    assert json.loads((tmp_path / "scores.json").read_text())["broken"] == found["broken"]


def event(kind: Kind, begin: float, end: float) -> Event:
    return Event(kind, round(begin * SAMPLE_RATE), round(end * SAMPLE_RATE))


def asked(folder: Path, *agent: tuple[float, float]) -> dict[str, Any]:
    """A question, an interruption, a backchannel; and a recording of quiet."""
    events = (event("question", 1.0, 2.0), event("interruption", 3.0, 3.5), event("backchannel", 5.0, 5.3))
    talk, quiet = asdict(facts(events=events)), asdict(facts(events=(event("noise", 0.5, 5.5),)))
    hand_made(folder / "talk", *agent, user=((1.0, 2.0), (3.0, 3.5), (5.0, 5.3)), facts=talk)
    hand_made(folder / "quiet", *agent, user=(), facts=quiet)
    return score(folder)["metrics"]


def test_an_agent_that_never_speaks(tmp_path: Path) -> None:
    found = asked(tmp_path)
    assert found["response_rate"]["value"] == 0 and found["response_latency_ms"]["missing"] == 2
    assert found["response_latency_ms"]["value"] is None and found["response_latency_ms"]["ci95"] is None
    assert found["yield_rate"]["n"] == 0 and found["unprompted_speech_rate"]["value"] == 0
    assert found["false_answer_rate"]["value"] == 0 and found["eva_turn_score"]["value"] == 0


def test_an_agent_that_never_stops(tmp_path: Path) -> None:
    found = asked(tmp_path, (0.0, 60.0))
    assert found["yield_rate"]["value"] == 0 and found["stop_latency_ms"]["missing"] == 1
    assert found["response_rate"]["value"] == 0 and found["false_stop_rate"]["value"] == 0
    assert found["unprompted_speech_rate"]["value"] == pytest.approx(10) and found["overlap_s_per_min"]["n"] == 2
