"""The notebooks run on nano from the first cell to the last, and lie in git as if they never had."""

from __future__ import annotations

import ast
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "notebooks"))
from strip import stripped  # noqa: E402  # beside the notebooks, which are no package

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MAY_IMPORT = {"duplex", "eval", "numpy", "matplotlib", "IPython", "pathlib", "time"}
CACHES = {"__pycache__", "runs"}  # git ignores them everywhere

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[str]:
    """The text of every cell of one kind."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == kind]


def imports(code: str) -> set[str]:
    """First names of the packages that a cell imports; a cell may await."""
    tree: Any = compile(code, "cell", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    named: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            named.add((node.module or "").split(".")[0])
    return named


def tree() -> set[str]:
    """Every path of the checkout that git could see."""
    return set(_below(ROOT))


def _below(folder: Path) -> Iterator[str]:
    for entry in os.scandir(folder):
        if entry.name.startswith(".") or entry.name in CACHES:
            continue
        yield entry.path
        if entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path))


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where IPython, Jupyter and matplotlib keep what is theirs."""
    return tmp_path_factory.mktemp("homes")


def test_they_are_numbered_from_one() -> None:
    assert [path.name.split("-")[0] for path in NOTEBOOKS] == ["1", "2", "3", "4", "5"]


@each_notebook
def test_it_runs_and_leaves_nothing(path: Path, tmp_path: Path, homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(homes / name))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # `eval` is not installed
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before, text = tree(), path.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}})
    client.execute()  # raises what a cell raises
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
    assert tree() - before == set()
    assert stripped(nbformat.writes(notebook)) == text


@each_notebook
def test_it_lies_in_git_without_outputs(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == stripped(text), "run: python notebooks/strip.py"
    ids = [cell["id"] for cell in json.loads(text)["cells"]]
    assert len(set(ids)) == len(ids)


def test_a_run_is_stripped() -> None:
    ran = {
        "cells": [
            {
                "cell_type": "code",
                "execution_count": 3,
                "id": "a",
                "metadata": {"scrolled": True},
                "outputs": [{"output_type": "stream", "name": "stdout", "text": "1"}],
                "source": ["print(1)"],
            }
        ],
        "metadata": {"language_info": {"name": "python", "version": "3.11.7"}},
    }
    (cell,) = json.loads(stripped(json.dumps(ran)))["cells"]
    assert cell == {
        "cell_type": "code",
        "execution_count": None,
        "id": "a",
        "metadata": {},
        "outputs": [],
        "source": ["print(1)"],
    }
    assert "3.11.7" not in stripped(json.dumps(ran))


@each_notebook
def test_it_imports_only_ours_and_what_draws(path: Path) -> None:
    assert set().union(*map(imports, cells(path, "code"))) <= MAY_IMPORT


def test_an_import_is_found_wherever_it_stands() -> None:
    assert imports("x = await f()\nif x:\n    import torch.nn as nn\nfrom weights.bank import y") == {
        "torch",
        "weights",
    }


@each_notebook
def test_it_says_what_you_learn_and_what_to_try(path: Path) -> None:
    kinds = [cell["cell_type"] for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    said = cells(path, "markdown")
    assert kinds[0] == kinds[-1] == "markdown"
    assert said[0].startswith(f"# {path.name[0]}. ") and "**What you will learn**\n\n- " in said[0]
    assert said[-1].startswith("## Something to try\n\n- ")
