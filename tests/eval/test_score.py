"""Scores: what counts, what is missing, what cannot be judged."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from by_hand import facts, hand_made

from duplex.recording import NotARecording, RecordingWriter
from eval.__main__ import main
from eval.judge import Unscorable, check, judge
from eval.metrics.words import holds_word
from eval.score import agreed, score


def four_questions(folder: Path) -> None:
    """Answers after 500, 1000 and -300 ms, and one that never comes."""
    for name, answer in (("a", [(2.5, 3.5)]), ("b", [(3.0, 4.0)]), ("c", [(1.7, 3.0)]), ("d", [])):
        hand_made(folder / name, *answer, late_ms=lambda t: 20.0)


def test_summary_counts_the_missing_and_keeps_the_negative(tmp_path: Path) -> None:
    four_questions(tmp_path)
    judged = score(tmp_path)
    figures = judged["summary"]
    assert (figures["n"], figures["answered"], figures["missing"], figures["response_rate"]) == (4, 3, 1, 0.75)
    counts = {"n": 3, "missing": 1, "p99": None}
    assert figures["response_latency_ms"] == {"p50": 500.0, "p90": 900.0, "p95": 950.0, "max": 1000.0, **counts}
    assert figures["wall_latency_ms"] == {"p50": 520.0, "p90": 920.0, "p95": 970.0, "max": 1020.0, **counts}
    assert [q["response_latency_ms"] for q in judged["questions"]] == [500.0, 1000.0, -300.0, None]
    assert json.loads((tmp_path / "scores.json").read_text()) == judged


def test_nobody_answers(tmp_path: Path) -> None:
    hand_made(tmp_path / "a")
    figures = score(tmp_path)["summary"]
    assert figures["response_rate"] == 0.0 and figures["missing"] == 1
    assert figures["response_latency_ms"]["p50"] is None and figures["response_latency_ms"]["n"] == 0


def truncated(path: Path) -> None:
    hand_made(path, (2.5, 3.5))
    wav = path.with_suffix(".wav")
    wav.write_bytes(wav.read_bytes()[:200_000])


def silent_user(path: Path) -> None:
    hand_made(path, (2.5, 3.5), user=())


def other_user(path: Path) -> None:
    hand_made(path, (2.5, 3.5), user=((1.0, 2.3),))


def no_facts(path: Path) -> None:
    with RecordingWriter(path, {"agent": "hand"}):
        pass


def no_ticks(path: Path) -> None:
    with RecordingWriter(path, {"agent": "hand", "facts": asdict(facts())}):
        pass


def no_sound(path: Path) -> None:
    hand_made(path, (2.5, 3.5))
    path.with_suffix(".wav").unlink()


def garbage(path: Path) -> None:
    path.with_suffix(".jsonl").write_text("hello\n")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (truncated, "cut short"),
        (silent_user, "user's channel is silent"),
        (other_user, r"user ends \+300 ms from"),
        (no_facts, "no scenario facts"),
        (no_ticks, "cut short: 0 ticks of 75"),
        (no_sound, "No such file"),
        (garbage, "not a recording"),
    ],
)
def test_what_cannot_be_judged_is_listed_and_counts_in_nothing(tmp_path: Path, spoil: Any, why: str) -> None:
    hand_made(tmp_path / "good", (2.5, 3.5))
    spoil(tmp_path / "spoilt")
    judged = score(tmp_path)
    assert judged["summary"]["n"] == 1 and judged["agent"] == "hand"
    [broken] = judged["broken"]
    assert broken["recording"] == "spoilt"
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(broken["why"])
    assert main(["score", str(tmp_path)]) == 1


def test_an_empty_folder_is_an_error_that_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NotARecording, match="eval run"):
        score(tmp_path)
    assert main(["score", str(tmp_path)]) == 2
    assert "no recordings" in capsys.readouterr().err


def test_the_transcriber_hears_the_agents_speech_only(tmp_path: Path) -> None:
    heard: list[np.ndarray] = []

    def transcribe(pcm: np.ndarray) -> str:
        heard.append(pcm)
        return "It is Paris."

    asked = facts(expect=("paris",))
    spoken = judge(hand_made(tmp_path / "a", (2.5, 3.5)), asked, transcribe)
    assert spoken.transcript == "It is Paris." and spoken.right is True
    assert len(heard[0]) == pytest.approx(1.4 * 24_000, abs=1)  # a second of speech, 200 ms either side
    assert judge(hand_made(tmp_path / "b"), asked, transcribe).transcript == "" and len(heard) == 1


@pytest.mark.parametrize(
    ("answer", "said", "right"), [([(2.5, 3.5)], "Four.", True), ([(2.5, 3.5)], "fourteen", False), ([], "four", None)]
)
def test_right_is_asked_only_of_answers(tmp_path: Path, answer: Any, said: str, right: bool | None) -> None:
    recording = hand_made(tmp_path / "a", *answer, said=lambda t: {"text": said if t == 40 else ""})
    assert judge(recording, facts(expect=("four",))).right is right


def test_words_are_whole_and_caseless() -> None:
    assert holds_word("PARIS, of course", ["paris"]) and holds_word("it is 4.", ["four", "4"])
    assert not holds_word("24 of them", ["4"]) and not holds_word("", ["4"])


def test_unscorable_says_by_how_much(tmp_path: Path) -> None:
    with pytest.raises(Unscorable, match=r"\+300 ms"):
        check(hand_made(tmp_path / "a", user=((1.0, 2.3),)), facts())


def test_what_recordings_agree_on() -> None:
    assert agreed(["x", "x"]) == "x" and agreed(["x", "y"]) == "mixed" and agreed([]) is None
    assert agreed([{"a": 1, "b": 2}, {"b": 2, "a": 1}]) == {"a": 1, "b": 2}


def test_the_same_speech_is_transcribed_once(tmp_path: Path) -> None:
    hand_made(tmp_path / "a", (2.5, 3.5), said=lambda t: {"text": "Hello." if t == 28 else ""})
    heard: list[int] = []

    def transcribe(pcm: np.ndarray) -> str:
        heard.append(len(pcm))
        return f"Hello {len(heard)}."

    judged = score(tmp_path, transcribe)
    assert len(heard) == 1 and judged["questions"][0]["transcript"] == "Hello 1."
    assert judged["metrics"]["agent_wer"]["value"] == 1.0  # one word too many
