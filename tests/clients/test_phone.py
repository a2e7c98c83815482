"""A telephone call to a real server: what is heard and when, how soon the agent gives way, what a person reads."""

import json

import numpy as np
import pytest

from duplex.agents.echo import open_echo, open_scripted
from duplex.clients.barge import BargeIn, barge_ins, told
from duplex.clients.call import CallFailed
from duplex.clients.line import Line
from duplex.clients.phone import main, ring
from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE
from duplex.recording import Recording
from duplex.turns import speech_spans
from tests.clients.test_wav import written
from tests.server.site import failing, site


def tone(seconds: float, hz: float = 500) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)).astype(np.float32)


def gap(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def scripted(**settings) -> dict:
    return {"scripted": open_scripted({"stop_after_ms": 160.0, "reply_ms": 5_000.0, **settings})}


# --- calls ------------------------------------------------------------------------------------------------------------


async def test_whoever_barges_in_hears_the_agent_for_less_than_half_a_second(tmp_path):
    """Issue: the last audible sample at the phone at most 500 ms after the caller's first. Eight places in a tick."""
    turns = [part for n in range(8) for part in (gap(0.75 + 0.01 * n), tone(0.3))]
    async with site(scripted(), paced=True) as here:
        report = await ring(
            here.base, np.concatenate([tone(0.3), *turns]), tmp_path / "r", agent="scripted", tail_s=0.3
        )
    found = report.barge_ins
    assert len(found) == 8 and len(report.clears_ms) == 8
    assert all(b.clear_ms is not None for b in found)
    assert max(b.silent_ms for b in found) < 500, told(found)
    assert min(b.silent_ms for b in found) > 30, "nobody can know of speech before the gate's 30 ms"


async def test_what_is_said_is_heard_in_the_band_of_a_telephone(tmp_path):
    said = np.concatenate([gap(0.3), tone(0.5, 1_000), gap(0.4), tone(0.5, 6_000), gap(0.3)])
    async with site({"echo": open_echo({})}, paced=True) as here:
        report = await ring(here.base, said, tmp_path / "r", agent="echo", tail_s=0.3)
    line = Recording.open(tmp_path / "r")
    [user] = speech_spans(line.user)
    [agent] = speech_spans(line.agent)
    assert user.begin == pytest.approx(0.3 * SAMPLE_RATE, abs=240), "the recording holds it where it was said"
    assert agent.ms == pytest.approx(500, abs=30), "6 kHz are not on a telephone line"
    assert 80 <= (agent.begin - user.begin) * 1000 / SAMPLE_RATE < 400, "a tick, two resamplers, and what is buffered"
    assert np.abs(line.agent).max() == pytest.approx(0.3, abs=0.03)
    assert report.barge_ins == () and line.meta["wire"] == "twilio" and line.meta["agent"] == "echo"
    assert len(line.ticks) == -(-len(said) // FRAME_SAMPLES) + 4


async def test_who_is_hung_up_on_reads_why_and_keeps_the_recording(tmp_path):
    async with site({"failing": failing()}, paced=True) as here:
        with pytest.raises(CallFailed, match=r"hung up: the agent failed; the server's log says why \(code 1011\)"):
            await ring(here.base, gap(3), tmp_path / "r")
        with pytest.raises(CallFailed, match="no agent 'nobody'; here: failing"):
            await ring(here.base, gap(1), tmp_path / "s", agent="nobody")
        with pytest.raises(CallFailed, match="failing takes no persona"):
            await ring(here.base, gap(1), tmp_path / "s", parameters={"persona": "A pirate."})
    assert Recording.open(tmp_path / "r").meta["realtime"] is True


async def test_nobody_is_there(tmp_path):
    with pytest.raises(CallFailed, match="no phone line at ws://127"):
        await ring("127.0.0.1:9", gap(0.1), tmp_path / "r")


async def test_keys_are_pressed_and_the_call_goes_on(tmp_path):
    async with site({"echo": open_echo({})}, key="k") as here:
        await ring(here.base, tone(0.3), tmp_path / "r", digits="12#", tail_s=0.3, key="k")
        with pytest.raises(CallFailed, match="401"):
            await ring(here.base, tone(0.3), tmp_path / "s")
    assert np.abs(Recording.open(tmp_path / "r").agent).max() > 0.1


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert main([str(tmp_path / "no.wav"), "--out", str(tmp_path / "r")]) == 2
    assert "no.wav: no such file" in capsys.readouterr().err
    wav = written(tmp_path / "user.wav", np.zeros((240, 1)), SAMPLE_RATE)
    assert main([str(wav), "--out", str(tmp_path / "r"), "--url", "ws://127.0.0.1:9"]) == 2
    assert "phone: no phone line at ws://127.0.0.1:9/twilio" in capsys.readouterr().err


# --- the line as a recording ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [160, 37, 1_000])
def test_a_line_is_recorded_at_the_instants_at_which_it_sounded(tmp_path, chunk):
    said, heard = np.zeros((2, 8_000), np.float32)
    said[1_600:3_200] = tone(0.6)[::3][:1_600]
    heard[4_000:5_600] = tone(0.6)[::3][:1_600]
    with Line(tmp_path / "r", 8_000, {"a": 1}) as line:
        for at in range(0, 8_000, chunk):
            line.append(said[at : at + chunk], heard[at : at + chunk])
    recording = Recording.open(tmp_path / "r")
    assert recording.meta == {"a": 1} and [tick.t for tick in recording.ticks] == list(range(13))
    [user], [agent] = speech_spans(recording.user), speech_spans(recording.agent)
    assert (user.begin, user.end) == pytest.approx((4_800, 9_600), abs=240)
    assert (agent.begin, agent.end) == pytest.approx((12_000, 16_800), abs=240)
    assert recording.user[4_800:9_600] == pytest.approx(said.repeat(3)[4_800:9_600], abs=0.1)


def test_a_line_on_which_nothing_was_said_can_be_read(tmp_path):
    Line(tmp_path / "r", 8_000).close()
    assert Recording.open(tmp_path / "r").ticks == ()
    line = Line(tmp_path / "s", 8_000)
    line.append(*np.zeros((2, 10), np.float32))
    line.close()
    line.close()
    assert len(Recording.open(tmp_path / "s").ticks) == 1
    assert len(json.loads((tmp_path / "s.jsonl").read_text().splitlines()[1])) == 2


# --- how soon it gives way --------------------------------------------------------------------------------------------


def channels(user: list[tuple[float, float]], agent: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    sides = np.zeros((2, 5 * SAMPLE_RATE), np.float32)
    for side, spans in zip(sides, (user, agent), strict=True):
        for begin, end in spans:
            part = tone(end - begin)
            side[round(begin * SAMPLE_RATE) :][: len(part)] = part
    return sides[0], sides[1]


def test_barge_ins_by_construction():
    user, agent = channels([(0.5, 1.0), (2.0, 2.5), (4.0, 4.5)], [(1.2, 2.31), (3.0, 3.5)])
    assert barge_ins(user, agent, [2_150.0]) == [BargeIn(2_000.0, 150.0, 310.0)]
    assert barge_ins(user, agent, [1_000.0, 4_100.0]) == [BargeIn(2_000.0, None, 310.0)]
    assert barge_ins(agent, user, []) == [], "an agent that begins into the user's speech is not barged in on"


def test_a_short_pause_is_not_giving_way():
    user, agent = channels([(2.0, 2.3)], [(1.0, 2.1), (2.25, 4.0)])
    [found] = barge_ins(user, agent, [])
    assert found.silent_ms == pytest.approx(2_000)


def test_what_a_person_reads():
    assert told([]) == ["nobody spoke while the agent did"]
    found = [BargeIn(2_000.0, 150.0, 310.0), BargeIn(4_000.0, None, 900.0), BargeIn(6_000.0, 90.0, 120.0)]
    assert told(found) == [
        "   2.00 s  clear after 150 ms, silent after 310 ms",
        "   4.00 s  no clear, silent after 900 ms",
        "   6.00 s  clear after 90 ms, silent after 120 ms",
        "3 barge-ins: silent after 310 ms (p50), 900 ms (p95)",
    ]
