"""What a protocol costs: every wire on the client's wall clock, turn by turn against our own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from by_hand import Times, facts, hand_made

from duplex.frame import FRAME_SAMPLES, PLAYOUT_LAG, SAMPLE_RATE
from duplex.recording import Recording
from eval.__main__ import main
from eval.judge import Unscorable
from eval.measure import measure
from eval.metrics.response import response
from eval.protocols import protocols
from eval.protocols_table import HEAD
from eval.scenario import Event
from eval.wall import at_client

MADE = {"command": "python -m eval protocols", "date": "today"}
EVENTS = (Event("question", 12_000, 24_000), Event("interruption", 48_000, 62_400))  # 0.5 to 1 s, 2 to 2.6 s
KNOWN = asdict(facts(events=EVENTS))
USER = ((0.5, 1.0), (2.0, 2.6))


def near(ms: float) -> Any:
    return pytest.approx(ms, abs=3)


def conversation(folder: Path, name: str, *agent: Times, late_ms: Callable[[int], float] = lambda t: 0.0, **meta: Any):
    """Whoever asks at 1 s and interrupts at 2 s is answered, let in and answered again as `agent` says."""
    header = {"agent": "hand", "wire": "pcm", "suite": "interruption", "facts": KNOWN, "scenario": name, **meta}
    return hand_made(folder / name, *agent, user=USER, late_ms=late_ms, **header)


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Our own wire, 30 ms late in every tick; another one, recorded as it sounds; each of two conversations."""
    own, other = tmp_path / "own", tmp_path / "other"
    conversation(own, "i-1", (1.3, 2.2), (3.0, 4.0), late_ms=lambda t: 30.0)
    conversation(own, "i-2", (1.2, 2.3), (3.0, 4.0), late_ms=lambda t: 30.0)
    conversation(other, "i-1", (1.4, 2.4), (3.1, 4.0), wire="live")
    conversation(other, "i-2", (1.4, 5.0), wire="live")  # it goes on
    return [other, own]


def test_our_own_wire_sounds_when_it_comes(tmp_path: Path) -> None:
    recording = conversation(tmp_path, "a", (1.3, 2.2), (3.0, 4.0), late_ms=lambda t: 30.0)
    on_wall = at_client(recording)
    found, stream = (measure(each, facts(events=EVENTS)).values for each in (on_wall, recording))
    for metric in ("response_latency_ms", "stop_latency_ms"):
        assert found[metric] == [near((value or 0) + 30) for value in stream[metric]]
    answer = response(recording, facts().user)
    assert answer and found["response_latency_ms"][1] != stream["response_latency_ms"][1]
    assert np.array_equal(on_wall.user, recording.user) and on_wall.ticks == recording.ticks


def test_it_is_the_clock_of_the_score(tmp_path: Path) -> None:
    recording = hand_made(tmp_path / "a", (2.3, 4.0), late_ms=lambda t: 130.0 if t == 20 else 10.0)
    answer = response(recording, facts().user)
    assert answer and answer.wall_latency_ms
    (found,) = measure(at_client(recording), facts()).values["response_latency_ms"]
    assert found == pytest.approx(answer.wall_latency_ms, abs=10)  # what was late once stays late
    assert found == near(430)


def test_a_frame_that_comes_late_leaves_a_gap(tmp_path: Path) -> None:
    recording = hand_made(tmp_path / "a", (1.2, 5.0), late_ms=lambda t: 500.0 if t >= 25 else 0.0)
    voice, begin = at_client(recording).agent, (25 + PLAYOUT_LAG) * FRAME_SAMPLES
    assert not voice[begin : begin + SAMPLE_RATE // 2].any() and voice[begin - 1] and voice[begin + SAMPLE_RATE // 2]


def test_a_telephone_is_on_the_wall_clock_already(tmp_path: Path) -> None:
    hand_made(tmp_path / "a", (1.2, 2.0), pace="unpaced", realtime=True)
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    untold = [{key: value for key, value in line.items() if key != "said_ms"} for line in lines]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in untold))
    recording = Recording.open(tmp_path / "a")
    assert at_client(recording) is recording


