"""Playing: what a recording's header says, which recordings are kept, and what the paced clock reads."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from by_hand import SAMPLES, facts, tone

from duplex.agents import open_agent
from duplex.checkpoint import locate, sha256
from duplex.frame import FRAME_SAMPLES, silence
from duplex.recording import Recording, RecordingWriter
from eval.bench import step_times_ms
from eval.play import converse, described, in_process, record
from eval.process import ServerFailed, free_port, running, serve_command
from eval.provenance import weights
from eval.scenario import Scenario

META = {"agent": "echo", "suite": "known", "pace": "unpaced", "wire": "in process", "seed": 0}


def known(name: str = "one") -> Scenario:
    return Scenario(name, tone((1.0, 2.0)), facts())


def player():
    return in_process(open_agent("echo"), paced=False, seed=0)


async def test_recording_holds_the_user_and_the_facts(tmp_path: Path) -> None:
    assert await record([known()], tmp_path, player(), META) == 1
    recording = Recording.open(tmp_path / "one")
    assert len(recording.ticks) == -(-SAMPLES // FRAME_SAMPLES)
    assert abs(recording.user[:SAMPLES] - known().pcm).max() < 1e-4
    assert recording.meta["facts"]["user_end_sample"] == facts().user_end_sample
    assert {key: recording.meta[key] for key in META} == META


async def test_complete_recordings_are_kept(tmp_path: Path) -> None:
    await record([known("one")], tmp_path, player(), META)
    before = (tmp_path / "one.wav").stat().st_mtime_ns
    assert await record([known("one"), known("two")], tmp_path, player(), META) == 1
    assert (tmp_path / "one.wav").stat().st_mtime_ns == before
    assert await record([known("one")], tmp_path, player(), META, fresh=True) == 1


@pytest.mark.parametrize("change", [{"agent": "native"}, {"pace": "realtime"}, {"seed": 1}, {"wire": "pcm"}])
async def test_a_recording_made_otherwise_is_made_again(tmp_path: Path, change: dict[str, object]) -> None:
    await record([known()], tmp_path, player(), META)
    assert await record([known()], tmp_path, player(), {**META, **change}) == 1


async def test_half_a_recording_is_made_again(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "one", {**META, **known().meta()}) as writer:
        for t in range(20):
            writer.append(silence(t), silence(t))
    assert await record([known()], tmp_path, player(), META) == 1
    assert await record([known()], tmp_path, player(), META) == 0


async def test_the_user_keeps_time_however_late_the_agent_is(tmp_path: Path) -> None:
    """An agent that takes 200 ms a step falls behind; the user's frames are still complete every 80 ms."""
    clock = [0.0]

    class Slow:
        async def step(self, heard):
            clock[0] += 0.2
            return heard

    with RecordingWriter(tmp_path / "slow") as writer:
        short = Scenario("slow", tone(samples=5 * FRAME_SAMPLES), facts())
        await converse(Slow(), short, writer, paced=True, now=lambda: clock[0])  # type: ignore[arg-type]
    ticks = Recording.open(tmp_path / "slow").ticks
    assert [tick.heard_ms for tick in ticks] == [80, 160, 240, 320, 400]
    assert [tick.said_ms for tick in ticks] == pytest.approx([200, 400, 600, 800, 1000])
    assert step_times_ms(ticks) == pytest.approx([120, 200, 200, 200, 200])


def test_capabilities_become_json() -> None:
    can = json.loads(json.dumps(described(open_agent("scripted").capabilities)))
    assert can["capabilities"]["name"] == "scripted" and can["model"] == ""


def test_weights_are_named_by_their_hashes(tmp_path: Path) -> None:
    nano = weights("nano")
    assert nano["nano/lm"] == sha256(locate("nano").files["lm"]) and "nano/mimi" in nano
    assert weights("silero + smollm2-135m").keys() == {"smollm2-135m/model"} and weights("") == {}
    for file in locate("nano").folder.iterdir():
        (tmp_path / file.name).symlink_to(file)
    assert weights(str(tmp_path))[f"{tmp_path}/lm"] == nano["nano/lm"]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def web_server(port: int) -> list[str]:
    return [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]


def test_the_server_ends_with_its_block_even_when_that_fails(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    with pytest.raises(KeyboardInterrupt), running(web_server(port), url, tmp_path / "log"):
        raise KeyboardInterrupt
    with running(web_server(port), url, tmp_path / "log"):  # the port is free again
        pass


def test_a_server_that_dies_is_reported_with_its_last_words(tmp_path: Path) -> None:
    dying = [sys.executable, "-c", "print('no such weights'); raise SystemExit(3)"]
    failed = pytest.raises(ServerFailed, match=r"(?s)code 3.*no such weights")
    with failed, running(dying, f"http://127.0.0.1:{free_port()}/", tmp_path / "log"):
        pass


def test_a_server_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    idle = [sys.executable, "-c", f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"]
    failed = pytest.raises(ServerFailed, match="not ready")
    with failed, running(idle, f"http://127.0.0.1:{free_port()}/", tmp_path / "log", start_s=1.0):
        pass
    assert not is_alive(int(pid.read_text()))


def test_serve_command_names_every_agent() -> None:
    assert serve_command(["native", "cascade"], 7)[1:] == (
        ["-m", "duplex", "serve", "--agent", "native", "--agent", "cascade", "--port", "7"]
    )
