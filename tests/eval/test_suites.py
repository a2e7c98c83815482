"""Every suite: its facts are true of its audio, it is the same every time, and no two scenarios share a name."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from duplex.config import ConfigError
from duplex.frame import SAMPLE_RATE
from eval.instrument import speech
from eval.metrics.intervals import either, length, within
from eval.scenario import Scenario, facts_of
from eval.suites import ALL, SUITES, scenarios_of
from eval.suites.channel import CLEAN_DBFS, spans
from eval.suites.smoke import PEAK

N, TAIL_S = 5, 3.0


@pytest.fixture(scope="module")
def everything() -> list[Scenario]:
    return scenarios_of("all", N, TAIL_S)


def test_all_is_every_suite_and_names_are_unique(everything: list[Scenario]) -> None:
    assert len({s.id for s in everything}) == len(everything) == N * len(ALL)
    assert set(ALL) == set(SUITES) - {"smoke", "tones"}


def test_sound_is_where_the_events_are_and_nowhere_else(everything: list[Scenario]) -> None:
    for scenario in everything:
        said = either(spans(scenario.facts, "question", "interruption"), _others(scenario))
        pauses = spans(scenario.facts, "pause")
        quiet = np.ones(len(scenario.pcm), bool)
        for span in said:
            quiet[span.begin : span.end] = False
        for pause in pauses:
            quiet[pause.begin : pause.end] = True
        assert np.abs(scenario.pcm[quiet]).max() < 0.1 * PEAK, scenario.id  # noise alone
        for span in said:
            assert np.abs(scenario.pcm[span.begin : span.end]).max() > np.abs(scenario.pcm[quiet]).max()


def test_the_instrument_finds_the_user_of_a_clean_channel(everything: list[Scenario]) -> None:
    clean = [s for s in everything if f"noise {CLEAN_DBFS:g} dBFS" in s.facts.voice and "+0 dB" in s.facts.voice]
    assert len(clean) > 2 * len(ALL)
    for scenario in clean:
        for event in scenario.facts.events:
            if event.kind in ("question", "interruption", "backchannel"):
                found = within(speech(scenario.pcm), event.begin - SAMPLE_RATE // 10, event.end + SAMPLE_RATE // 10)
                assert abs(found[0].begin - event.begin) < 0.02 * SAMPLE_RATE, scenario.id
                assert abs(found[-1].end - event.end) < 0.02 * SAMPLE_RATE, scenario.id


def test_a_suite_is_the_same_every_time_and_a_longer_one_begins_with_the_shorter() -> None:
    for name in ALL:
        two, three = (list(SUITES[name](n, TAIL_S)) for n in (2, 3))
        for a, b in zip(two, three, strict=False):
            assert a.facts == b.facts and np.array_equal(a.pcm, b.pcm)


def test_facts_survive_the_recordings_header(everything: list[Scenario]) -> None:
    for scenario in everything:
        assert facts_of(json.loads(json.dumps(scenario.meta()))) == scenario.facts
        begins = [event.begin for event in scenario.facts.events]
        assert begins == sorted(begins) and all(
            e.begin < e.end <= scenario.facts.samples for e in scenario.facts.events
        )


def test_voices_levels_and_noises_differ(everything: list[Scenario]) -> None:
    for name in ALL:
        assert len({s.facts.voice for s in everything if s.id.startswith(name)}) >= 4


def test_pauses_are_as_long_as_they_say_and_inside_their_turn() -> None:
    found = scenarios_of("pauses", 8, TAIL_S)
    seconds = {round(s.ms / 1000, 2) for scenario in found for s in spans(scenario.facts, "pause")}
    assert seconds == {0.3, 0.6, 1.0, 1.5}
    for scenario in found:
        [turn], [pause] = spans(scenario.facts, "question"), spans(scenario.facts, "pause")
        assert turn.begin < pause.begin < pause.end < turn.end
        assert length(within([pause], turn.begin, turn.end)) == length([pause])


def test_a_conversation_has_eight_turns() -> None:
    for scenario in scenarios_of("conversation", 2, TAIL_S):
        assert [e.kind for e in scenario.facts.events] == ["question"] * 2 + ["interruption"] + ["question"] * 5
        assert len({asdict(e)["text"] for e in scenario.facts.events}) == 8


@pytest.mark.parametrize(("suite", "n"), [("quite", 1), ("quiet", 0), ("all", -1)])
def test_what_is_not_there_is_refused(suite: str, n: int) -> None:
    with pytest.raises(ConfigError, match=suite):
        scenarios_of(suite, n, TAIL_S)


def _others(scenario: Scenario) -> list:
    return spans(scenario.facts, "backchannel", "aside", "background")
