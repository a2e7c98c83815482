"""The ledgers on recordings made by hand, whose tokens and times are known, and on agents of known delay."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from by_hand import facts, hand_made, tone

from duplex.agents import open_agent
from duplex.events import Hop, Made, Took, Wasted
from duplex.frame import SAMPLE_RATE, Event
from duplex.recording import Recording
from duplex.turns import Span
from eval import scenario
from eval.__main__ import main
from eval.ledger import entry, ledger
from eval.ledger_table import tables
from eval.measure import measure
from eval.metrics import ticks
from eval.metrics.hops import hops
from eval.metrics.tokens import audible_ticks
from eval.metrics.waits import LEGS, wait
from eval.play import in_process
from eval.scenario import Facts, Scenario
from eval.score import score

MOSHI = {"name": "native", "codebooks": 8}
CASCADE = {"name": "cascade", "codebooks": 0}
END_MS = 1980.0  # of the user, 20 ms before a frame is complete
ASKED = facts(user_end_sample=round(END_MS * 24))
HOPS = {  # the agent takes 2000 ms for the end; what it tells counts from there
    30: (Hop("endpoint", 480.0), Hop("stt", 300.0)),  # in tick 30, which ends at 2480; transcribed in the pause
    31: (Hop("llm_first_token", 520.0),),
    32: (Hop("first_sentence", 560.0), Hop("tts_first_chunk", 600.0), Hop("release", 660.0)),  # sounds from 2640 on
}
HEARD_MS = 2660.0  # its first audible sample


def told(events: dict[int, tuple[Event, ...]]) -> Any:
    return lambda t: {"events": events.get(t, ())}


def ledger_of(*recordings: Recording, known: Facts = ASKED) -> dict[str, Any]:
    return ledger([entry(recording, known, measure(recording, known)) for recording in recordings])


def asked(path: Path, *agent: tuple[float, float], **how: Any) -> Recording:
    return hand_made(path, *agent, user=((1.0, END_MS / 1000),), **how)


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_the_codes_of_silence_are_generated_and_played_but_say_nothing(tmp_path: Path) -> None:
    words = {27: "Well, ", 29: "yes. "}
    recording = asked(
        tmp_path / "a", (2.3, 4.0), capabilities=MOSHI, said=lambda t: {"text": words.get(t, ""), "events": ()}
    )
    flows = ledger_of(recording)["tokens"]["flows"]
    codes, text = flows["codes"], flows["text"]
    # 6 s are 75 ticks; 2.3 to 4.0 s touch 22 frames of 80 ms
    assert (codes["heard"], codes["generated"], codes["played"], codes["silent"]) == (600, 600, 176, 424)
    assert codes["thrown_away"] == 0 and codes["efficiency"] == pytest.approx(176 / 600, abs=1e-3)
    assert (text["generated"], text["played"], text["silent"]) == (75, 2, 73)
    assert codes["predicted"]["generated"] == 600 and codes["gap"]["generated"] == codes["gap"]["heard"] == 0
    assert codes["gap"]["played"] == pytest.approx(176 - 170, abs=1)  # whole frames
    assert text["gap"]["generated"] == 0 and text["gap"]["played"] is None


def test_a_frame_sounds_when_any_of_it_does() -> None:
    frame = 1920
    assert audible_ticks([Span(2 * frame, 3 * frame)], 75) == 1
    assert audible_ticks([Span(2 * frame, 3 * frame + 1), Span(3 * frame + 5, 3 * frame + 6)], 75) == 2
    assert audible_ticks([Span(0, frame)], 75) == 0 and audible_ticks([Span(2 * frame, 9 * frame)], 3) == 2


def spent(path: Path) -> Recording:
    """A guess that was dropped, and an answer of 4 s that was cut off after 1."""
    events: dict[int, tuple[Event, ...]] = {
        20: (Made(700.0, 2, 0, 0.0), Wasted(700.0, 2, 0, 0.0, why="unused")),
        **HOPS,
        34: (Made(980.0, 20, 80, 4000.0),),
        46: (Wasted(0.0, 15, 60, 2900.0, why="interrupted"),),
    }
    words = {33: " Twenty letters of it"}
    said = lambda t: {"events": events.get(t, ()), "text": words.get(t, "")}  # noqa: E731
    return asked(path, (HEARD_MS / 1000, 3.66), capabilities=CASCADE, said=said)


def test_what_a_cascade_threw_away_is_told_and_why(tmp_path: Path) -> None:
    tokens = ledger_of(spent(tmp_path / "a"))["tokens"]
    flows = tokens["flows"]
    assert (flows["stt"]["heard"], flows["stt"]["thrown_away"]) == (1.68, 0.7)
    assert [flows["llm"][key] for key in ("generated", "played", "thrown_away")] == [22, 5, 17]
    assert [flows["letters"][key] for key in ("generated", "played", "thrown_away")] == [80, 20, 60]
    tts = flows["tts"]
    assert (tts["generated"], tts["thrown_away"]) == (4.0, 2.9) and tts["played"] == pytest.approx(1.0, abs=0.01)
    assert tts["silent"] == pytest.approx(0.1, abs=0.01)  # the rest: made, not thrown away, not audible
    assert tokens["thrown_by"]["unused"] == {"heard_ms": 700.0, "pieces": 2, "letters": 0, "voiced_ms": 0.0}
    assert tokens["thrown_by"]["interrupted"]["voiced_ms"] == 2900.0 and tokens["open_answers"] == 0


def test_the_budget_knows_nothing_of_waste(tmp_path: Path) -> None:
    flows = ledger_of(spent(tmp_path / "a"))["tokens"]["flows"]
    assert flows["stt"]["predicted"]["heard"] == pytest.approx(0.98)
    assert flows["stt"]["gap"]["heard"] == pytest.approx(0.7)
    assert flows["tts"]["gap"]["generated"] == pytest.approx(3.0, abs=0.01)
    assert flows["letters"]["predicted"]["generated"] == pytest.approx(15.0, abs=0.2)  # a second at 150 words of 6
    assert flows["llm"]["predicted"]["generated"] is None and flows["llm"]["gap"]["generated"] is None


def test_amounts_add_up_over_recordings_and_one_that_does_not_know_leaves_none(tmp_path: Path) -> None:
    one, two = spent(tmp_path / "a"), spent(tmp_path / "b")
    assert ledger_of(one, two)["tokens"]["flows"]["llm"]["thrown_away"] == 34
    old = asked(tmp_path / "c", (HEARD_MS / 1000, 3.66), capabilities=CASCADE, said=told(HOPS))
    flows = ledger_of(one, old)["tokens"]["flows"]
    assert flows["llm"]["generated"] is None and flows["tts"]["thrown_away"] is None
    assert flows["tts"]["played"] == pytest.approx(2.0, abs=0.02)


def test_an_answer_in_the_making_is_counted_as_missing(tmp_path: Path) -> None:
    before = {10: (Hop("endpoint", 400.0),), 12: (Made(),)}
    made = asked(tmp_path / "a", capabilities=CASCADE, said=told(before | HOPS))
    assert ledger_of(made)["tokens"]["open_answers"] == 1


def test_a_cascade_that_nobody_spoke_to_spent_nothing(tmp_path: Path) -> None:
    flows = ledger_of(asked(tmp_path / "a", capabilities=CASCADE))["tokens"]["flows"]
    assert flows["llm"]["generated"] == 0 and flows["tts"]["efficiency"] is None


# --- latency ----------------------------------------------------------------------------------------------------------

ADDED = {"capture": 20, "endpoint": 480, "stt": 0, "llm": 40, "sentence": 40, "tts": 40, "release": 40}


def test_a_cascades_wait_is_the_sum_of_what_its_stages_add(tmp_path: Path) -> None:
    recording = asked(tmp_path / "a", (HEARD_MS / 1000, 4.0), pace="unpaced", said=told(HOPS))
    found = wait(recording, ASKED.user_end_sample, round(HEARD_MS * 24))
    assert found.clock == "stream" and found.total_ms == pytest.approx(680)
    assert found.legs == pytest.approx(ADDED | {"leading_silence": 20}) and found.residual_ms == pytest.approx(0)
    assert list(found.legs) == [leg for leg in LEGS if leg in found.legs]
    assert hops(recording, round(HEARD_MS * 24))["stt"] == 300  # done in the pause: it adds nothing
    later = wait(recording, ASKED.user_end_sample, round(HEARD_MS * 24) + 240)
    assert later.residual_ms == pytest.approx(10)  # what the judge hears 10 ms after the agent thinks it is heard


def test_a_stage_that_nobody_told_of_is_unknown_and_its_time_goes_to_the_next(tmp_path: Path) -> None:
    silent = HOPS | {31: ()}
    recording = asked(tmp_path / "a", (HEARD_MS / 1000, 4.0), pace="unpaced", said=told(silent))
    legs = wait(recording, ASKED.user_end_sample, round(HEARD_MS * 24)).legs
    assert legs["llm"] is None and legs["sentence"] == 80
    stages = ledger_of(recording)["latency"]["stages"]
    assert stages["llm"] == {"p50": None, "p90": None, "n": 0}


def took(slow: int) -> Any:
    """33 ms of the engine's in every tick, 113 in tick `slow`."""
    return lambda t: {"events": (Took(2.0, 5.0, 10.0, 92.0 if t == slow else 12.0, 6.0),)}