def test_what_was_not_made_in_real_time_has_no_wall_clock(tmp_path: Path) -> None:
    with pytest.raises(Unscorable, match="not made in real time"):
        at_client(hand_made(tmp_path / "a", pace="unpaced"))


def test_each_wire_is_held_against_our_own_turn_by_turn(runs: list[Path], tmp_path: Path) -> None:
    result = protocols(runs, tmp_path / "out", MADE)
    assert json.loads((tmp_path / "out" / "protocols.json").read_text()) == result and not result["broken"]
    wires = result["agents"]["hand"]
    assert list(wires) == ["pcm", "live"]
    own, other = wires["pcm"], wires["live"]
    assert own["response_latency_ms"]["beyond"] is None and own["response_rate"]["value"] == 1
    assert own["stop_latency_ms"]["value"] == near(280) and own["stop_latency_ms"]["n"] == 2  # 200 and 300, and 30 more
    beyond = other["response_latency_ms"]["beyond"]  # 400 for 330, 500 for 430, 400 for 230, and none
    assert beyond["value"] == near(70) and (beyond["n"], beyond["missing"]) == (3, 1) and beyond["ci95"]
    assert other["response_rate"]["value"] == 0.75 and other["response_rate"]["beyond"]["value"] == -0.25
    assert other["stop_latency_ms"]["value"] == near(400) and other["stop_latency_ms"]["missing"] == 1
    assert other["stop_latency_ms"]["beyond"]["value"] == near(170)
    assert other["response_latency_ms"]["spread"]["p95"] == near(490)
    assert result["origin"]["hand"]["suites"] == ["interruption"] and "wire" not in result["origin"]["hand"]


def test_the_table_has_a_row_a_wire(runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["protocols", *map(str, runs), "--out", str(tmp_path / "out")]) == 0
    table = (tmp_path / "out" / "protocols.md").read_text()
    assert capsys.readouterr().out.startswith(table)
    head, _, own, other, *_ = table.splitlines()
    assert head == "| " + " | ".join(HEAD) + " |"
    assert own.startswith("| hand | pcm | 100 (100 to 100), n 4 | - |") and own.endswith("| - |")
    assert other.startswith("| hand | live | 75 (50 to 100), n 4 | -25 (-50 to 0), n 4 |")


def test_without_our_own_wire_there_is_nothing_to_differ_from(runs: list[Path], tmp_path: Path) -> None:
    result = protocols(runs[:1], tmp_path / "out", MADE)
    assert result["agents"]["hand"]["live"]["response_latency_ms"]["beyond"] is None


def test_an_event_that_is_void_on_one_wire_is_no_pair(runs: list[Path], tmp_path: Path) -> None:
    conversation(runs[0], "i-1", (3.1, 4.0), wire="live")  # it was not talking
    live = protocols(runs, tmp_path / "out", MADE)["agents"]["hand"]["live"]
    assert live["void"] == {"yield_rate: the agent was not talking": 1}
    assert (live["stop_latency_ms"]["beyond"]["n"], live["stop_latency_ms"]["beyond"]["missing"]) == (0, 1)


def test_what_cannot_be_judged_is_told(runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conversation(runs[0], "i-3", wire="live", pace="unpaced")
    out = ["--out", str(tmp_path / "out")]
    assert main(["protocols", *map(str, runs), *out]) == 1
    assert "not judged: other/i-3: not made in real time" in capsys.readouterr().err
    assert main(["protocols", str(runs[0]), str(runs[0]), *out]) == 2
    assert "hand over live: i-1 was played twice" in capsys.readouterr().err
    assert main(["protocols", str(tmp_path / "nothing"), *out]) == 2
    assert "no recordings made in real time" in capsys.readouterr().err
