"""The demo from end to end, over a real server process with a scripted agent; and the judge's own ear."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from eval import demo
from eval.__main__ import main
from eval.process import free_port, running, serve_command

MADE = {"command": "demo", "date": "today"}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds to answer in, and an ear that needs no weights."""
    monkeypatch.setattr(demo, "TAIL_S", 2.0)
    monkeypatch.setattr(demo, "whisper", lambda: lambda pcm: "a tone")


@pytest.mark.usefixtures("short")
def test_demo_measures_a_known_agent_through_the_server(tmp_path: Path) -> None:
    shown = demo.demo(tmp_path, 2, 0, MADE, Console(quiet=True), agents=("scripted",))
    assert shown == json.loads((tmp_path / "summary.json").read_text())
    figures = shown["agents"]["scripted"]
    assert (figures["n"], figures["response_rate"], figures["wire"], figures["pace"]) == (2, 1.0, "pcm", "realtime")
    assert figures["response_latency_ms"]["p50"] == pytest.approx(320, abs=20)  # 240 scripted, 80 of PLAYOUT_LAG
    assert figures["wall_latency_ms"]["p50"] >= figures["response_latency_ms"]["p50"]
    assert "a tone" in (tmp_path / "report.html").read_text()


def test_run_over_a_wire_resumes_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    run = ["run", "--url", f"ws://127.0.0.1:{port}", "--n", "1", "--tail", "1", "--out", str(tmp_path / "echo")]
    with running(serve_command(["echo"], port), f"http://127.0.0.1:{port}/health", tmp_path / "log"):
        assert main([*run, "--agent", "echo"]) == 0
        assert "1 played, 0 already there" in capsys.readouterr().out
        assert main([*run, "--agent", "echo"]) == 0
        assert "0 played, 1 already there" in capsys.readouterr().out
        assert main([*run, "--agent", "native"]) == 2
        assert "has no agent 'native'; it has echo" in capsys.readouterr().err
    assert main([*run, "--agent", "echo"]) == 2
    assert "no duplex server answers" in capsys.readouterr().err
    assert main(["score", str(tmp_path / "echo")]) == 0


def test_whisper_reads_speech_back() -> None:
    from hibari import Hibari

    from eval.transcribe import whisper

    assert "paris" in whisper()(Hibari()("The capital of France is Paris.", seed=0)).lower()
