"""The command line: serve, talk, weights, doctor. Each verb imports its own room, so that none waits for another's."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from duplex.agents import FACTORIES
from duplex.checkpoint import BadFile, Entry, MissingFile
from duplex.config import ConfigError, read_toml
from duplex.session import AtCapacity, Unsupported

_FOR_PEOPLE = (ConfigError, MissingFile, BadFile, Unsupported, AtCapacity, OSError)
_DEFAULT_AGENTS = ("native", "cascade")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit status: 2 for an error that the user can mend, 130 when interrupted."""
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except _FOR_PEOPLE as error:
        print(f"duplex: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


# --- verbs ------------------------------------------------------------------------------------------------------------


def _serve(args: argparse.Namespace) -> int:
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("duplex").setLevel(logging.INFO)  # conversations come and go; other libraries only warn
    agents, server = serve_settings(args, read_toml(args.config) if args.config else {})
    from duplex.server import run_server  # after the settings: a typo is answered at once

    return run_server(agents, server)


def _talk(args: argparse.Namespace) -> int:
    from duplex.clients.talk import run_talk

    return run_talk(url=args.url, agent=args.agent, wire=args.wire, input=args.input, output=args.output, key=args.key)


def _weights_list(_: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from duplex.checkpoint import manifest, missing

    table = Table("name", "kind", "size", "licence", "here", "what", box=None)
    for entry in manifest().values():
        here = "no" if missing(entry) else "yes"
        table.add_row(entry.name, entry.kind, _size(entry), entry.licence, here, entry.title)
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return 0


def _size(entry: Entry) -> str:
    if entry.bytes is None:
        return "unknown"
    size = f"{entry.bytes / 1e9:.1f} GB" if entry.bytes >= 1e9 else f"{entry.bytes / 1e6:.0f} MB"
    return f"about {size}" if entry.about_bytes else size


def _weights_fetch(args: argparse.Namespace) -> int:
    from duplex.checkpoint import fetch

    print(fetch(args.name).folder)
    return 0


def _weights_where(args: argparse.Namespace) -> int:
    from duplex.checkpoint import locate

    print(locate(args.name, fetch=False).folder)
    return 0


def _doctor(_: argparse.Namespace) -> int:
    from duplex.doctor import print_report

    print_report()
    return 0


def serve_settings(
    args: argparse.Namespace, tables: Mapping[str, Any]
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """The flags of `serve` over the tables of its TOML file -> (settings of each agent, settings of the server).

    What a table may hold is for its owner to say. Raises ConfigError for a table that nobody owns.
    """
    names = args.agent or _DEFAULT_AGENTS
    known = list(dict.fromkeys(["server", *FACTORIES, *names]))
    for name, table in tables.items():
        if name not in known:
            raise ConfigError(f"{args.config}: no table [{name}]; valid tables: {', '.join(known)}")
        if not isinstance(table, dict):
            raise ConfigError(f"{args.config}: {name!r} must be a table, got {table!r}")
    agents = {name: dict(tables.get(name, {})) for name in names}
    native = _given(args, "checkpoint", "seats", "device")
    if native and "native" not in agents:
        raise ConfigError(f"--{next(iter(native))} is for the native agent, which --agent leaves out")
    agents.get("native", {}).update(native)
    return agents, {**tables.get("server", {}), **_given(args, "host", "port", "key", "tls_self_signed", "tls_port")}


def _given(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(args, name)) is not None}


# --- flags ------------------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="duplex", description="Listens while it speaks. Everything runs locally.")
    parser.add_argument("--version", action="version", version=f"duplex {version('duplex')}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _serve_flags(_verb(verbs, "serve", _serve, "open the doors: a local server for every wire"))
    _talk_flags(_verb(verbs, "talk", _talk, "talk to a server: by microphone, or with a recorded user"))
    weights = _verb(verbs, "weights", None, "which checkpoints there are, and where").add_subparsers(
        metavar="VERB", required=True
    )
    _verb(weights, "list", _weights_list, "every checkpoint that can be loaded by name")
    _verb(weights, "fetch", _weights_fetch, "bring one here, or verify it").add_argument("name")
    _verb(weights, "where", _weights_where, "print the folder that holds one").add_argument("name")
    _verb(verbs, "doctor", _doctor, "what this machine can run, and what it lacks")
    return parser


def _verb(verbs: Any, name: str, run: Any, help: str) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    parser.set_defaults(run=run)
    return parser


def _serve_flags(serve: argparse.ArgumentParser) -> None:
    agents = f"may be repeated: {', '.join(FACTORIES)} or package.module:factory"
    default = f"(default: {' and '.join(_DEFAULT_AGENTS)})"
    serve.add_argument("--agent", action="append", metavar="NAME", help=f"{agents} {default}")
    serve.add_argument("--host", help="address to listen on (default: 127.0.0.1, this machine only)")
    serve.add_argument("--port", type=int, help="(default: 8998)")
    serve.add_argument("--key", help="clients must present this key")
    tls = "listen a second time, encrypted, with a certificate made here (Google's SDKs insist)"
    serve.add_argument("--tls-self-signed", action="store_true", default=None, help=tls)
    serve.add_argument("--tls-port", type=int, help="where it is listened to encrypted (default: 8999)")
    serve.add_argument(
        "--checkpoint", metavar="NAME_OR_PATH", help="weights of the native agent; see duplex weights list"
    )
    serve.add_argument("--seats", type=int, help="conversations at once with the native agent")
    serve.add_argument("--device", help="where the native agent runs: cpu, cuda, cuda:1 ...")
    serve.add_argument(
        "--config", type=Path, metavar="FILE.toml", help="tables [server] and one for each agent; flags win"
    )


def _talk_flags(talk: argparse.ArgumentParser) -> None:
    talk.add_argument("--url", default="ws://127.0.0.1:8998", help="(default: %(default)s)")
    talk.add_argument("--agent", default="native", metavar="NAME", help="(default: %(default)s)")
    talk.add_argument("--wire", default="chat", metavar="NAME", help="(default: %(default)s)")
    talk.add_argument("--input", type=Path, metavar="USER.wav", help="speak this instead of using the microphone")
    talk.add_argument("--output", type=Path, metavar="REPLY.wav", help="write the reply here instead of playing it")
    talk.add_argument("--key", help="the server's key, if it asks for one")
