"""The token budget as rows for a terminal and as JSON for a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from duplex.checkpoint import locate
from eval import budget
from eval.budget import System, Talk

SCHEMA = 1
HEAD = (
    "system",
    "kind",
    "codes/s",
    "positions/s",
    "bit/s a side",
    "context min",
    "KV MiB/min",
    "$/min",
    "$/min cached",
)
NOTE = (
    "Codes: audio and text tokens of both sides. Positions: what attention and context pay for; never the same thing. "
    "Bit/s: of one side's codec. $/min: by the provider's list, for this conversation; cached: as if all that is sent "
    "again were billed as cached. A dash is unknown or not asked for (weights that run here cost a machine); cascades "
    "are without their language model."
)


def known_systems(prices: Path | None = None) -> dict[str, System]:
    """budget.toml's, and nano as it lies in this checkout. Raises ConfigError and the checkpoint's errors."""
    config = json.loads(locate("nano").files["config"].read_text())
    nano = budget.of_config(config, dtype_bytes=4, source="weights/nano/config.json, float32")
    return {"nano": nano, **budget.systems(prices)}


def figures(system: System, talk: Talk) -> dict[str, Any]:
    """Everything that budget.py can say about one conversation."""
    return {
        "codes_per_s": budget.codes_per_s(system, talk),
        "positions_per_s": system.positions_hz,
        "bits_per_s": budget.bits_per_s(system),
        "context_minutes": budget.context_minutes(system, talk),
        "session_minutes": system.session_minutes,
        "kv_bytes_per_minute": budget.kv_bytes(system, 60.0),
        "kv_bytes_at_end": budget.kv_bytes(system, talk.minutes * 60),
        "bill": asdict(budget.bill(system, talk)),
        "usd": budget.cost_usd(system, talk),
        "usd_cached": budget.cost_usd(system, talk, cached=1.0),
        "prices_of": system.prices and system.prices.date,
        "source": system.source,
    }


def as_json(systems: Mapping[str, System], talk: Talk, made: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: figures(system, talk) for name, system in systems.items()}
    return {"duplex_budget": SCHEMA, **made, "talk": asdict(talk), "systems": found}


def rows(systems: Mapping[str, System], talk: Talk) -> list[list[str]]:
    """A row of cells for each system, in the order of HEAD."""
    return [_row(name, system, talk) for name, system in systems.items()]


def _row(name: str, system: System, talk: Talk) -> list[str]:
    found = figures(system, talk)
    kv = found["kv_bytes_per_minute"]
    usd, cached = (found[key] and found[key] / talk.minutes for key in ("usd", "usd_cached"))
    numbers = (found["codes_per_s"], found["positions_per_s"], found["bits_per_s"], found["context_minutes"])
    return [name, system.kind, *map(_cell, numbers), _cell(kv and kv / 2**20), _cell(usd, 4), _cell(cached, 4)]


def _cell(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
