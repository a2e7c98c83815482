"""`python -m eval VERB`: flags and printing. Each verb's room is imported when used."""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import shlex
import signal
import sys
import webbrowser
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from duplex.checkpoint import BadFile, MissingFile, locate
from duplex.codec import open_codec
from duplex.config import ConfigError, from_dict, from_flags
from duplex.recording import NotARecording
from duplex.session import AtCapacity, Unsupported
from eval import table
from eval.flags import parser
from eval.here import Run, play, play_in
from eval.play import described_by, over_wire, record
from eval.process import ServerFailed
from eval.provenance import machine
from eval.scenario import Scenario
from eval.score import Across, score
from eval.suites import scenarios_of

console = Console(width=None if sys.stdout.isatty() else 120)  # a log is not a narrow terminal
FOR_PEOPLE = (AtCapacity, BadFile, ConfigError, MissingFile, NotARecording, OSError, ServerFailed, Unsupported)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb. 1: some recordings could not be played or judged, 2: an error that the user can mend, 3: a limit is
    missed, 130: interrupted."""
    args = parser(VERBS).parse_args(argv)
    args.made = {
        "command": shlex.join(["python", "-m", "eval", *(sys.argv[1:] if argv is None else argv)]),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    }
    try:
        return args.verb(args) or 0
    except FOR_PEOPLE as error:
        print(f"eval: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


# --- verbs ------------------------------------------------------------------------------------------------------------


def _run(args: argparse.Namespace) -> int:
    _check_jobs(args.jobs)
    if args.url and (args.set or args.jobs > 1):
        raise ConfigError(
            "--set and --jobs are for an agent in this process; the server at --url has settings of its own"
        )
    refused: list[str] = []
    scenarios = scenarios_of(args.suite, args.n, args.tail, refused.append)
    _print_refused("not played", refused)
    played = asyncio.run(_play_over_wire(args, scenarios)) if args.url else _play_here(args, scenarios)
    console.print(f"{played} played, {len(scenarios) - played} already there: python -m eval score {args.out}")
    return 1 if refused else 0


def _play_here(args: argparse.Namespace, scenarios: Sequence[Scenario]) -> int:
    run = Run(args.out, args.agent, args.suite, from_flags(args.set), args.paced, args.seed)
    if args.jobs == 1:
        return asyncio.run(play(run, _tracked(args, scenarios)))
    played: list[int] = []

    def steps() -> Iterator[None]:
        played.append((yield from play_in(args.jobs, run, scenarios)))

    for _ in track(steps(), f"talking to {args.agent}, {args.jobs} at once", len(scenarios), console=console):
        pass
    return sum(played)


async def _play_over_wire(args: argparse.Namespace, scenarios: Sequence[Scenario]) -> int:
    run = Run(args.out, args.agent, args.suite, {}, args.paced, args.seed)
    meta = {**run.meta(), "wire": args.wire, **described_by(args.url, args.agent)}
    codec = open_codec(locate(meta["model"])) if args.wire == "tokens" else None
    player = over_wire(args.url, args.wire, args.agent, args.paced, args.seed, codec)
    return await record(_tracked(args, scenarios), args.out, player, meta)


def _tracked(args: argparse.Namespace, scenarios: Sequence[Scenario]) -> Iterable[Scenario]:
    return track(scenarios, f"talking to {args.agent}", console=console)


def _score(args: argparse.Namespace) -> int:
    from eval import ledger_table
    from eval.limits import limit, missed

    limits = [limit(text) for text in args.limit]  # before the work

    transcribe = None
    if args.transcribe:
        from eval.transcribe import whisper

        transcribe = whisper()
    with _several(args.jobs, "judging") as across:
        judged = score(args.dir, transcribe, across)
    _print_agents({judged["agent"]: judged["summary"] | {"model": judged["model"]}})
    _print_table(table.METRIC_HEAD, table.metric_rows(judged["metrics"]), table.METRIC_NOTE)
    for why, times in judged["void"].items():
        console.print(f"void, {why}: {times}", style="dim")
    for cells in ledger_table.tables(judged["ledger"]):
        _print_table(cells.head, cells.rows, "\n".join(cells.notes))
    broken = judged["broken"] + (_fdb_compat(args, judged)["broken"] if args.fdb_compat or args.fdb_words else [])
    _print_refused("not judged", [f"{one['recording']}: {one['why']}" for one in broken])
    beyond = missed(limits, judged["metrics"])
    _print_refused("limit missed", beyond)
    return 3 if beyond else 1 if broken else 0


def _check_jobs(jobs: int) -> None:
    if jobs < 1:
        raise ConfigError(f"--jobs must be at least 1, got {jobs}")


@contextmanager
def _several(jobs: int, doing: str) -> Iterator[Across]:
    """map, in so many processes, with its progress shown."""
    _check_jobs(jobs)
    if jobs == 1:
        yield lambda function, items: track(map(function, items), doing, len(items), console=console)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        yield lambda function, items: track(pool.map(function, items), doing, len(items), console=console)


def _fdb_compat(args: argparse.Namespace, judged: dict[str, Any]) -> dict[str, Any]:
    from eval.fdb import beside
    from eval.fdb.compat import add_fdb
    from eval.fdb.ears import ears_of

    added = add_fdb(args.dir, judged, ears_of(args.transcribe, args.fdb_words))
    _print_table(beside.HEAD, beside.rows(added), beside.NOTE)
    for line in beside.footnotes(added):
        console.print(line, style="dim")
    return added


def _fdb(args: argparse.Namespace) -> int:
    from eval.fdb.outputs import write_outputs

    refused: list[str] = []
    written = write_outputs(args.dir, args.out, refused.append)
    console.print(f"{len(written)} written below {args.out}")
    _print_refused("not written", refused)
    return 1 if refused else 0


def _compare(args: argparse.Namespace) -> None:
    from eval.report import compare

    summary = compare(args.dirs, args.out, args.made, args.reference)
    origins = [table.origin(label, figures) for label, figures in summary["agents"].items()]
    print("\n".join([table.markdown(table.HEAD, table.rows(summary["agents"])), "", table.NOTE, *origins]))
    print(f"\n{args.out / 'report.html'}", file=sys.stderr)


def _protocols(args: argparse.Namespace) -> int:
    from eval.protocols import protocols
    from eval.protocols_table import report

    result = protocols(args.dirs, args.out, args.made)
    print(report(result))
    _print_refused("not judged", [f"{one['recording']}: {one['why']}" for one in result["broken"]])
    return 1 if result["broken"] else 0


def _view(args: argparse.Namespace) -> None:
    from eval.report import compare

    page = args.dir / "report.html"
    if not page.exists():
        compare([args.dir], args.dir, args.made)
    console.print(f"{page.resolve()}", soft_wrap=True)
    if not args.print:
        webbrowser.open(page.resolve().as_uri())


def _demo(args: argparse.Namespace) -> None:
    from eval.demo import demo

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a demo that is ended ends its server
    summary = demo(args.out, args.n, args.seed, args.made, console)
    _print_agents(summary["agents"])
    console.print(f"listen and look: [bold]{(args.out / 'report.html').resolve()}[/bold]", soft_wrap=True)


def _rate(args: argparse.Namespace) -> None:
    from duplex.agents.cascade.llm import LanguageModelError
    from eval.rate import rate

    try:
        found = asyncio.run(rate(args.dir, args.url, args.model, os.environ.get("OPENAI_API_KEY", "")))
    except LanguageModelError as error:
        raise ConfigError(f"the model cannot rate: {error}") from None
    console.print(f"relevance {found['relevance']['value']} of 5, n {found['relevance']['n']}, by {args.model}")
    _print_refused("no rating in", [f"{name}: {reply!r}" for name, reply in found["unreadable"].items()])


def _calibrate(args: argparse.Namespace) -> int:
    from eval import calibrate

    ears = [[name, sound, *map(str, errors.values())] for name, sound, errors in calibrate.ears()]
    _print_table(calibrate.EAR_HEAD, ears, calibrate.EAR_NOTE)
    total = calibrate.checks(args.wire)
    done = list(track(calibrate.calibrate(args.wire), "calibrating", total, console=console))
    _print_table(calibrate.HEAD, map(calibrate.row, done), calibrate.NOTE)
    return 0 if all(check.passed for check in done) else 1


def _budget(args: argparse.Namespace) -> None:
    from eval import budget_table
    from eval.budget import Talk

    talk = from_dict(Talk, from_flags(args.set), "talk")
    systems = budget_table.known_systems(args.prices)
    _print_table(budget_table.HEAD, budget_table.rows(systems, talk), budget_table.NOTE)
    if args.out:
        args.out.write_text(json.dumps(budget_table.as_json(systems, talk, args.made), indent=1) + "\n")


def _bench(args: argparse.Namespace) -> None:
    from eval import bench

    body = [bench.bench(name) for name in track(args.agent or ["native", "cascade", "echo"], "bench", console=console)]
    _print_table(bench.HEAD, body, f"{bench.NOTE} {machine()}.")


def _print_refused(what: str, whys: Iterable[str]) -> None:
    for why in whys:
        print(f"{what}: {why}", file=sys.stderr)


def _print_agents(agents: dict[str, Any]) -> None:
    _print_table(table.HEAD, table.rows(agents), table.NOTE)


def _print_table(head: Sequence[str], body: Iterable[Sequence[str]], note: str) -> None:
    drawn = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for name in head:
        drawn.add_column(name, no_wrap=name != "model", justify="left" if name in head[:2] else "right")
    for row in body:
        drawn.add_row(*row)
    console.print(drawn)
    console.print(note, style="dim")


VERBS = {
    "run": _run,
    "score": _score,
    "compare": _compare,
    "protocols": _protocols,
    "view": _view,
    "demo": _demo,
    "calibrate": _calibrate,
    "budget": _budget,
    "fdb": _fdb,
    "rate": _rate,
    "bench": _bench,
}


if __name__ == "__main__":
    raise SystemExit(main())
