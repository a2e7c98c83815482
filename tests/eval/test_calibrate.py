"""The instrument finds what was put there, and says so when it does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex.frame import SAMPLE_RATE
from duplex.turns import Span
from eval import calibrate
from eval.__main__ import main
from eval.calibrate import Check
from eval.instrument import errors_ms, speech


@given(begin=st.integers(0, 5000), length=st.integers(2400, 9000), level=st.floats(0.05, 0.9))
def test_any_sound_is_found_to_half_a_hop(begin: int, length: int, level: float) -> None:
    pcm = np.zeros(begin + length + SAMPLE_RATE // 2, np.float32)
    pcm[begin : begin + length] = level * (-1.0) ** np.arange(length)
    found = errors_ms(speech(pcm), Span(begin, begin + length))
    assert found is not None and max(map(abs, found)) <= 2.6


def test_silence_and_clicks_are_no_speech() -> None:
    pcm = np.zeros(SAMPLE_RATE, np.float32)
    assert speech(pcm) == [] and errors_ms([], Span(0, 10)) is None
    pcm[1000:1200] = 0.5
    assert speech(pcm) == []


def test_a_detector_that_is_late_or_deaf_is_found_out() -> None:
    clips = calibrate.bursts(8)
    late = calibrate.ear(lambda pcm: [Span(s.begin + 480, s.end + 480) for s in speech(pcm)], clips)
    assert late["onset"] == pytest.approx(20, abs=1.5) and late["end"] == pytest.approx(20, abs=1.5)
    assert calibrate.ear(lambda pcm: [], clips)["missed"] == 8


def test_every_delay_and_stop_is_found_in_process_and_on_every_wire() -> None:
    done = list(calibrate.calibrate())
    assert len(done) == calibrate.checks() == 30
    assert {c.where for c in done} == {"in process", "wire pcm", "wire chat"}
    assert [c for c in done if not c.passed] == []


def test_what_is_off_or_missing_fails() -> None:
    assert not Check("here", "delay", 80.0, 86.0).passed and not Check("here", "delay", 80.0, None).passed
    assert calibrate.row(Check("here", "delay", 80.0, 86.0))[-2:] == ["+6.0", "FAILED"]
    assert calibrate.row(Check("here", "delay", 80.0, None))[-3:] == ["-", "-", "FAILED"]


def test_a_failed_calibration_is_a_failed_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(calibrate, "ears", lambda: iter(()))
    for found, code in ((81.0, 0), (99.0, 1)):
        monkeypatch.setattr(calibrate, "calibrate", lambda wires, ms=found: iter([Check("here", "delay", 80.0, ms)]))
        assert main(["calibrate"]) == code
    assert "FAILED" in capsys.readouterr().out
