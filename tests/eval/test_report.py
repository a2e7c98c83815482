"""The summary, the page and the table: complete, escaped, and without a network."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from by_hand import facts, hand_made

from duplex.config import ConfigError
from duplex.events import Hop
from duplex.frame import SAMPLE_RATE
from eval import page
from eval.__main__ import main
from eval.catalogue import METRICS
from eval.charts import Curve, DotRow, dots, still_talking
from eval.report import compare
from eval.scenario import Event
from eval.score import score
from eval.svg import Axis
from eval.table import HEAD, markdown, rows

EVIL = '<script>alert("x")</script> & "more"'
DRAWINGS = 4 + 2 + 1  # lanes; dots of two latencies; the waterfall
MADE = {"command": "python -m eval compare", "date": "today"}


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Two scored agents; one is slower, says something evil and has hops; neither answers the last question."""
    for agent, onset, said in (("fast", 2.4, "Hello."), ("slow", 3.0, EVIL)):
        told = {22: {"text": said, "events": (Hop("endpoint", 300.0), Hop("release", 900.0))}}
        for name, answer in (("q1", [(onset, 4.0)]), ("q2", [])):
            meta = {"agent": agent, "wire": "pcm", "facts": asdict(facts(text=EVIL))}
            hand_made(tmp_path / agent / name, *answer, said=lambda t, told=told: told.get(t, {}), **meta)
        score(tmp_path / agent)
    return [tmp_path / "fast", tmp_path / "slow"]


def test_summary_has_every_figure_of_every_agent(folders: list[Path], tmp_path: Path) -> None:
    compare(folders, tmp_path / "out", MADE)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["made"] == MADE and "80 ms" in summary["note"]
    assert list(summary["agents"]) == ["fast", "slow"]
    slow = summary["agents"]["slow"]
    assert (slow["n"], slow["response_rate"], slow["missing"], slow["broken"]) == (2, 0.5, 1, 0)
    latency = slow["response_latency_ms"]
    assert (latency["p50"], latency["max"], latency["n"], latency["missing"]) == (1000.0, 1000.0, 1, 1)
    assert slow["wall_latency_ms"] == latency
    assert slow["hops_ms"]["release"]["p50"] == 900.0
    assert (slow["wire"], slow["pace"]) == ("pcm", "realtime")


def test_the_comparison_has_every_metric_of_every_agent(folders: list[Path], tmp_path: Path) -> None:
    compare(folders, tmp_path / "out", MADE)
    comparison = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert comparison["origin"]["slow"]["wire"] == "pcm" and comparison["made"] == MADE
    for metrics in comparison["agents"].values():
        assert set(metrics) == set(METRICS)
        assert all(
            set(m) == {"value", "unit", "n", "missing", "ci95", "direction", "version"} for m in metrics.values()
        )
    latency = comparison["agents"]["slow"]["response_latency_ms"]
    assert latency["value"] == pytest.approx(1000, abs=3) and (latency["n"], latency["missing"]) == (1, 1)


