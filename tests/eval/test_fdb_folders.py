"""Full-Duplex-Bench folders, made from nothing but the published layout: played, written back, scored."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from by_hand import hand_made

from duplex.clients.wav import load_wav
from duplex.config import ConfigError
from duplex.frame import SAMPLE_RATE
from duplex.recording import Recording
from eval.__main__ import main
from eval.fdb import ears, files
from eval.fdb.files import BadSample
from eval.fdb.judge import judge
from eval.fdb.outputs import place, resampled, write_wav
from eval.fdb.samples import Sample, sample_in
from eval.metrics.fdb import Segment, Word, stop_intervals
from eval.scenario import Event, facts_of
from eval.suites import scenarios_of
from eval.suites.smoke import smoke

SECONDS = 6.0
Times = tuple[float, float]


def wav(path: Path, *user: Times, rate_hz: int = 16_000, channels: int = 1, seconds: float = SECONDS) -> None:
    """input.wav: a user who hums at these times."""
    path.parent.mkdir(parents=True, exist_ok=True)
    at = np.arange(round(seconds * rate_hz)) / rate_hz
    on = sum(((at >= begin) & (at < end) for begin, end in user), np.zeros(len(at), bool))
    pcm = np.where(on, 0.3 * np.sin(2 * np.pi * 200 * at), 0)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate_hz, 0, "NONE", ""))
        file.writeframes((np.repeat(pcm[:, None], channels, axis=1) * 32767).astype("<i2").tobytes())


def put(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def transcript(*words: Times) -> dict[str, Any]:
    return {"text": "word", "chunks": [{"text": f"word{i}", "timestamp": list(w)} for i, w in enumerate(words)]}


def turn_taking(folder: Path, **how: Any) -> Path:
    """One turn from 1 to 2 s."""
    wav(folder / "input.wav", (1.0, 2.0), **how)
    put(folder / "turn_taking.json", [{"text": "[TURN-TAKING]", "timestamp": [2.0, 2.3]}])
    put(folder / "transcription.json", transcript((1.0, 1.4), (1.5, 2.0)))
    return folder


def pause(folder: Path) -> Path:
    """From 0.5 to 3.5 s, silent from 1.5 to 2.5."""
    wav(folder / "input.wav", (0.5, 1.5), (2.5, 3.5))
    put(folder / "pause.json", [{"text": "[PAUSE]", "timestamp": [1.5, 2.5]}])
    put(folder / "transcription.json", transcript((0.5, 1.5), (2.5, 3.5)))
    return folder


def interruption(folder: Path) -> Path:
    """A context from 0.5 to 1 s, into whose answer the user speaks from 2 to 3 s."""
    wav(folder / "input.wav", (0.5, 1.0), (2.0, 3.0))
    put(folder / "interrupt.json", [{"context": "Tell me.", "interrupt": "No, wait.", "timestamp": [2.0, 3.0]}])
    return folder


def backchannel(folder: Path) -> Path:
    """A user who never ceases."""
    wav(folder / "input.wav", (0.0, 6.0))
    put(folder / "transcription.json", transcript(*((t / 2, t / 2 + 0.5) for t in range(12))))
    return folder


def overlap(folder: Path) -> Path:
    """v1.5: something sounds from 2 to 3 s."""
    wav(folder / "input.wav", (0.5, 1.0), (2.0, 3.0))
    wav(folder / "clean_input.wav", (0.5, 1.0))
    put(folder / "metadata.json", {"context_text": "Hi.", "current_turn_text": "Yes.", "timestamps": [2.0, 3.0]})
    return folder


def everything(root: Path) -> Path:
    pause(root / "v1_0" / "synthetic_pause" / "1")
    turn_taking(root / "v1_0" / "candor_turn_taking" / "1")
    interruption(root / "v1_0" / "synthetic_interruption" / "1")
    backchannel(root / "v1_0" / "icc_backchannel" / "1")
    put(root / "v1_0" / "icc_gt_distribution.json", {"1": [0.1, 0.5, 0.4]})
    for subset in ("user_interruption", "user_backchannel", "talking_to_other", "background_speech"):
        overlap(root / "v1_5" / subset / "1")
    return root


def run(folder: Path, out: Path, agent: str = "scripted", n: int = 10) -> int:
    return main(["run", "--agent", agent, "--suite", f"fdb:{folder}", "--out", str(out), "--n", str(n)])


def kinds(events: tuple[Event, ...]) -> dict[str, Times]:
    return {e.kind: (round(e.begin / SAMPLE_RATE, 2), round(e.end / SAMPLE_RATE, 2)) for e in events}


# --- reading ----------------------------------------------------------------------------------------------------------


def test_every_task_is_a_scenario_with_what_its_metadata_knows(tmp_path: Path) -> None:
    found = {s.source["fdb"]["task"]: s for s in scenarios_of(f"fdb:{everything(tmp_path)}", 9, 6.0)}
    happens = {task: kinds(s.facts.events) for task, s in found.items()}
    assert happens["v1 pause_handling"] == {"question": (0.5, 3.5), "pause": (1.5, 2.5)}
    assert happens["v1 smooth_turn_taking"] == {"question": (1.0, 2.0)}
    assert happens["v1 backchannel"] == {"question": (0.0, 6.0)}
    assert happens["v1 user_interruption"].keys() == {"question", "interruption"}
    into = {t.removeprefix("v1.5 "): list(k)[1] for t, k in happens.items() if t.startswith("v1.5")}
    assert into == {
        "user_interruption": "interruption",
        "user_backchannel": "backchannel",
        "talking_to_other": "aside",
        "background_speech": "background",
    }
    assert all(k[list(k)[1]] == (2.0, 3.0) for t, k in happens.items() if "1.5" in t or "interruption" in t)
    for scenario in found.values():  # the context is where the ear hears it; nothing is appended
        assert scenario.facts.samples == len(scenario.pcm) == SECONDS * SAMPLE_RATE
        assert scenario.facts == facts_of(json.loads(json.dumps(scenario.meta())))
    assert (
        found["v1 user_interruption"].facts.text == "Tell me." and happens["v1 user_interruption"]["question"][0] == 0.5
    )
    assert found["v1 backchannel"].source["fdb"]["human"] == (0.1, 0.5, 0.4)


@pytest.mark.parametrize(("rate_hz", "channels"), [(16_000, 1), (48_000, 2), (44_100, 1), (24_000, 2), (8_000, 1)])
def test_any_rate_becomes_24_khz_mono_and_output_wav_has_it_again(tmp_path: Path, rate_hz: int, channels: int) -> None:
    """An echo says what it heard, one tick late."""
    turn_taking(tmp_path / "in" / "7", rate_hz=rate_hz, channels=channels, seconds=3.0123)
    assert run(tmp_path / "in", tmp_path / "run", "echo") == 0
    assert main(["fdb", str(tmp_path / "run"), "--out", str(tmp_path / "out")]) == 0
    with (
        wave.open(str(tmp_path / "in" / "7" / "input.wav")) as given,
        wave.open(str(tmp_path / "out" / "7" / "output.wav")) as made,
    ):
        assert made.getnframes() == given.getnframes()
        assert made.getframerate() == rate_hz and made.getnchannels() == 1 and made.getsampwidth() == 2
    heard, said = (load_wav(tmp_path / where) for where in ("in/7/input.wav", "out/7/output.wav"))
    late = round(0.08 * SAMPLE_RATE)
    assert np.corrcoef(heard[:-late], said[late:])[0, 1] > 0.999


def test_n_is_of_each_subset_and_numbers_stay(tmp_path: Path) -> None:
    for subset in ("a", "b"):
        for i in (1, 2, 10):
            turn_taking(tmp_path / subset / str(i))
    two, three = (scenarios_of(f"fdb:{tmp_path}", n, 0.0) for n in (2, 3))
    assert [s.source["fdb"]["path"] for s in three] == ["a/1", "a/2", "a/10", "b/1", "b/2", "b/10"]
    assert [s.id for s in two] == ["fdb-0001", "fdb-0002", "fdb-0004", "fdb-0005"]
    assert [s.id for s in two[1:3]] == ["fdb-0002", "fdb-0004"]


def test_a_pause_without_a_transcript_is_heard(tmp_path: Path) -> None:
    (pause(tmp_path / "1") / "transcription.json").unlink()
    [scenario] = scenarios_of(f"fdb:{tmp_path}", 1, 0.0)
    assert kinds(scenario.facts.events)["question"] == (0.5, 3.5)


def no_sound(folder: Path) -> None:
    (folder / "input.wav").unlink()


def empty_sound(folder: Path) -> None:
    wav(folder / "input.wav", seconds=0.0)


def noise_for_sound(folder: Path) -> None:
    (folder / "input.wav").write_bytes(b"not sound")


def no_metadata(folder: Path) -> None:
    (folder / "turn_taking.json").unlink()
    (folder / "transcription.json").unlink()


def not_json(folder: Path) -> None:
    (folder / "turn_taking.json").write_text("[{")


def not_a_list(folder: Path) -> None:
    put(folder / "turn_taking.json", {"timestamp": [2.0, 2.3]})


def no_objects(folder: Path) -> None:
    put(folder / "turn_taking.json", [])


def no_times(folder: Path) -> None:
    put(folder / "turn_taking.json", [{"text": "[TURN-TAKING]"}])


def not_a_number(folder: Path) -> None:
    (folder / "turn_taking.json").write_text('[{"timestamp": [NaN, 3.0]}]')


def after_the_end(folder: Path) -> None:
    put(folder / "turn_taking.json", [{"timestamp": [6.5, 7.0]}])


def before_the_user(folder: Path) -> None:
    put(folder / "turn_taking.json", [{"timestamp": [0.5, 7.0]}])


def broken_words(folder: Path) -> None:
    put(folder / "transcription.json", {"chunks": [{"text": "hi", "timestamp": 1.0}]})


def nobody(folder: Path) -> None:
    put(folder / "transcription.json", {"text": "", "chunks": []})


def pause_elsewhere(folder: Path) -> None:
    put(folder / "pause.json", [{"timestamp": [2.5, 3.5]}])


def odd_subset(folder: Path) -> None:
    put(folder / "metadata.json", {"timestamps": [1.0, 2.0]})


def lost_all(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (no_sound, r"2/input\.wav: no such file"),
        (empty_sound, r"2/input\.wav: holds no samples"),
        (noise_for_sound, r"2/input\.wav: not a WAV file"),
        (no_metadata, r"s/2: expected pause\.json, turn_taking\.json, .* or metadata\.json beside input\.wav"),
        (not_json, r"turn_taking\.json: not JSON"),
        (not_a_list, r"turn_taking\.json: expected a list of one object"),
        (no_objects, r"turn_taking\.json: expected a list of one object"),
        (no_times, r"turn_taking\.json: 'timestamp' must be \[start, end\] in seconds, got None"),
        (not_a_number, r"turn_taking\.json: 'timestamp' must be \[start, end\]"),
        (after_the_end, r"turn_taking\.json: 'timestamp' begins at 6\.5 s, but input\.wav ends at 6 s"),
        (before_the_user, r"turn_taking\.json: expected the user's turn to end after he began, got 0\.5 s"),
        (broken_words, r"transcription\.json: a word needs 'timestamp'"),
        (nobody, r"transcription\.json: expected somebody to speak"),
        (pause_elsewhere, r"pause\.json: expected a pause within the user's speech, 1\.00 to 2\.00 s"),
        (odd_subset, r"metadata\.json: expected below a folder named user_interruption, .* not 's'"),
        (lost_all, r"2/input\.wav: no such file"),
    ],
)
def test_a_broken_sample_is_refused_and_the_others_are_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Any, why: str
) -> None:
    turn_taking(tmp_path / "s" / "1")
    spoil(turn_taking(tmp_path / "s" / "2"))
    refused: list[str] = []
    assert [s.id for s in scenarios_of(f"fdb:{tmp_path}", 9, 0.0, refused.append)] == ["fdb-0001"]
    [reason] = refused
    with pytest.raises(ConfigError, match=why):
        scenarios_of(f"fdb:{tmp_path}", 9, 0.0)
    if spoil is no_sound:
        assert run(tmp_path, tmp_path / "run", "echo") == 1
        assert f"not played: {reason}" in capsys.readouterr().err
        assert [p.stem for p in (tmp_path / "run").glob("*.wav")] == ["fdb-0001"]


@pytest.mark.parametrize(("make", "why"), [(lambda p: None, "0 found"), (turn_taking, "is one sample")])
def test_a_folder_of_no_samples_is_an_error_for_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Any, why: str
) -> None:
    make(tmp_path)
    assert run(tmp_path, tmp_path / "run") == 2 and why in capsys.readouterr().err
    assert run(tmp_path / "gone", tmp_path / "run") == 2 and "no such folder" in capsys.readouterr().err


# --- writing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../x", "/etc", "a/../../x", "a//b", ".", "", "a/./b", "a\\..\\b", "a\0b"])
def test_a_name_that_leads_elsewhere_is_never_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadSample, match="no place inside"):
        place(tmp_path / "out", name, "output.wav")


def test_a_link_that_leads_elsewhere_is_never_followed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadSample):
        place(tmp_path / "out", "a", "output.wav")
    assert place(tmp_path / "out", "b/c", "output.wav") == tmp_path / "out" / "b" / "c" / "output.wav"


def test_a_header_that_was_tampered_with_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    turn_taking(tmp_path / "in" / "1")
    assert run(tmp_path / "in", tmp_path / "run") == 0
    header = tmp_path / "run" / "fdb-0001.jsonl"
    header.write_text(header.read_text().replace('"path":"1"', '"path":"../../1"'))
    before = sorted(tmp_path.rglob("*"))
    assert main(["fdb", str(tmp_path / "run"), "--out", str(tmp_path / "out")]) == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert "no place inside" in capsys.readouterr().err


def test_recordings_of_another_suite_are_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fdb", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "no recordings" in capsys.readouterr().err
    hand_made(tmp_path / "a", (2.5, 3.5))
    assert main(["fdb", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "a: not of a Full-Duplex-Bench sample" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_outputs_may_lie_beside_the_inputs_and_inputs_stay(tmp_path: Path) -> None:
    folder = turn_taking(tmp_path / "in" / "odd name, ünï" / "1")
    before = (folder / "input.wav").read_bytes()
    assert run(tmp_path / "in", tmp_path / "run") == 0
    assert main(["fdb", str(tmp_path / "run"), "--out", str(tmp_path / "in")]) == 0
    assert (folder / "input.wav").read_bytes() == before
    said = np.flatnonzero(np.abs(load_wav(folder / "output.wav")) > 0.1)
    assert said[0] / SAMPLE_RATE == pytest.approx(2.24 + 0.08, abs=0.005)  # the scripted agent answers after 240 ms
    assert run(tmp_path / "in", tmp_path / "run") == 0  # what was written is no metadata


# --- scoring ----------------------------------------------------------------------------------------------------------


def test_words_survive_output_json(tmp_path: Path) -> None:
    said = [Word(0.5, 0.9, "so"), Word(1.0, None, "it")]
    (tmp_path / "output.json").write_text(files.as_json(said))
    assert files.words(tmp_path / "output.json") == said
    put(tmp_path / "output.json", [{"text": "so ", "timestamp": [0.5, 0.9]}])
    assert files.words(tmp_path / "output.json") == said[:1]


def recorded(tmp_path: Path, make: Any, agent: str = "scripted") -> tuple[Recording, Sample]:
    make(tmp_path / "in" / "user_interruption" / "1")
    assert run(tmp_path / "in", tmp_path / "run", agent) == 0
    recording = Recording.open(tmp_path / "run" / "fdb-0001")
    sample = sample_in(recording.meta)
    assert sample is not None
    return recording, sample


def hearing(words: list[Word], segments: list[Segment] | None = None) -> ears.Ears:
    return ears.Ears(lambda recording, sample: words, "by hand", lambda pcm: segments or [])


def test_each_task_is_judged_by_its_own_rule(tmp_path: Path) -> None:
    said = [Word(1.6, 1.9), Word(2.4, 2.7), Word(4.0, 4.6)]
    found = {}
    for make in (pause, turn_taking, interruption, backchannel):
        recording, sample = recorded(tmp_path / make.__name__, make)
        found[sample.task] = judge(recording, sample, hearing(said, [Segment(1.6, 1.9)]))
    assert found["v1 pause_handling"] == {"tor": 1.0}
    assert found["v1 smooth_turn_taking"] == {"tor": 1.0, "latency_s": 0.0}
    assert found["v1 user_interruption"] == {"tor": 0.0, "latency_s": None}  # one short word after 3 s
    assert found["v1 backchannel"] == {"tor": 0.0, "freq_per_s": pytest.approx(1 / 6), "jsd": None}


def test_who_talks_on_answers_an_interruption_at_once(tmp_path: Path) -> None:
    recording, sample = recorded(tmp_path, interruption)
    talks_on = [Word(t / 2, t / 2 + 0.5) for t in range(12)]
    assert judge(recording, sample, hearing(talks_on)) == {"tor": 1.0, "latency_s": 0.0}


def test_a_transcriber_of_an_interruption_hears_only_what_follows_it(tmp_path: Path) -> None:
    recording, sample = recorded(tmp_path, interruption)
    lengths: list[int] = []

    def listen(pcm: np.ndarray) -> list[Word]:
        lengths.append(len(pcm))
        return [Word(0.2, 0.5, "yes")]

    [word] = ears.heard(listen)(recording, sample)
    assert word.start == pytest.approx(3.24 + 0.08, abs=0.05)  # the reply to what ends at 3 s
    assert lengths == [pytest.approx(2.4 * SAMPLE_RATE, abs=0.05 * SAMPLE_RATE)]


def test_the_agents_own_text_is_words_on_the_recordings_clock(tmp_path: Path) -> None:
    recording, sample = recorded(tmp_path, turn_taking)
    [word] = ears.own_text(recording, sample)
    assert word.text == "tone" and word.start == pytest.approx(2.32, abs=0.08)
    assert word.end == pytest.approx(word.start + 0.08)


def test_the_intervals_are_of_the_sound_itself(tmp_path: Path) -> None:
    """An ear that takes loudness for speech; the scripted agent stops 160 ms after it is talked into."""
    recording, sample = recorded(tmp_path, overlap)

    def loud(pcm: np.ndarray) -> list[Segment]:
        at = np.flatnonzero(np.abs(pcm) > 0.1) / ears.SILERO_HZ
        edges = np.flatnonzero(np.diff(at) > 0.05)
        starts, ends = [at[0], *at[edges + 1]], [*at[edges], at[-1]]
        return [Segment(float(a), float(b)) for a, b in zip(starts, ends, strict=True)]

    found = judge(recording, sample, ears.Ears(ears.own_text, "", loud))
    [[begin, end]] = found["latency_stop_list"]
    assert begin == pytest.approx(2.0, abs=0.01) and end == pytest.approx(2.16 + 0.08, abs=0.01)
    first, second = found["latency_resp_list"]
    assert second == [pytest.approx(3.0, abs=0.01), pytest.approx(3.32, abs=0.01)]
    assert first == [pytest.approx(1.0, abs=0.01), pytest.approx(1.32, abs=0.01)]
    assert stop_intervals([Segment(2.0, 3.0)], [Segment(1.32, 2.24)]) == [Segment(2.0, 2.24)]


def test_silero_finds_a_spoken_question() -> None:
    [asked] = smoke(1)
    [found] = ears.silero()(resampled(asked.pcm, ears.SILERO_HZ))
    user = asked.facts.user
    assert found.start == pytest.approx(user.begin / SAMPLE_RATE, abs=0.15)
    assert found.end == pytest.approx(user.end / SAMPLE_RATE, abs=0.15)


def test_from_a_folder_to_both_kinds_of_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    everything(tmp_path / "in")
    out = tmp_path / "run"
    assert run(tmp_path / "in", out) == 0
    assert run(tmp_path / "in", out) == 0 and "0 played, 8 already there" in capsys.readouterr().out
    assert main(["score", str(out)]) == 0
    strict = json.loads((out / "scores.json").read_text())
    assert "fdb" not in strict and strict["metrics"]["response_rate"]["n"] > 0
    assert main(["score", str(out), "--fdb-compat"]) == 0
    both = json.loads((out / "scores.json").read_text())
    added = both.pop("fdb")
    assert both == strict  # the strict numbers know nothing of the others
    assert {s["sample"] for s in added["samples"]} == {
        p.parent.relative_to(tmp_path / "in").as_posix() for p in (tmp_path / "in").rglob("input.wav")
    }
    tasks = added["tasks"]
    assert len(tasks) == 8 and all(task["n"] == 1 for task in tasks.values())
    assert tasks["v1 pause_handling"]["tor"] == {"value": 1.0, "n": 1, "unit": "share of clips"}
    assert tasks["v1 pause_handling"]["strict"]["premature_takeover_rate"]["value"] == 0.0  # two short replies
    assert (
        tasks["v1 smooth_turn_taking"]["tor"]["value"] == 0.0 and tasks["v1 smooth_turn_taking"]["latency_s"]["n"] == 0
    )
    assert tasks["v1 smooth_turn_taking"]["strict"]["response_latency_ms"]["value"] == pytest.approx(320, abs=5)
    printed = capsys.readouterr().out
    for words in ("premature_takeover_rate", "tor (1, 2)", "the agent's own text stream"):
        assert words in " ".join(printed.split()), words


def test_words_of_another_transcriber_count_where_they_are_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in (1, 2):
        turn_taking(tmp_path / "in" / str(i))
    out, words = tmp_path / "run", tmp_path / "words"
    assert run(tmp_path / "in", out) == 0
    put(words / "1" / "output.json", transcript((2.4, 3.0), (3.1, 3.6)))
    assert main(["score", str(out), "--fdb-words", str(words)]) == 1
    assert "fdb-0002" in (told := capsys.readouterr().err) and "2/output.json: no such file" in told
    turn = json.loads((out / "scores.json").read_text())["fdb"]["tasks"]["v1 smooth_turn_taking"]
    assert turn["tor"]["value"] == 1.0 and turn["latency_s"]["value"] == pytest.approx(0.4)


def test_compat_needs_recordings_of_these_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    turn_taking(tmp_path / "in" / "1")
    assert run(tmp_path / "in", tmp_path / "run") == 0
    header = tmp_path / "run" / "fdb-0001.jsonl"
    header.write_text(header.read_text().replace('"fdb":{', '"not":{'))
    assert main(["score", str(tmp_path / "run"), "--fdb-compat"]) == 2
    assert "no whole recordings of --suite fdb:FOLDER" in capsys.readouterr().err
    write_wav(tmp_path / "x.wav", np.zeros(5, np.float32), 16_000)
    assert len(load_wav(tmp_path / "x.wav")) == 8
