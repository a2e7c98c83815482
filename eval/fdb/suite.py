"""A folder of Full-Duplex-Bench samples as a suite: `--suite fdb:FOLDER`.

FOLDER may be all of a download, a version, or one subset. Nothing that is named in it becomes a path: scenarios are
numbered in the order of their folders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, overload

from duplex.config import ConfigError
from eval.fdb import files
from eval.fdb.files import BadSample
from eval.fdb.samples import V1, Sample, read_sample
from eval.scenario import Facts, Scenario

DEPTH = 3  # version/subset/sample
OF_A_SAMPLE = (files.INPUT, files.METADATA, *V1)


class Found(NamedTuple):
    id: str
    folder: Path
    sample: Sample
    facts: Facts


class Scenarios(Sequence[Scenario]):
    """The user channels of samples, each read when it is asked for: all of a download would not fit in memory."""

    def __init__(self, found: Sequence[Found]) -> None:
        self._found = found

    def __len__(self) -> int:
        return len(self._found)

    @overload
    def __getitem__(self, index: int) -> Scenario: ...
    @overload
    def __getitem__(self, index: slice) -> Scenarios: ...
    def __getitem__(self, index: int | slice) -> Scenario | Scenarios:
        if isinstance(index, slice):
            return Scenarios(self._found[index])
        one = self._found[index]
        return Scenario(one.id, files.sound(one.folder / files.INPUT).pcm, one.facts, one.sample.header())


def scenarios(root: Path, n: int, refuse: Callable[[str], None]) -> Scenarios:
    """The first `n` samples of each subset; `refuse` is told of those that are broken.

    Raises ConfigError when `root` is no such folder, or none of its samples can be played.
    """
    if not root.is_dir():
        raise ConfigError(f"{root}: no such folder; expected one of Full-Duplex-Bench")
    if _is_sample(root):
        raise ConfigError(f"{root}: is one sample; give the folder above it")
    asked, found = _first_of_each(list(_below(root, DEPTH)), n), []
    for number, folder in asked:
        try:
            found.append(Found(f"fdb-{number:04d}", folder, *read_sample(folder, root)))
        except BadSample as error:
            refuse(str(error))
    if not found:
        raise ConfigError(f"{root}: expected folders with {files.INPUT} and its JSON; {len(asked)} found, none whole")
    return Scenarios(found)


def _first_of_each(folders: Sequence[Path], n: int) -> list[tuple[int, Path]]:
    """(number among all, folder) of the first n of each subset."""
    seen: Counter[Path] = Counter()
    first = []
    for number, folder in enumerate(folders, 1):
        seen[folder.parent] += 1
        if seen[folder.parent] <= n:
            first.append((number, folder))
    return first


def _below(folder: Path, depth: int) -> Iterator[Path]:
    """The samples' folders, 2 before 10; one that holds nothing is a sample that has lost its files."""
    inside = [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")]
    for child in sorted(inside, key=lambda path: (len(path.name), path.name)):
        if _is_sample(child) or not any(child.iterdir()):
            yield child
        elif depth > 1:
            yield from _below(child, depth - 1)


def _is_sample(folder: Path) -> bool:
    return any((folder / name).exists() for name in OF_A_SAMPLE) or any(folder.glob("*.wav"))
