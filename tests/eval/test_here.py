"""Several processes play what one would; what is there already is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.__main__ import main

RUN = ["run", "--agent", "echo", "--suite", "turn-taking", "--n", "3", "--tail", "1"]


def test_several_processes_play_what_one_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, "--out", str(tmp_path / "one")]) == 0
    assert main([*RUN, "--out", str(tmp_path / "two"), "--jobs", "2"]) == 0
    assert "3 played, 0 already there" in capsys.readouterr().out
    played = sorted((tmp_path / "one").glob("*.wav"))
    assert [wav.name for wav in played] == [f"turn-taking-0{i}.wav" for i in (1, 2, 3)]
    assert all(wav.read_bytes() == (tmp_path / "two" / wav.name).read_bytes() for wav in played)
    (tmp_path / "two" / "turn-taking-02.jsonl").unlink()
    assert main([*RUN, "--out", str(tmp_path / "two"), "--jobs", "2"]) == 0
    assert "1 played, 2 already there" in capsys.readouterr().out


def test_several_processes_judge_as_one_does(tmp_path: Path) -> None:
    assert main([*RUN, "--out", str(tmp_path)]) == 0
    (tmp_path / "broken.wav").write_text("no sound")
    assert main(["score", str(tmp_path)]) == 1
    alone = (tmp_path / "scores.json").read_text()
    assert main(["score", str(tmp_path), "--jobs", "2"]) == 1
    assert (tmp_path / "scores.json").read_text() == alone and "no sound" not in alone and "broken" in alone
    assert main(["score", str(tmp_path), "--jobs", "0"]) == 2


def test_what_goes_wrong_in_a_process_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, "--out", str(tmp_path), "--jobs", "2", "--set", "delay=3"]) == 2
    assert "delay" in capsys.readouterr().err
    assert main([*RUN, "--out", str(tmp_path), "--jobs", "0"]) == 2
    assert main([*RUN, "--out", str(tmp_path), "--jobs", "2", "--url", "ws://127.0.0.1:1"]) == 2


def test_a_scored_folder_has_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, "--out", str(tmp_path)]) == 0 and main(["score", str(tmp_path)]) == 0
    assert main(["view", str(tmp_path), "--print"]) == 0
    page = tmp_path / "report.html"
    assert capsys.readouterr().out.endswith(f"{page}\n") and "turn-taking-03" in page.read_text()
    assert main(["view", str(tmp_path / "nothing"), "--print"]) == 2
