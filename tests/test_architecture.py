"""The rules of the house, read from the source: who may import whom, and what nobody may do."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Room -> the rooms that it may import, besides itself. Every way of importing counts, TYPE_CHECKING included.
_CLOCK = {"frame", "events", "notes", "session"}
_DATA = _CLOCK | {"turns", "recording", "config", "checkpoint", "codec", "compat"}
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "compat": set(),
    "frame": set(),
    "events": {"frame"},
    "notes": set(),
    "session": {"frame", "notes"},
    "turns": _CLOCK,
    "recording": _CLOCK,
    "config": _CLOCK,
    "checkpoint": _CLOCK | {"config"},
    "codec": _CLOCK | {"config", "checkpoint"},
    "engine": _DATA,
    "agents": _DATA | {"engine"},
    "protocols": _DATA,
    "server": _DATA | {"engine", "agents", "protocols"},
    "clients": _DATA | {"protocols"},
    "doctor": _DATA,
    "cli": _DATA | {"agents", "server", "clients", "doctor"},
    "__main__": {"cli"},
}

# Package -> where it may be imported: files, or folders that end in "/".
ONLY_IN = {
    "torch": (
        "duplex/engine/model.py",
        "duplex/engine/depth.py",
        "duplex/engine/mimi.py",
        "duplex/engine/rings.py",
        "duplex/engine/seanet.py",
        "duplex/engine/temporal.py",
        "duplex/engine/sampling.py",
        "duplex/codec.py",
        "weights/",
    ),
    "moshi": (
        "duplex/engine/model.py",
        "duplex/engine/depth.py",
        "duplex/engine/mimi.py",
        "duplex/engine/seanet.py",
        "duplex/engine/temporal.py",
        "duplex/engine/sampling.py",
        "duplex/codec.py",
        "weights/",
    ),
    "aiohttp": ("duplex/server/", "duplex/clients/", "duplex/agents/cascade/llm.py"),
    "sphn": ("duplex/protocols/opus.py", "duplex/clients/", "eval/"),
}
CLOCKS_IN = (
    "duplex/engine/",
    "duplex/server/",
    "duplex/clients/",
    "duplex/agents/cascade/",
    "duplex/checkpoint/",
    "duplex/cli.py",
    "duplex/doctor.py",
    "eval/",
    "weights/",
)
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


class Source:
    """One Python file: its path from the root, its tree, what it imports."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.tree = ast.parse(text)
        self.imports = sorted(set(_imports(self.tree, path)))  # (line, dotted name)

    @property
    def room(self) -> str:
        return self.path.removeprefix("duplex/").split("/")[0].removesuffix(".py")

    def lies_in(self, places: tuple[str, ...]) -> bool:
        return any(self.path.startswith(place) if place.endswith("/") else self.path == place for place in places)

    def packages(self) -> set[str]:
        """What it imports, by first name."""
        return {name.split(".")[0] for _, name in self.imports}


def _imports(tree: ast.AST, path: str) -> Iterator[tuple[int, str]]:
    """Dotted names; `from a import b` gives a.b, since b may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.split("/")[: -node.level] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def _dotted(node: ast.AST) -> str:
    """`time.monotonic` for that expression, "" for anything but names and dots."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := _dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""


# --- rules: source -> what is wrong with it ---------------------------------------------------------------------------


def imports_point_down(source: Source) -> Iterator[str]:
    if not source.path.startswith("duplex/"):
        return
    if source.room not in MAY_IMPORT:
        yield f"room {source.room!r} is new: give it a row in MAY_IMPORT"
        return
    for line, name in source.imports:
        package, _, rest = name.partition(".")
        room = rest.split(".")[0]
        if package in ("eval", "weights", "tests"):
            yield f"line {line}: duplex imports {package}"
        elif package == "duplex" and room in MAY_IMPORT and room not in MAY_IMPORT[source.room] | {source.room}:
            yield f"line {line}: {source.room} imports {room}; it may import {sorted(MAY_IMPORT[source.room])}"


def heavy_packages_stay_in_their_rooms(source: Source) -> Iterator[str]:
    for package, places in ONLY_IN.items():
        if package in source.packages() and not source.lies_in(places):
            yield f"imports {package}, which belongs to {', '.join(places)}"


def eval_is_imported_with_from(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "eval" for alias in node.names):
            yield f"line {node.lineno}: `import eval...` shadows the builtin; write `from eval.x import y`"


def clocks_are_read_only_at_the_edges(source: Source) -> Iterator[str]:
    wall = {"time.time", "time.time_ns", "datetime.now", "datetime.datetime.now", "datetime.utcnow"}
    names = {(node.lineno, _dotted(node)) for node in ast.walk(source.tree) if isinstance(node, ast.Attribute)}
    for line, name in sorted(names | set(source.imports)):
        if name in ("time.time", "time.time_ns"):
            yield f"line {line}: {name} jumps when the clock is set; take a monotonic one, as an argument"
        elif (name in wall or name.startswith("time.") or name == "time") and not source.lies_in(CLOCKS_IN):
            yield f"line {line}: {name} reads a clock below the server; time here is a tick number"


def nothing_is_pickled(source: Source) -> Iterator[str]:
    for package in source.packages() & PICKLES:
        yield f"imports {package}, which runs code when it loads"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and _dotted(node) == "torch.load":
            yield f"line {node.lineno}: torch.load unpickles; use safetensors"
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and getattr(node.value, "value", True):
            yield f"line {node.value.lineno}: allow_pickle"


def every_module_says_what_it_does(source: Source) -> Iterator[str]:
    if source.tree.body and not ast.get_docstring(source.tree):  # type: ignore[attr-defined]
        yield "no module docstring"


