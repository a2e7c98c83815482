"""Flags that several programs have, and the settings that a trainer's make: TOML file, then KEY=VALUE, then flags."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, TypeVar

from duplex.config import from_dict, from_flags, merged, read_toml
from weights.voices import DEFAULT, ENGINES

S = TypeVar("S")


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, help="default: 60")
    parser.add_argument("--settings", type=Path, help="TOML file with the fields of Settings")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a field, such as threads=1")


def add_engines(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engines", type=_names, default=DEFAULT, help=f"of users' voices, from {','.join(ENGINES)}")


def settings_of(kind: type[S], given: argparse.Namespace, **flags: Any) -> S:
    """`flags` are fields too, None where not given; `kind` has a `pace`. Raises ConfigError."""
    table = merged(read_toml(given.settings) if given.settings else {}, from_flags(given.set))
    table |= {name: value for name, value in flags.items() if value is not None}
    if given.minutes is not None:
        table = merged(table, {"pace": {**table.get("pace", {}), "minutes": given.minutes}})
    return from_dict(kind, table)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))
