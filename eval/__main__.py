"""`python -m eval VERB`: flags and printing. Each verb's room is imported when used."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import signal
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from duplex.agents import FACTORIES, open_agent
from duplex.checkpoint import BadFile, MissingFile, locate
from duplex.codec import open_codec
from duplex.config import ConfigError, from_dict, from_flags
from duplex.recording import NotARecording
from duplex.session import AtCapacity, Unsupported
from eval import table
from eval.play import described, described_by, in_process, over_wire, record
from eval.process import ServerFailed
from eval.provenance import machine, provenance
from eval.suites import SUITES, scenarios_of

console = Console(width=None if sys.stdout.isatty() else 120)  # a log is not a narrow terminal
FOR_PEOPLE = (AtCapacity, BadFile, ConfigError, MissingFile, NotARecording, OSError, ServerFailed, Unsupported)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; 1: some recordings could not be judged, 2: an error that the user can mend, 130: interrupted."""
    args = _parser().parse_args(argv)
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
    if args.set and args.url:
        raise ConfigError("--set is for an agent in this process; the server at --url has settings of its own")
    played = asyncio.run(_play_over_wire(args) if args.url else _play_here(args))
    console.print(f"{played} played, {args.asked - played} already there: python -m eval score {args.out}")
    return 1 if args.refused else 0


async def _play_here(args: argparse.Namespace) -> int:
    agent = open_agent(args.agent, from_flags(args.set))
    try:
        meta = {**_meta(args), "wire": "in process", **described(agent.capabilities)}
        return await record(_scenarios(args), args.out, in_process(agent, args.paced, args.seed), meta)
    finally:
        await agent.close()


async def _play_over_wire(args: argparse.Namespace) -> int:
    meta = {**_meta(args), "wire": args.wire, **described_by(args.url, args.agent)}
    codec = open_codec(locate(meta["model"])) if args.wire == "tokens" else None
    player = over_wire(args.url, args.wire, args.agent, args.paced, args.seed, codec)
    return await record(_scenarios(args), args.out, player, meta)


def _scenarios(args: argparse.Namespace) -> Any:
    args.refused = []
    scenarios = scenarios_of(args.suite, args.n, args.tail, args.refused.append)
    args.asked = len(scenarios)
    _print_refused("not played", args.refused)
    return track(scenarios, f"talking to {args.agent}", console=console)


def _meta(args: argparse.Namespace) -> dict[str, Any]:
    pace = "realtime" if args.paced else "unpaced"
    how = {"agent": args.agent, "settings": from_flags(args.set), "suite": args.suite, "pace": pace, "seed": args.seed}
    return {**how, **provenance()}


def _score(args: argparse.Namespace) -> int:
    from eval import ledger_table
    from eval.score import score

    transcribe = None
    if args.transcribe:
        from eval.transcribe import whisper

        transcribe = whisper()
    judged = score(args.dir, transcribe)
    _print_agents({judged["agent"]: judged["summary"] | {"model": judged["model"]}})
    _print_table(table.METRIC_HEAD, table.metric_rows(judged["metrics"]), table.METRIC_NOTE)
    for why, times in judged["void"].items():
        console.print(f"void, {why}: {times}", style="dim")
    for cells in ledger_table.tables(judged["ledger"]):
        _print_table(cells.head, cells.rows, "\n".join(cells.notes))
    broken = judged["broken"] + (_fdb_compat(args, judged)["broken"] if args.fdb_compat or args.fdb_words else [])
    _print_refused("not judged", [f"{one['recording']}: {one['why']}" for one in broken])
    return 1 if broken else 0


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

    summary = compare(args.dirs, args.out, args.made)
    origins = [table.origin(label, figures) for label, figures in summary["agents"].items()]
    print("\n".join([table.markdown(table.HEAD, table.rows(summary["agents"])), "", table.NOTE, *origins]))
    print(f"\n{args.out / 'report.html'}", file=sys.stderr)


def _demo(args: argparse.Namespace) -> None:
    from eval.demo import demo

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a demo that is ended ends its server
    summary = demo(args.out, args.n, args.seed, args.made, console)
    _print_agents(summary["agents"])
    console.print(f"listen and look: [bold]{(args.out / 'report.html').resolve()}[/bold]", soft_wrap=True)


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


