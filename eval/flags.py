"""The flags of `python -m eval VERB`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from duplex.agents import FACTORIES
from duplex.clients.call import WIRES
from eval.suites import SUITES

Verb = Callable[[argparse.Namespace], "int | None"]
Flags = argparse.ArgumentParser


def parser(verbs: Mapping[str, Verb]) -> argparse.ArgumentParser:
    """`verbs`: what each does; the parsed arguments have it as `verb`."""
    whole = argparse.ArgumentParser(prog="python -m eval", description="Record first, judge later.")
    known = whole.add_subparsers(metavar="VERB", required=True)
    for name, verb in verbs.items():
        does, flags = VERBS[name]
        one = known.add_parser(name, help=does, description=does[0].upper() + does[1:] + ".")
        one.set_defaults(verb=verb)
        flags(one)
    return whole


def _run(run: Flags) -> None:
    run.add_argument("--agent", required=True, metavar="NAME", help=f"{', '.join(FACTORIES)} or package.module:factory")
    setting = "a setting of an agent in this process, such as vad.stop_ms=300; may be repeated"
    run.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=setting)
    run.add_argument("--suite", default="smoke", help=f"all, {', '.join(SUITES)}, fdb:FOLDER (default: %(default)s)")
    run.add_argument("--out", type=Path, required=True, help="a folder of its own; a run that was cut short goes on")
    run.add_argument("--n", type=int, default=10, help="scenarios of each suite (default: %(default)s)")
    run.add_argument("--tail", type=float, default=6.0, metavar="S", help="seconds to answer in (default: %(default)s)")
    run.add_argument("--seed", type=int, default=0, help="for the agent's sampling (default: %(default)s)")
    run.add_argument("--paced", action="store_true", help="real time; only then is there a wall-clock latency")
    jobs = "processes, each with an agent of its own; not with --url (default: %(default)s)"
    run.add_argument("--jobs", type=int, default=1, metavar="N", help=jobs)
    run.add_argument("--url", metavar="WS_URL", help="talk to a server there, instead of an agent in this process")
    run.add_argument("--wire", default="pcm", help=f"with --url: {', '.join(WIRES)}, twilio (default: %(default)s)")


def _score(score: Flags) -> None:
    score.add_argument("dir", type=Path, help="recordings of a run; or stereo WAVs, user left, agent right")
    score.add_argument("--transcribe", action="store_true", help="also read the agent's audio back (whisper tiny.en)")
    score.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default: %(default)s)")
    limit = "such as 'response_latency_ms<=800' or 'yield_rate>=0.9'; exit code 3 when missed; may be repeated"
    score.add_argument("--limit", action="append", default=[], metavar="METRIC<=X", help=limit)
    compat = "also score as Full-Duplex-Bench does, defects included; needs recordings of --suite fdb:FOLDER"
    score.add_argument("--fdb-compat", action="store_true", help=compat)
    words = "the same, with words from FOLDER/SAMPLE/output.json, which a transcriber of yours has made"
    score.add_argument("--fdb-words", type=Path, metavar="FOLDER", help=words)


def _compare(compare: Flags) -> None:
    compare.add_argument("dirs", type=Path, nargs="+", metavar="DIR")
    compare.add_argument("--out", type=Path, required=True)
    reference = "a scored folder, of two people say, whose sharing of the time the others' is measured against"
    compare.add_argument("--reference", type=Path, metavar="DIR", help=reference)


def _protocols(protocols: Flags) -> None:
    runs = "recordings made in real time, of the same agents and suites over different wires, pcm among them"
    protocols.add_argument("dirs", type=Path, nargs="+", metavar="DIR", help=runs)
    protocols.add_argument("--out", type=Path, required=True)


def _view(view: Flags) -> None:
    view.add_argument("dir", type=Path, help="a comparison, or a scored folder")
    view.add_argument("--print", action="store_true", help="only say where the page is")


def _demo(demo: Flags) -> None:
    demo.add_argument("--out", type=Path, default=Path("runs/demo"), help="(default: %(default)s)")
    demo.add_argument("--n", type=int, default=10, help="questions (default: %(default)s)")
    demo.add_argument("--seed", type=int, default=0, help="for the agents' sampling (default: %(default)s)")


def _calibrate(calibrate: Flags) -> None:
    wires = "a wire to test it on, behind our server; may be repeated (default: pcm and chat)"
    calibrate.add_argument("--wire", action="append", choices=["pcm", "chat"], metavar="NAME", help=wires)


def _budget(budget: Flags) -> None:
    talk = "of the conversation, such as minutes=30 or user_share=0.5; may be repeated"
    budget.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=talk)
    budget.add_argument("--prices", type=Path, metavar="FILE", help="TOML to merge over eval/budget.toml")
    budget.add_argument("--out", type=Path, metavar="FILE", help="JSON with all figures")


def _fdb(fdb: Flags) -> None:
    fdb.add_argument("dir", type=Path, help="recordings of --suite fdb:FOLDER")
    fdb.add_argument("--out", type=Path, required=True, help="may be that FOLDER itself")


def _rate(rate: Flags) -> None:
    rate.add_argument("dir", type=Path, help="a scored folder")
    url = "where an OpenAI-compatible server is, up to /v1; a key is taken from OPENAI_API_KEY"
    rate.add_argument("--url", required=True, help=url)
    rate.add_argument("--model", required=True, metavar="NAME", help="as the server knows it")


def _bench(bench: Flags) -> None:
    bench.add_argument("--agent", action="append", metavar="NAME", help="may be repeated")


VERBS: Mapping[str, tuple[str, Callable[[Flags], None]]] = {
    "run": ("play a suite against an agent and keep the recordings", _run),
    "score": ("judge the recordings in a folder: scores.json and tables", _score),
    "compare": ("scored folders side by side: comparison.json, report.html, Markdown, CSV", _compare),
    "protocols": ("what each protocol costs, on the client's wall clock: protocols.json, Markdown", _protocols),
    "view": ("open the page of a comparison, or of one scored folder", _view),
    "demo": ("native and cascade through our server, from end to end", _demo),
    "calibrate": ("known delays and stops, and whether the judge finds them", _calibrate),
    "budget": ("tokens, context, memory and money of a conversation, system by system", _budget),
    "fdb": ("write a run's output.wav files in Full-Duplex-Bench's layout", _fdb),
    "rate": ("whether answers fit their questions, by a language model of yours: ratings.json", _rate),
    "bench": ("how long each agent takes over a tick", _bench),
}
