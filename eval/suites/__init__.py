"""Suites by name: a suite is a list of scenarios."""

from __future__ import annotations

from collections.abc import Callable

from duplex.config import ConfigError
from eval.scenario import Scenario
from eval.suites.smoke import smoke

SUITES: dict[str, Callable[[int, float], list[Scenario]]] = {"smoke": smoke}  # (n, tail_s) -> scenarios


def scenarios_of(suite: str, n: int, tail_s: float) -> list[Scenario]:
    """The first `n` scenarios of a suite, each with `tail_s` seconds to answer in. Raises ConfigError."""
    if suite not in SUITES:
        raise ConfigError(f"no suite {suite!r}; known: {', '.join(SUITES)}")
    return SUITES[suite](n, tail_s)