def test_on_the_wall_clock_the_engines_stages_are_part_of_the_wait(tmp_path: Path) -> None:
    late = {"late_ms": lambda t: 50.0, "wire": "pcm", "capabilities": MOSHI}
    recording = asked(tmp_path / "a", (2.3, 4.0), said=took(slow=-1), **late)
    found = wait(recording, ASKED.user_end_sample, round(2.3 * SAMPLE_RATE))
    engine = {"queue": 2, "encode": 5, "temporal": 10, "depth": 12, "decode": 6, "transport": 15}
    # said in tick 27, which is complete at 2240; heard from 2300 on, 60 ms into its frame
    own = {"capture": 20, "deciding": 240, "playout": 0, "leading_silence": 60}
    assert found.clock == "wall" and found.total_ms == pytest.approx(320 + 50)
    assert found.legs == pytest.approx(own | engine) and found.residual_ms == pytest.approx(0)
    assert found.first_audio_ms == pytest.approx(2240 + 50 - END_MS)


def test_ticks_are_summed_up_and_the_slow_ones_counted(tmp_path: Path) -> None:
    behind = {40: 130.0, 41: 100.0, 42: 70.0}  # who is late makes the next tick wait
    late = {"late_ms": lambda t: behind.get(t, 50.0), "capabilities": MOSHI}
    recording = asked(tmp_path / "a", (2.3, 4.0), said=took(slow=40), **late)
    assert [legs["queue"] for legs in ticks.legs(recording)[39:44]] == [2, 2, 52, 22, 2]
    latency = ledger_of(recording)["latency"]
    assert latency["ticks"]["stages"]["depth"] == {"p50": 12.0, "p90": 12.0, "n": 75}
    assert latency["ticks"]["stages"]["other"]["p50"] == 15.0
    assert "transport" not in latency["stages"] and "transport" not in latency["ticks"]["stages"]  # no wire, no leg
    assert latency["ticks"]["misses"] == {"missed": 1, "n": 75, "clock": "engine"}
    assert latency["slowest"] == "deciding" and latency["ticks"]["slowest"] == "other"


