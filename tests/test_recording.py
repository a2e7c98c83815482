"""Recordings: what was written is read back, and a process killed in mid-write leaves one that can be read."""

from __future__ import annotations

import signal
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from duplex.events import Hop, Interrupted, Transcript
from duplex.frame import FRAME_SAMPLES, PLAYOUT_LAG, SAMPLE_RATE, Frame, silence
from duplex.recording import NotARecording, Recording, RecordingWriter, Tick

LSB = 1 / 32767
codes = hnp.arrays(np.int64, 8, elements=st.integers(0, 2047))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def tone(t: int, level: float) -> np.ndarray:
    return np.full(FRAME_SAMPLES, level, np.float32) * np.linspace(0.5, 1, FRAME_SAMPLES, dtype=np.float32) * (-1) ** t


def write(path: Path, pairs: list[tuple[Frame, Frame]], **times: float) -> None:
    with RecordingWriter(path, {"agent": "test"}) as writer:
        for heard, said in pairs:
            writer.append(heard, said, **times)


@given(st.lists(st.tuples(texts, texts, st.none() | codes, st.floats(-1, 1)), max_size=6))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    path = tmp_path_factory.mktemp("recording") / "talk"
    pairs = [
        (
            Frame(t, tone(t, level), text=user_text),
            Frame(t, tone(t, -level), codes=spoken, text=agent_text, events=(Hop("stt", 1.5), Transcript(user_text))),
        )
        for t, (user_text, agent_text, spoken, level) in enumerate(rows)
    ]
    write(path, pairs, heard_ms=80.0, said_ms=99.123)
    back = Recording.open(path)
    assert back.meta == {"agent": "test"}
    assert [tick.t for tick in back.ticks] == list(range(len(rows)))
    for tick, (heard, said) in zip(back.ticks, pairs, strict=True):
        assert (tick.user_text, tick.agent_text) == (heard.text, said.text)
        assert (tick.heard_ms, tick.said_ms) == (80.0, 99.12)
        assert tick.events[0] == {"kind": "Hop", "stage": "stt", "ms": 1.5}
        assert tick.codes == ({} if said.codes is None else {"agent": said.codes.tolist()})
    assert back.agent_text() == "".join(said.text for _, said in pairs).strip()
    assert len(back.events(Transcript)) == len(rows) and back.events(Interrupted) == []
    lag = PLAYOUT_LAG * FRAME_SAMPLES
    for t, (heard, said) in enumerate(pairs):
        assert heard.pcm is not None and said.pcm is not None
        begin = t * FRAME_SAMPLES
        np.testing.assert_allclose(back.user[begin : begin + FRAME_SAMPLES], heard.pcm, atol=LSB)
        np.testing.assert_allclose(back.agent[begin + lag : begin + lag + FRAME_SAMPLES], said.pcm, atol=LSB)
    assert len(back.user) == len(back.agent) == (len(rows) + PLAYOUT_LAG) * FRAME_SAMPLES


def test_the_agent_is_heard_one_tick_after_it_spoke(tmp_path: Path) -> None:
    write(tmp_path / "lag", [(Frame(0, tone(0, 0.5)), Frame(0, tone(0, 0.5)))])
    back = Recording.open(tmp_path / "lag")
    assert np.flatnonzero(back.user)[0] == 0
    assert np.flatnonzero(back.agent)[0] == PLAYOUT_LAG * FRAME_SAMPLES


def test_codes_without_audio_are_silence_in_the_wav(tmp_path: Path) -> None:
    spoken = Frame(0, codes=np.arange(8))
    write(tmp_path / "codes", [(spoken, spoken)])
    back = Recording.open(tmp_path / "codes")
    assert not back.user.any() and not back.agent.any()
    assert back.ticks == (Tick(0, codes={"user": list(range(8)), "agent": list(range(8))}),)


def test_too_loud_is_clipped_not_wrapped(tmp_path: Path) -> None:
    loud = Frame(0, np.full(FRAME_SAMPLES, 3.0, np.float32))
    write(tmp_path / "loud", [(loud, silence(0))])
    assert Recording.open(tmp_path / "loud").user[:FRAME_SAMPLES].min() == 1.0


def test_frames_of_two_ticks_are_refused(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "x") as writer, pytest.raises(ValueError, match="heard tick 1 but said tick 2"):
        writer.append(silence(1), silence(2))


