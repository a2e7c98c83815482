"""The smoke suite: the facts of every question are true of its audio."""

from __future__ import annotations

import numpy as np
import pytest

from duplex.config import ConfigError
from duplex.frame import SAMPLE_RATE
from duplex.turns import speech_spans
from eval.scenario import Scenario
from eval.suites import scenarios_of
from eval.suites.smoke import AUDIBLE, FLOOR_DBFS, LEAD_S

TAIL_S = 4.0


@pytest.fixture(scope="module")
def ten() -> list[Scenario]:
    return scenarios_of("smoke", 10, TAIL_S)


def test_ten_questions_in_several_voices(ten: list[Scenario]) -> None:
    assert len({s.id for s in ten}) == len({s.facts.text for s in ten}) == 10
    assert len({s.facts.voice for s in ten}) >= 4
    assert len([s for s in ten if s.facts.expect]) >= 5


def test_facts_are_true(ten: list[Scenario]) -> None:
    for scenario in ten:
        facts, pcm = scenario.facts, scenario.pcm
        assert pcm.dtype == np.float32 and len(pcm) == facts.samples
        assert facts.user_begin_sample == round(LEAD_S * SAMPLE_RATE)
        assert facts.samples - facts.user_end_sample == round(TAIL_S * SAMPLE_RATE)
        for edge in (facts.user_begin_sample, facts.user_end_sample - 1):
            assert abs(pcm[edge]) >= 0.8 * AUDIBLE  # the noise may take a little off
        for rest in (pcm[: facts.user_begin_sample], pcm[facts.user_end_sample :]):
            assert 20 * np.log10(np.sqrt(np.mean(rest**2))) == pytest.approx(FLOOR_DBFS, abs=0.5)


def test_an_energy_gate_finds_the_same_edges(ten: list[Scenario]) -> None:
    for scenario in ten:
        [span] = speech_spans(scenario.pcm)
        assert abs(span.begin - scenario.facts.user_begin_sample) <= 0.02 * SAMPLE_RATE
        assert abs(span.end - scenario.facts.user_end_sample) <= 0.02 * SAMPLE_RATE


def test_the_suite_is_the_same_every_time(ten: list[Scenario]) -> None:
    for again, scenario in zip(scenarios_of("smoke", 3, TAIL_S), ten, strict=False):
        assert again.facts == scenario.facts and np.array_equal(again.pcm, scenario.pcm)


@pytest.mark.parametrize("asked", [("smoke", 0), ("smoke", 11), ("smokey", 1)])
def test_what_is_not_there_is_refused(asked: tuple[str, int]) -> None:
    with pytest.raises(ConfigError, match="smoke"):
        scenarios_of(*asked, TAIL_S)
