"""What each protocol costs: the same agent and the same users over several wires, judged on one clock.

The wall clock at the client (`eval.wall`); the metrics are those of `eval.measure`. A difference is taken turn by turn,
to the same turn over our own wire.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from duplex.config import ConfigError
from duplex.recording import NotARecording
from eval.catalogue import METRICS
from eval.judge import Unscorable, check
from eval.measure import Measured, measure
from eval.plain import open_recording, recordings_in
from eval.protocols_table import NOTE, report
from eval.provenance import provenance
from eval.scenario import facts_of
from eval.score import COMMON, SCHEMA, agreed
from eval.statistics import estimate, spread
from eval.wall import at_client

OWN = "pcm"  # the wire to which the others are compared
MEASURED = ("response_rate", "response_latency_ms", "stop_latency_ms")


@dataclass(frozen=True, slots=True)
class Played:
    """One recording, measured at the client."""

    header: Mapping[str, Any]
    found: Measured


Side = Mapping[str, Played]  # one agent over one wire: scenario -> what was found


def protocols(folders: Sequence[Path], out: Path, made: Mapping[str, Any]) -> dict[str, Any]:
    """Judge the runs in `folders` and write protocols.json and protocols.md into `out`; returns what the first holds.

    Raises ConfigError where a scenario was played twice by the same agent over the same wire, NotARecording where
    there is nothing to judge.
    """
    outcomes = [_outcome(path) for folder in folders for path in recordings_in(folder)]
    sides = _sides(one for one in outcomes if isinstance(one, Played))
    if not sides:
        raise NotARecording(f"{', '.join(map(str, folders))}: no recordings made in real time over a wire")
    result = {
        "schema": SCHEMA,
        "made": dict(made),
        "note": NOTE,
        "judge": {key: provenance()[key] for key in ("commit", "dirty")},
        "origin": {agent: _origin(wires) for agent, wires in sides.items()},
        "agents": {agent: {w: _figures(s, wires.get(OWN)) for w, s in wires.items()} for agent, wires in sides.items()},
        "broken": [one for one in outcomes if not isinstance(one, Played)],
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "protocols.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "protocols.md").write_text(report(result), encoding="utf-8")
    return result


def _outcome(path: Path) -> Played | dict[str, str]:
    try:
        recording = open_recording(path)
        facts = facts_of(recording.meta)
        check(recording, facts)
        return Played(recording.meta, measure(at_client(recording), facts))
    except (NotARecording, ConfigError, Unscorable) as error:
        return {"recording": str(Path(path.parent.name, path.stem)), "why": str(error)}


def _sides(played: Iterable[Played]) -> Mapping[str, Mapping[str, Side]]:
    """agent -> wire -> scenario -> what was found; our own wire comes first."""
    found: dict[str, dict[str, dict[str, Played]]] = {}
    for one in sorted(played, key=lambda one: one.header["wire"] != OWN):
        agent, wire, scenario = (one.header[key] for key in ("agent", "wire", "scenario"))
        side = found.setdefault(agent, {}).setdefault(wire, {})
        if scenario in side:
            raise ConfigError(f"{agent} over {wire}: {scenario} was played twice; give one run of each suite")
        side[scenario] = one
    return found


def _origin(wires: Mapping[str, Side]) -> dict[str, Any]:
    headers = [one.header for side in wires.values() for one in side.values()]
    shared = {key: agreed(header.get(key) for header in headers) for key in COMMON if key not in ("suite", "wire")}
    return shared | {"suites": sorted({header["suite"] for header in headers})}


def _figures(side: Side, own: Side | None) -> dict[str, Any]:
    """Of each metric: the estimate, its spread, and how much it is beyond that of our own wire, turn by turn."""
    figures = {}
    for name in MEASURED:
        values = [one.found.values.get(name, []) for one in side.values()]
        found = _estimated(name, values) | {"spread": spread(v for turns in values for v in turns)}
        beyond = None
        if own and own is not side:
            beyond = _estimated(name, [_differences(name, one, own.get(scenario)) for scenario, one in side.items()])
        figures[name] = found | {"beyond": beyond}
    return figures | {"void": dict(sum((one.found.void for one in side.values()), Counter()))}


def _differences(name: str, one: Played, own: Played | None) -> list[float | None]:
    """Turn by turn; None where one of the two has no value. [] where it cannot be said which turn is which."""
    ours, theirs = own.found.values.get(name, []) if own else [], one.found.values.get(name, [])
    if len(ours) != len(theirs):
        return []
    return [None if a is None or b is None else b - a for a, b in zip(ours, theirs, strict=True)]


def _estimated(name: str, values: Sequence[Sequence[float | None]]) -> dict[str, Any]:
    m = METRICS[name]
    found = estimate(values, m.statistic, m.unit, m.direction, m.version)
    return asdict(found) | {"ci95": found.ci95 and [*found.ci95]}
