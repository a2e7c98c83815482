"""Suites by name: a suite is a list of scenarios."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from duplex.config import ConfigError
from eval.fdb import suite as fdb
from eval.scenario import Scenario
from eval.suites import overlaps, turns
from eval.suites.smoke import smoke
from eval.suites.tones import tones

SUITES: dict[str, Callable[[int, float], Iterable[Scenario]]] = {  # (n, tail_s) -> scenarios
    "smoke": smoke,
    "turn-taking": turns.turn_taking,
    "questions": turns.questions,
    "pauses": turns.pauses,
    "long-turn": turns.long_turn,
    "interruption": overlaps.interruption,
    "backchannel": overlaps.backchannel,
    "aside": overlaps.aside,
    "background": overlaps.background,
    "quiet": overlaps.quiet,
    "conversation": overlaps.conversation,
    "tones": tones,
}
FDB = "fdb:"  # and a folder of Full-Duplex-Bench
ALL = tuple(name for name in SUITES if name not in ("smoke", "tones"))


def _raise(why: str) -> None:
    raise ConfigError(why)


def scenarios_of(suite: str, n: int, tail_s: float, refuse: Callable[[str], None] = _raise) -> Sequence[Scenario]:
    """The first `n` scenarios of a suite, or of "all", each with `tail_s` seconds to answer in. Raises ConfigError.

    Samples of "fdb:FOLDER" are as long as they are; `refuse` is told why one cannot be played, and it is left out.
    """
    if suite not in SUITES and suite != "all" and not suite.startswith(FDB):
        raise ConfigError(f"no suite {suite!r}; known: all, {', '.join(SUITES)}, {FDB}FOLDER")
    if n < 1:
        raise ConfigError(f"{suite}: n must be at least 1, got {n}")
    if suite.startswith(FDB):
        return fdb.scenarios(Path(suite.removeprefix(FDB)), n, refuse)
    names = ALL if suite == "all" else (suite,)
    return [scenario for name in names for scenario in SUITES[name](n, tail_s)]
