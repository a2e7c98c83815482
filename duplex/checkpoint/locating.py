"""From a name or a folder to files that are there and whole.

Sizes and safetensors headers are checked whenever a checkpoint is located, hashes when it is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from duplex.checkpoint.entries import Entry, manifest
from duplex.checkpoint.fetching import MissingFile, fetch_entry, missing_file
from duplex.checkpoint.folder import files_of
from duplex.checkpoint.verify import check_bytes, check_weights
from duplex.config import ConfigError

_NEVER_PICKLED = {"moshi": ("lm", "mimi", "lora"), "mimi": ("mimi",)}  # kind -> roles that must be safetensors


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Files that are there and whole.

    The roles are those of `Entry`. A Moshi repository without a config role is a Moshi 7B, by Kyutai's own rule.
    """

    name: str
    kind: str  # moshi | mimi | stt | llm
    folder: Path
    files: Mapping[str, Path]  # by role


def locate(name_or_path: str | Path, *, fetch: bool = True) -> Checkpoint:
    """A manifest name, or any folder with a Moshi config.json. With `fetch`, missing files are fetched first.

    Raises ConfigError for an unknown name, MissingFile, and BadFile for a file that is damaged or a pickle.
    """
    entry = manifest().get(str(name_or_path))
    if entry is None:
        return _in_folder(Path(name_or_path).expanduser())
    if fetch and missing(entry):
        fetch_entry(entry)
    return _present(entry)


def fetch(name: str) -> Checkpoint:
    """Bring every file of a manifest entry here; those already here are verified by their hash.

    Raises ConfigError for an unknown name, MissingFile and BadFile.
    """
    entries = manifest()
    if name not in entries:
        raise ConfigError(f"no checkpoint {name!r}; known: {', '.join(entries)}")
    fetch_entry(entries[name])
    return _present(entries[name])


def missing(entry: Entry) -> list[Path]:
    """Where each file should be that `entry` cannot do without and that is not here."""
    places = [entry.place(role) for role, file in entry.files.items() if not file.optional]
    return [path for path in places if not path.exists()]


def _present(entry: Entry) -> Checkpoint:
    found: dict[str, Path] = {}
    for role, file in entry.files.items():
        path = entry.place(role)
        if path.exists():
            check_bytes(path, file.bytes)
            found[role] = path
        elif not file.optional:
            raise missing_file(entry, role)
    return _checked(Checkpoint(entry.name, entry.kind, next(iter(found.values())).parent, found))


def _in_folder(path: Path) -> Checkpoint:
    if not path.is_dir():
        raise ConfigError(
            f"no checkpoint {str(path)!r}; known: {', '.join(manifest())}, or a folder with a config.json"
        )
    files = files_of(path)
    for role, file in files.items():
        if not file.exists():
            raise MissingFile(f"{file} is missing: the folder's config.json names it (or leaves its default) as {role}")
    return _checked(Checkpoint(path.resolve().name, "moshi", path, files))


def _checked(checkpoint: Checkpoint) -> Checkpoint:
    for role in _NEVER_PICKLED.get(checkpoint.kind, ()):
        if role in checkpoint.files:
            check_weights(checkpoint.files[role])
    return checkpoint
