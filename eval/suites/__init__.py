"""Suites by name: a suite is a list of scenarios."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from duplex.config import ConfigError
from eval.scenario import Scenario
from eval.suites import overlaps, turns
from eval.suites.smoke import smoke

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
}
ALL = tuple(name for name in SUITES if name != "smoke")


def scenarios_of(suite: str, n: int, tail_s: float) -> list[Scenario]:
    """The first `n` scenarios of a suite, or of "all", each with `tail_s` seconds to answer in. Raises ConfigError."""
    if suite not in SUITES and suite != "all":
        raise ConfigError(f"no suite {suite!r}; known: all, {', '.join(SUITES)}")
    if n < 1:
        raise ConfigError(f"{suite}: n must be at least 1, got {n}")
    names = ALL if suite == "all" else (suite,)
    return [scenario for name in names for scenario in SUITES[name](n, tail_s)]
