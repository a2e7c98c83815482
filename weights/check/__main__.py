"""python -m weights.check [--checkpoint nano|FOLDER] [--n 20] [--only ROW,...] [--out DIR]: the table nano must pass.

Held-out voices ask held-out questions through the streaming path, many sessions in one batch; what the agent says is
transcribed and judged. DIR gets check.json, check.md and, with --record, every trial as a Recording.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from duplex.agents import open_agent
from duplex.checkpoint import BadFile, MissingFile
from duplex.config import ConfigError
from duplex.session import Agent
from eval.provenance import provenance
from weights.check.codec import codec_rows
from weights.check.families import FAMILIES, judged, played
from weights.check.hearing import Hearing, Scale
from weights.check.table import HEAD, Row, as_markdown, cells
from weights.check.ticks import tick_rows
from weights.flags import add_engines
from weights.voices import NoEngine

ROWS = ("codec", *(name for name in FAMILIES if name != "long"), "ticks", "long")
SMALL = Scale(n=2, together=4, quiet_s=10.0, long_s=30.0, ticks=40, mono_s=8.0)


def main() -> int:
    """Exit code 1 with --strict when a row falls short, 2 for what cannot be checked at all."""
    given = _arguments()
    try:
        rows, head = _checked(given, _scale(given))
    except (ConfigError, MissingFile, BadFile, NoEngine) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    _write(given.out, rows, head)
    _show(rows, head, given.out)
    return int(given.strict and any(row.ok is False for row in rows))


def _checked(given: argparse.Namespace, scale: Scale) -> tuple[list[Row], dict[str, Any]]:
    """(rows in the order of ROWS, how they came about)."""
    load = " ".join(f"{part:.1f}" for part in os.getloadavg())
    found: dict[str, list[Row]] = {}
    if "ticks" in given.only:  # first, while nothing else is in the process
        conditions = f"torch threads {given.threads}, load before {load}"
        found["ticks"] = tick_rows(lambda seats: _agent(given, seats), scale.ticks, conditions)
    from eval.transcribe import whisper

    hearing = Hearing(whisper())
    if "codec" in given.only and given.agent == "native":
        found["codec"] = codec_rows(given.checkpoint, 2 * scale.n, scale.seed, hearing.transcribe)
    trials = 0
    if families := [FAMILIES[name] for name in given.only if name in FAMILIES]:
        keep = given.out / "recordings" if given.record else None
        with Progress(console=Console(stderr=True)) as progress:
            both = asyncio.run(played(_agent(given, scale.together), families, scale, keep, progress))
            found |= judged(families, both, hearing, progress)
        trials = sum(len(first) + len(second) for first, second in both)
    rows = [row for name in ROWS for row in found.get(name, [])]
    return rows, _head(given, scale) | {"load before": load, "conversations": trials}


def _agent(given: argparse.Namespace, seats: int) -> Agent:
    settings: dict[str, Any] = {"seats": seats}
    if given.agent == "native":
        settings |= {"checkpoint": given.checkpoint, "threads": given.threads}
    return open_agent(given.agent, settings)


def _head(given: argparse.Namespace, scale: Scale) -> dict[str, Any]:
    """How the figures came about."""
    return {
        "agent": given.agent,
        "checkpoint": given.checkpoint if given.agent == "native" else "",
        "rows": ", ".join(given.only),
        "n": scale.n,
        "seed": scale.seed,
        "sessions at once": scale.together,
        "voices": ", ".join(scale.engines),
        "torch threads": given.threads,
        **provenance(),
    }


def _write(out: Path, rows: Sequence[Row], head: Mapping[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    result = {**head, "table": [row.as_json() for row in rows]}
    (out / "check.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "check.md").write_text(as_markdown(rows, head), encoding="utf-8")


def _show(rows: Sequence[Row], head: Mapping[str, Any], out: Path) -> None:
    table = Table(*HEAD)
    for row in rows:
        table.add_row(*cells(row), style="red" if row.ok is False else None)
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    console.print(f"{head['conversations']} conversations; every miss is in {out / 'check.md'}")


def _scale(given: argparse.Namespace) -> Scale:
    if given.small:
        return SMALL
    return Scale(n=given.n, seed=given.seed, engines=given.engines, together=given.rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m weights.check", description="Judge a nano by what it says.")
    parser.add_argument("--checkpoint", default="nano", help="a name or a folder (default: %(default)s)")
    parser.add_argument("--agent", default="native", help="another agent, to calibrate: scripted, echo, cascade")
    parser.add_argument("--n", type=int, default=20, help="scales the number of trials (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=8, help="sessions in one batch (default: %(default)s)")
    parser.add_argument("--only", type=_names, default=list(ROWS), metavar="ROW,...", help=", ".join(ROWS))
    add_engines(parser)
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/check"), help="(default: %(default)s)")
    parser.add_argument("--small", action="store_true", help="everything once or twice: does it run, for CI")
    parser.add_argument("--record", action="store_true", help="keep every trial as a Recording")
    parser.add_argument("--strict", action="store_true", help="exit code 1 when a row falls short")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(ROWS):
        raise argparse.ArgumentTypeError(f"no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    return names


if __name__ == "__main__":
    raise SystemExit(main())