RULES: tuple[Callable[[Source], Iterator[str]], ...] = (
    imports_point_down,
    heavy_packages_stay_in_their_rooms,
    eval_is_imported_with_from,
    clocks_are_read_only_at_the_edges,
    nothing_is_pickled,
    every_module_says_what_it_does,
)


@cache
def sources() -> list[Source]:
    paths = [path for room in ("duplex", "eval", "weights") for path in sorted((ROOT / room).rglob("*.py"))]
    return [Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule: Callable[[Source], Iterator[str]]) -> None:
    assert len(sources()) > 10
    assert [f"{source.path}: {wrong}" for source in sources() for wrong in rule(source)] == []


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (imports_point_down, "duplex/frame.py", "from duplex.session import Session"),
        (imports_point_down, "duplex/frame.py", "from duplex import session"),
        (imports_point_down, "duplex/agents/cascade/vad.py", "from ...protocols import wire"),
        (imports_point_down, "duplex/protocols/pcm.py", "def f():\n    import duplex.agents.echo"),
        (imports_point_down, "duplex/turns.py", "if TYPE_CHECKING:\n    from duplex.server import app"),
        (imports_point_down, "duplex/server/app.py", "from eval.play import play"),
        (imports_point_down, "duplex/novelty.py", ""),
        (heavy_packages_stay_in_their_rooms, "duplex/engine/seats.py", "import torch.nn as nn"),
        (heavy_packages_stay_in_their_rooms, "eval/play.py", "from aiohttp import web"),
        (heavy_packages_stay_in_their_rooms, "duplex/protocols/pcm.py", "import sphn"),
        (eval_is_imported_with_from, "eval/__main__.py", "import eval.play"),
        (clocks_are_read_only_at_the_edges, "duplex/server/pacing.py", "import time\nnow = time.time()"),
        (clocks_are_read_only_at_the_edges, "duplex/server/pacing.py", "from time import time"),
        (clocks_are_read_only_at_the_edges, "duplex/agents/echo.py", "import time"),
        (clocks_are_read_only_at_the_edges, "duplex/agents/echo.py", "from time import monotonic"),
        (clocks_are_read_only_at_the_edges, "duplex/recording.py", "x = datetime.datetime.now()"),
        (nothing_is_pickled, "weights/export.py", "torch.load('x')"),
        (nothing_is_pickled, "eval/play.py", "import pickle"),
        (nothing_is_pickled, "eval/play.py", "np.load('x', allow_pickle=True)"),
        (every_module_says_what_it_does, "duplex/frame.py", "x = 1"),
    ],
)
def test_each_rule_notices_its_breach(rule: Callable[[Source], Iterator[str]], path: str, text: str) -> None:
    assert list(rule(Source(path, text)))


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (imports_point_down, "duplex/agents/cascade/vad.py", "from . import due\nfrom duplex.frame import Frame"),
        (heavy_packages_stay_in_their_rooms, "duplex/codec.py", "import torch"),
        (eval_is_imported_with_from, "eval/__main__.py", "from eval.play import play"),
        (clocks_are_read_only_at_the_edges, "duplex/server/pacing.py", "import time\nnow = time.monotonic()"),
        (clocks_are_read_only_at_the_edges, "duplex/turns.py", "self.time.x = 1"),
        (nothing_is_pickled, "eval/play.py", "np.load('x', allow_pickle=False)"),
        (every_module_says_what_it_does, "duplex/engine/__init__.py", ""),
    ],
)
def test_each_rule_leaves_the_innocent_alone(rule: Callable[[Source], Iterator[str]], path: str, text: str) -> None:
    assert list(rule(Source(path, text))) == []


def test_the_inner_ring_and_the_command_line_load_no_torch() -> None:
    rooms = ["frame", "session", "turns", "recording", "config", "checkpoint", "cli", "doctor", "agents.echo"]
    heavy = "{'torch', 'moshi', 'aiohttp', 'onnxruntime', 'faster_whisper', 'xllamacpp'}"
    code = f"import sys, {', '.join(f'duplex.{room}' for room in rooms)}; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# --- the map ----------------------------------------------------------------------------------------------------------


def rooms_of(root: Path) -> set[str]:
    """Folders and single modules directly below duplex/, as the map should write them."""
    package = root / "duplex"
    folders = {f"duplex/{path.name}/" for path in package.iterdir() if path.is_dir() and any(_files(path))}
    return folders | {f"duplex/{path.name}" for path in package.glob("*.py") if not path.name.startswith("__")}


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def flaws(text: str, root: Path) -> list[str]:
    """What a map says that is not so, and what it leaves out. Paths are in backticks: `duplex/frame.py`, `eval/`."""
    named = set(re.findall(r"`((?:duplex|eval|weights|tests|docs|notebooks)/[\w./-]*)`", text))
    wrong = [f"{path} does not exist" for path in sorted(named) if not (root / path).exists()]
    return wrong + [f"{room} is not named" for room in sorted(rooms_of(root) - named)]


def test_the_map_is_true_and_complete() -> None:
    assert flaws((ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8"), ROOT) == []


def test_a_map_that_lies_is_caught(tmp_path: Path) -> None:
    for name in ("duplex/frame.py", "duplex/engine/seats.py", "duplex/__init__.py", "duplex/web/__pycache__/x.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert rooms_of(tmp_path) == {"duplex/frame.py", "duplex/engine/"}
    assert flaws("`duplex/frame.py` and `duplex/engine/`, see `duplex/engine/seats.py`", tmp_path) == []
    assert flaws("`duplex/frame.py` `duplex/gone.py`", tmp_path) == [
        "duplex/gone.py does not exist",
        "duplex/engine/ is not named",
    ]