def test_stages_that_an_old_recording_lacks_are_not_recorded(tmp_path: Path) -> None:
    old = asked(tmp_path / "a", (2.3, 4.0), late_ms=lambda t: 90.0 if t == 3 else 50.0, capabilities=MOSHI)
    made = ledger_of(old)
    assert made["latency"]["stages"]["depth"]["n"] == 0 == made["latency"]["ticks"]["stages"]["temporal"]["n"]
    assert made["latency"]["ticks"]["misses"] == {"missed": 1, "n": 75, "clock": "recorder"}
    _, latency = tables(made)
    assert ["depth", "answer", "0", "not recorded", ""] in latency.rows


def test_an_answer_before_the_end_waits_for_nothing(tmp_path: Path) -> None:
    latency = ledger_of(asked(tmp_path / "a", (1.7, 4.0)), asked(tmp_path / "b"))["latency"]
    assert (latency["n"], latency["missing"], latency["early"], latency["stages"]) == (2, 1, 1, {})


def test_targets_count_what_never_came(tmp_path: Path) -> None:
    late = [asked(tmp_path / str(at), *([(at, at + 1)] if at else ())) for at in (2.48, 3.2, 0)]
    targets = ledger_of(*late)["latency"]["targets"]
    assert targets["first_audio"]["share"] == pytest.approx(1 / 3, abs=1e-3) and targets["first_audio"]["met"] is False
    assert (targets["turn"]["n"], targets["turn"]["asked"]) == (2, 3) and targets["barge_in"]["met"] is None
    spoken = (("question", 0.5, 1.0), ("interruption", 2.0, 2.6))
    events = tuple(scenario.Event(k, round(a * SAMPLE_RATE), round(b * SAMPLE_RATE)) for k, a, b in spoken)
    known = facts(events=events)
    stopped = hand_made(tmp_path / "s", (1.2, 2.4), (3.1, 4.0), user=((0.5, 1.0), (2.0, 2.6)))
    barge_in = ledger_of(stopped, known=known)["latency"]["targets"]["barge_in"]
    assert barge_in["p50"] == pytest.approx(400, abs=3) and barge_in["met"] is True


