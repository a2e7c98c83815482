"""Missing files of a manifest entry, brought here whole or not at all: `.part` first, verified, then renamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from duplex.checkpoint.entries import Entry, File, home
from duplex.checkpoint.sources import SourceError, Tell, by_hand, download, forget
from duplex.checkpoint.verify import BadFile, check_bytes, check_safetensors, check_sha256

_PURPOSE = {
    "config": "configuration",
    "lm": "language model weights",
    "mimi": "codec weights",
    "mimi_config": "codec configuration",
    "model": "weights",
    "tokenizer": "tokenizer",
    "vocabulary": "vocabulary",
}


class MissingFile(Exception):
    """A file is not on this machine; the message says what it is for, why it did not come and where to put it."""


def missing_file(entry: Entry, role: str, reason: str = "") -> MissingFile:
    """The exception for one file of `entry`, as one line. Without a reason: it was not fetched."""
    file = entry.files[role]
    size = f", {file.bytes:,} bytes" if file.bytes else ""
    sha256 = f" (sha256 {file.sha256})" if file.sha256 else ""
    what = f"{entry.name}: no {file.name} ({_PURPOSE.get(role, role)} of {entry.title}{size})"
    if file.is_local:
        return MissingFile(
            f"{what}: it lies in {entry.place(role)} of a checkout of the project, and is not there{sha256}"
        )
    reason = reason or f"it is not here; `duplex weights fetch {entry.name}` brings it"
    return MissingFile(
        f"{what}: {reason}. By hand: take {by_hand(file.source)} and save it as {entry.place(role)}{sha256}"
    )


def fetch_entry(entry: Entry) -> None:
    """Fetch what is missing and verify what is here. Raises MissingFile or BadFile at the first file that fails.

    Another process that fetches the same entry is waited for.
    """
    for role, file in entry.files.items():
        if file.is_local:
            _verify_local(entry, role)
    remote = [role for role, file in entry.files.items() if not file.is_local]
    if not remote:
        return
    folder = home() / entry.name
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"), TemporaryDirectory(dir=folder) as scratch:
        for role in remote:
            _fetch_file(entry, role, Path(scratch))


def _verify_local(entry: Entry, role: str) -> None:
    path = entry.place(role)
    if not path.exists():
        raise missing_file(entry, role)
    _verify(entry.files[role], path)


def _fetch_file(entry: Entry, role: str, scratch: Path) -> None:
    file, path = entry.files[role], entry.place(role)
    if path.exists():
        return _verify(file, path)
    part = path.with_name(path.name + ".part")
    try:
        with _progress(file.name) as tell:
            download(file.source, part, scratch, tell)
    except SourceError as error:
        if error.absent and file.optional:
            return None
        raise missing_file(entry, role, str(error)) from None
    return _accept(file, part, path)


def _accept(file: File, part: Path, path: Path) -> None:
    """Verify what arrived, then give it its name in one step."""
    try:
        _verify(file, part)
        if path.suffix == ".safetensors":
            check_safetensors(part)
    except BadFile as error:
        forget(part)
        raise BadFile(f"{file.source} arrived damaged and was deleted, run again to fetch it anew: {error}") from None
    part.replace(path)
    forget(part)


def _verify(file: File, path: Path) -> None:
    check_bytes(path, file.bytes)
    check_sha256(path, file.sha256)


@contextmanager
def _progress(name: str) -> Iterator[Tell]:
    """A bar on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