def test_opened_by_either_file_or_the_stem_and_names_with_dots(tmp_path: Path) -> None:
    write(tmp_path / "v1.2-talk", [(silence(0), silence(0))])
    for name in ("v1.2-talk.wav", "v1.2-talk.jsonl"):
        assert len(Recording.open(tmp_path / name).ticks) == 1
    assert len(Recording.open(tmp_path / "v1.2-talk").ticks) == 1


def test_closing_twice_is_fine(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "x")
    writer.close()
    writer.close()
    assert Recording.open(tmp_path / "x").ticks == ()


WRITE_FOR_EVER = """
import sys
from itertools import count
from pathlib import Path
import numpy as np
from duplex.frame import FRAME_SAMPLES, Frame
from duplex.recording import RecordingWriter
writer = RecordingWriter(Path(sys.argv[1]), {"agent": "doomed"})
for t in count():
    frame = Frame(t, np.full(FRAME_SAMPLES, 0.25, np.float32), text="word ")
    writer.append(frame, frame, t * 80.0, t * 80.0)
    if t == 20:
        print("going", flush=True)
"""


def test_a_killed_process_leaves_a_readable_recording(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE_FOR_EVER, str(tmp_path / "killed")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "going\n"
        writer.kill()
    assert writer.returncode == -signal.SIGKILL
    back = Recording.open(tmp_path / "killed")
    assert back.meta == {"agent": "doomed"} and len(back.ticks) > 20
    assert [tick.t for tick in back.ticks] == list(range(len(back.ticks)))
    whole = len(back.ticks) * FRAME_SAMPLES
    assert 0 <= len(back.user) - whole <= FRAME_SAMPLES, "the WAV is written first, so it is at most one tick ahead"
    np.testing.assert_allclose(back.user[:whole], 0.25, atol=LSB)


@pytest.mark.parametrize("lost_bytes", [1, 2, 3, 4])
def test_a_half_written_last_line_and_sample_are_dropped(tmp_path: Path, lost_bytes: int) -> None:
    write(tmp_path / "cut", [(silence(t), silence(t)) for t in range(3)])
    lines, wav = tmp_path / "cut.jsonl", tmp_path / "cut.wav"
    lines.write_bytes(lines.read_bytes()[:-lost_bytes])
    wav.write_bytes(wav.read_bytes()[:-lost_bytes])
    back = Recording.open(tmp_path / "cut")
    assert [tick.t for tick in back.ticks] == [0, 1]
    assert len(back.user) == (3 + PLAYOUT_LAG) * FRAME_SAMPLES - 1


def spoil_header(stem: Path) -> None:
    stem.with_suffix(".jsonl").write_text('{"duplex_recording":99}\n')


def spoil_line(stem: Path) -> None:
    stem.with_suffix(".jsonl").write_text('{"duplex_recording":1}\n{"t":0,"colour":"red"}\n')


def spoil_rate(stem: Path) -> None:
    with wave.open(str(stem.with_suffix(".wav")), "wb") as wav:
        wav.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda stem: stem.with_suffix(".jsonl").unlink(), r"talk\.jsonl: No such file"),
        (lambda stem: stem.with_suffix(".wav").unlink(), r"talk\.wav: .*No such file"),
        (lambda stem: stem.with_suffix(".jsonl").write_text(""), r"talk\.jsonl: not a recording"),
        (lambda stem: stem.with_suffix(".jsonl").write_bytes(b"\xff\xfe junk\n"), r"talk\.jsonl: not a recording"),
        (
            lambda stem: stem.with_suffix(".wav").write_bytes(b"ID3 not a wav"),
            r"talk\.wav: file does not start with RIFF",
        ),
        (lambda stem: stem.with_suffix(".wav").write_bytes(b""), r"talk\.wav: "),
        (spoil_header, r"schema 99, this version reads 1"),
        (spoil_line, r"talk\.jsonl: not a recording: .*colour"),
        (spoil_rate, r"must be 16-bit stereo at 24000 Hz"),
    ],
)
def test_anything_else_is_refused_by_name(tmp_path: Path, spoil, message: str) -> None:
    stem = tmp_path / "talk"
    write(stem, [(silence(0), silence(0))])
    spoil(stem)
    with pytest.raises(NotARecording, match=message):
        Recording.open(stem)