# --- from agents to tables --------------------------------------------------------------------------------------------


def played(path: Path, agent: str, settings: dict[str, Any]) -> Recording:
    said = Scenario("tone", tone((1.0, END_MS / 1000)), ASKED)

    async def play() -> None:
        opened = open_agent(agent, settings)
        await in_process(opened, paced=False, seed=0)(said, path, {"pace": "unpaced", **said.meta()})
        await opened.close()

    asyncio.run(play())
    return Recording.open(path)


@pytest.mark.parametrize("respond_ms", [240.0, 333.0, 1000.0])
def test_the_scripted_agents_delay_is_found_whole(tmp_path: Path, respond_ms: float) -> None:
    made = ledger_of(played(tmp_path / "a", "scripted", {"respond_after_ms": respond_ms, "reply_ms": 500.0}))
    latency = made["latency"]
    assert latency["total"]["p50"] == pytest.approx(respond_ms + 80, abs=3) and latency["residual"]["p50"] == 0
    assert sum(stage["p50"] for stage in latency["stages"].values()) == pytest.approx(latency["total"]["p50"], abs=0.1)
    assert latency["stages"]["capture"]["p50"] == 20 and latency["targets"]["turn"]["met"] is (respond_ms < 900)
    assert made["tokens"]["flows"] == {}  # it has neither codes nor stages


def test_the_echo_begins_before_the_user_ends(tmp_path: Path) -> None:
    latency = ledger_of(played(tmp_path / "a", "echo", {"delay_ms": 40.0}))["latency"]
    assert latency["early"] == 1 and latency["total"]["n"] == 0


def test_the_ledger_is_in_the_scores_and_on_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked(tmp_path / "a", (2.3, 4.0), said=took(slow=-1), capabilities=MOSHI, facts=asdict(ASKED))
    made = score(tmp_path)["ledger"]
    assert json.loads((tmp_path / "scores.json").read_text())["ledger"] == made
    tokens, latency = tables(made)
    assert tokens.rows[0][:4] == ["codes", "codes", "600", "600"]
    assert {len(row) for row in tokens.rows} == {len(tokens.head)}
    assert {len(row) for row in latency.rows} == {len(latency.head)} and latency.rows[-1][1] == "tick"
    assert "turn within 1000 ms: 1 of 1, met." in latency.notes
    assert main(["score", str(tmp_path)]) == 0
    assert "voice to voice" in capsys.readouterr().out


def test_tables_of_nothing_are_left_out() -> None:
    assert tables(ledger([])) == []