# --- flags ------------------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m eval", description="Record first, judge later.")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _run_flags(_verb(verbs, "run", _run, "play a suite against an agent and keep the recordings"))
    scored = _verb(verbs, "score", _score, "judge the recordings in a folder: scores.json and a table")
    scored.add_argument("dir", type=Path)
    scored.add_argument("--transcribe", action="store_true", help="also read the agent's audio back (whisper tiny.en)")
    compat = "also score as Full-Duplex-Bench does, defects included; needs recordings of --suite fdb:FOLDER"
    scored.add_argument("--fdb-compat", action="store_true", help=compat)
    words = "the same, with words from FOLDER/SAMPLE/output.json, which a transcriber of yours has made"
    scored.add_argument("--fdb-words", type=Path, metavar="FOLDER", help=words)
    output = _verb(verbs, "fdb", _fdb, "write a run's output.wav files in Full-Duplex-Bench's layout")
    output.add_argument("dir", type=Path, help="recordings of --suite fdb:FOLDER")
    output.add_argument("--out", type=Path, required=True, help="may be that FOLDER itself")
    compared = _verb(verbs, "compare", _compare, "scored folders side by side: comparison.json, report.html, Markdown")
    compared.add_argument("dirs", type=Path, nargs="+", metavar="DIR")
    compared.add_argument("--out", type=Path, required=True)
    shown = _verb(verbs, "demo", _demo, "native and cascade through our server, from end to end")
    shown.add_argument("--out", type=Path, default=Path("runs/demo"), help="(default: %(default)s)")
    shown.add_argument("--n", type=int, default=10, help="questions (default: %(default)s)")
    shown.add_argument("--seed", type=int, default=0, help="for the agents' sampling (default: %(default)s)")
    tested = _verb(verbs, "calibrate", _calibrate, "known delays and stops, and whether the judge finds them")
    wires = "a wire to test it on, behind our server; may be repeated (default: pcm and chat)"
    tested.add_argument("--wire", action="append", choices=["pcm", "chat"], metavar="NAME", help=wires)
    counted = _verb(verbs, "budget", _budget, "tokens, context, memory and money of a conversation, system by system")
    talk = "of the conversation, such as minutes=30 or user_share=0.5; may be repeated"
    counted.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=talk)
    counted.add_argument("--prices", type=Path, metavar="FILE", help="TOML to merge over eval/budget.toml")
    counted.add_argument("--out", type=Path, metavar="FILE", help="JSON with all figures")
    timed = _verb(verbs, "bench", _bench, "how long each agent takes over a tick")
    timed.add_argument("--agent", action="append", metavar="NAME", help="may be repeated")
    return parser


def _verb(verbs: Any, name: str, verb: Any, help: str) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    parser.set_defaults(verb=verb)
    return parser


def _run_flags(run: argparse.ArgumentParser) -> None:
    run.add_argument("--agent", required=True, metavar="NAME", help=f"{', '.join(FACTORIES)} or package.module:factory")
    setting = "a setting of an agent in this process, such as vad.stop_ms=300; may be repeated"
    run.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=setting)
    run.add_argument("--suite", default="smoke", help=f"all, {', '.join(SUITES)}, fdb:FOLDER (default: %(default)s)")
    run.add_argument("--out", type=Path, required=True, help="a folder of its own; a run that was cut short goes on")
    run.add_argument("--n", type=int, default=10, help="scenarios of each suite (default: %(default)s)")
    run.add_argument("--tail", type=float, default=6.0, metavar="S", help="seconds to answer in (default: %(default)s)")
    run.add_argument("--seed", type=int, default=0, help="for the agent's sampling (default: %(default)s)")
    run.add_argument("--paced", action="store_true", help="real time; only then is there a wall-clock latency")
    run.add_argument("--url", metavar="WS_URL", help="talk to a server there, instead of an agent in this process")
    run.add_argument("--wire", default="pcm", help="with --url: chat, pcm or tokens (default: %(default)s)")


if __name__ == "__main__":
    raise SystemExit(main())
