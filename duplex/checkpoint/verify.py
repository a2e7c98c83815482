"""Is this file what it should be? Checks of size, hash and safetensors layout; loads no weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

_MAX_HEADER_BYTES = 100_000_000  # the format's own limit
_BLOCK_BYTES = 1 << 20


class BadFile(Exception):
    """A file is damaged or of a kind that is refused; the message names it, what was expected and what was found."""


def check_bytes(path: Path, expected: int | None) -> None:
    """Raises BadFile when the size is known and is another."""
    found = path.stat().st_size
    if expected is not None and found != expected:
        raise BadFile(f"{path}: {found} bytes, expected {expected}")


def sha256(path: Path) -> str:
    """Of the whole file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def check_sha256(path: Path, expected: str | None) -> None:
    """Reads the whole file. Raises BadFile when the hash is known and is another."""
    if expected is not None and (found := sha256(path)) != expected:
        raise BadFile(f"{path}: sha256 {found}, expected {expected}")


def check_safetensors(path: Path) -> None:
    """Reads the header only: it must be one, and the file exactly as long as it says. Raises BadFile."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        if size < 8 or header_bytes > min(size - 8, _MAX_HEADER_BYTES):
            raise BadFile(f"{path}: not a safetensors file, or truncated within its header ({size} bytes)")
        header = file.read(header_bytes)
    try:
        tensors = [tensor for name, tensor in json.loads(header).items() if name != "__metadata__"]
        expected = 8 + header_bytes + max((tensor["data_offsets"][1] for tensor in tensors), default=0)
    except (ValueError, AttributeError, KeyError, IndexError, TypeError):
        raise BadFile(f"{path}: not a safetensors file: its header is not a table of tensors") from None
    if size != expected:
        raise BadFile(f"{path}: {size} bytes, but its header describes {expected}: {_direction(size, expected)}")


def check_weights(path: Path) -> None:
    """Weights of Moshi and Mimi are safetensors, never pickles, which run code when loaded. Raises BadFile."""
    if path.suffix != ".safetensors":
        raise BadFile(f"{path}: weights must be a .safetensors file, got {path.suffix or 'no suffix'}")
    check_safetensors(path)


def _direction(size: int, expected: int) -> str:
    return "it is truncated" if size < expected else "it holds something else behind its tensors"