class Page(HTMLParser):
    """Every tag, and whatever the page would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]


def test_page_stands_alone_and_shows_everything(folders: list[Path], tmp_path: Path) -> None:
    compare(folders, tmp_path / "out", MADE)
    text = (tmp_path / "out" / "report.html").read_text()
    shown = Page(text)
    assert shown.tags.count("section") == 2 and shown.tags.count("audio") == 4 and shown.tags.count("svg") == DRAWINGS
    assert shown.tags.count("script") == 1  # ours; the agent's words are text
    assert all(load.startswith("data:audio/ogg;base64,T2dnUw") or load.endswith(".wav") for load in shown.loads)
    assert all((tmp_path / "out" / load).exists() for load in shown.loads if load.endswith(".wav"))
    assert "gave no answer" in text and re.search(r"answered (999|100\d) ms after", text) and "endpoint" in text
    assert len(text) < 2_000_000


def test_every_wait_has_its_waterfall(folders: list[Path], tmp_path: Path) -> None:
    compare(folders, tmp_path / "out", MADE)
    text = (tmp_path / "out" / "report.html").read_text()
    lines = re.findall(r'<p class="quiet">([a-z0-9 +]+) ms on the wall clock</p>', text)
    assert lines == ["leading silence 440"] * 2  # the agent's own account of a tick; no other leg took any time
    assert text.count('class="leg"') == 2


def test_every_drawing_is_well_formed(folders: list[Path], tmp_path: Path) -> None:
    compare(folders, tmp_path / "out", MADE)
    drawings = re.findall(r"<svg.*?</svg>", (tmp_path / "out" / "report.html").read_text(), re.DOTALL)
    assert [ElementTree.fromstring(svg).tag for svg in drawings] == ["svg"] * DRAWINGS


def test_two_folders_of_one_agent_go_by_their_own_names(folders: list[Path], tmp_path: Path) -> None:
    shutil.copytree(folders[0], tmp_path / "again")
    assert list(compare([folders[0], tmp_path / "again"], tmp_path / "out", MADE)["agents"]) == ["fast", "again"]
    shutil.copytree(folders[0], tmp_path / "deeper" / "fast")
    with pytest.raises(ConfigError, match="cannot tell"):
        compare([folders[0], tmp_path / "deeper" / "fast"], tmp_path / "out", MADE)


def test_unscored_folders_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "python -m eval score" in capsys.readouterr().err


def test_compare_prints_markdown(folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *map(str, folders), "--out", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| " + " | ".join(HEAD) + " |"
    assert lines[3] == "| slow |  | 2 | 1/2 |  | 1000 | 1000 | 1000 | 1000 |"


def test_a_table_without_answers_shows_dashes() -> None:
    nothing = {"p50": None, "p90": None, "n": 0}
    summary = {"n": 1, "answered": 0, "right": {"right": 0, "n": 0}}
    body = rows({"mute": {**summary, "response_latency_ms": nothing, "wall_latency_ms": nothing}})
    assert body == [["mute", "", "1", "0/1", "", "-", "-", "-", "-"]]
    assert markdown(("a", "b", "c"), [["1", "2", "3"]]).splitlines()[1] == "| --- | --- | ---: |"


def test_dots_count_every_value() -> None:
    drawing = ElementTree.fromstring(dots([DotRow("a", "stream", [-300.0, None, 250.0]), DotRow("b", "wall", [])]))
    assert len(drawing.findall("circle")) == 2
    assert "n = 3, 1 missing" in {text.text for text in drawing.findall("text")}
    assert Axis(-250, 750, 100, 1100).x(0) == 350


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    """Three conversations: the agent stops after 400 ms and answers, goes on, and was not talking."""
    events = (Event("question", at(0.5), at(1.0), "Tell me."), Event("interruption", at(2.0), at(2.6), "Wait."))
    known = asdict(facts(events=events))
    for name, agent in (("i-1", [(1.2, 2.4), (3.1, 4.0)]), ("i-2", [(1.2, 5.5)]), ("i-3", [(3.1, 4.0)])):
        hand_made(tmp_path / "one" / name, *agent, user=((0.5, 1.0), (2.0, 2.6)), facts=known)
    score(tmp_path / "one")
    return tmp_path / "one"


def at(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


def test_the_page_tells_how_each_event_was_met(interrupted: Path, tmp_path: Path) -> None:
    compare([interrupted], tmp_path / "out", MADE)
    text = (tmp_path / "out" / "report.html").read_text()
    assert re.search(
        r"interruption at 2\.0 s, fell silent after (39|40)\d ms, answered (49|50)\d ms after its end", text
    )
    assert "interruption at 2.0 s, went on talking, gave no answer" in text
    assert "n = 2, 1 went on" in text  # the third was not talking


def test_what_would_be_too_much_sound_plays_from_its_file(
    interrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "EMBEDDED_S", 13.0)  # two conversations of 6 s
    compare([interrupted], tmp_path / "out", MADE)
    loads = Page((tmp_path / "out" / "report.html").read_text()).loads
    assert sum(load.startswith("data:") for load in loads) == 2 and loads.count("../one/i-3.wav") == 2


def test_markdown_and_csv_say_the_same(interrupted: Path, tmp_path: Path) -> None:
    compare([interrupted], tmp_path / "out", MADE)
    assert (
        "| Stops within 2 s \u2191 | % of interruptions | 50 (0 to 100), n 2 |"
        in (tmp_path / "out" / "report.md").read_text()
    )
    with (tmp_path / "out" / "metrics.csv").open(newline="") as file:
        found = {row["metric"]: row for row in csv.DictReader(file)}
    assert set(found) == set(METRICS)
    assert (found["yield_rate"]["value"], found["yield_rate"]["n"], found["yield_rate"]["ci95_high"]) == (
        "0.5",
        "2",
        "1.0",
    )
    assert found["unprompted_speech_rate"]["value"] == "" and found["stop_latency_ms"]["missing"] == "1"


def test_a_reference_is_at_no_distance_from_itself(interrupted: Path, tmp_path: Path) -> None:
    compare([interrupted], tmp_path / "out", MADE, reference=interrupted)
    shared = json.loads((tmp_path / "out" / "comparison.json").read_text())["dgslm"]["hand"]
    assert shared["gap"]["n"] > 0 and shared["gap"]["distance_s"] == 0
    compare([interrupted], tmp_path / "out", MADE)
    assert json.loads((tmp_path / "out" / "comparison.json").read_text())["dgslm"]["hand"]["gap"]["distance_s"] is None


def test_who_still_talks_falls_with_every_stop() -> None:
    drawing = ElementTree.fromstring(still_talking([Curve("a", "agent0", [250.0, None, 750.0, 2500.0])], 2000))
    (path,) = drawing.findall("path")
    assert path.attrib["d"].count("V") == 3 and "a: n = 4, 1 went on" in {t.text for t in drawing.findall("text")}
