"""Limits from the command line: kept, missed, misspelt; and the exit code that a script sees."""

from __future__ import annotations

from pathlib import Path

import pytest
from by_hand import hand_made

from duplex.config import ConfigError
from eval.__main__ import main
from eval.limits import Limit, limit, missed


def test_a_limit_is_a_metric_a_sign_and_a_number() -> None:
    assert limit("yield_rate>=0.9") == Limit("yield_rate", ">=", 0.9)
    assert str(limit(" stop_latency_ms <= 500 ")) == "stop_latency_ms<=500"


@pytest.mark.parametrize(
    "text, why",
    [("yield_rate=1", "METRIC<=NUMBER"), ("speed<=1", "known: response_latency_ms"), ("ttfat_ms<=1-", "not a")],
)
def test_another_is_refused(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        limit(text)


def test_what_has_no_value_keeps_no_limit() -> None:
    metrics = {"yield_rate": {"value": 0.8, "n": 5}, "stop_latency_ms": {"value": None, "n": 0}}
    limits = [limit("yield_rate>=0.8"), limit("yield_rate>=0.9"), limit("stop_latency_ms<=500")]
    assert missed(limits, metrics) == ["yield_rate>=0.9: it is 0.8, n 5", "stop_latency_ms<=500: nothing was measured"]


def test_a_script_sees_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hand_made(tmp_path / "a", (2.3, 4.0))
    assert main(["score", str(tmp_path), "--limit", "response_latency_ms<=400"]) == 0
    assert main(["score", str(tmp_path), "--limit", "response_latency_ms<=200"]) == 3
    assert "limit missed: response_latency_ms<=200: it is 30" in capsys.readouterr().err
    assert main(["score", str(tmp_path), "--limit", "latency<=200"]) == 2
