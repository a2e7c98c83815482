"""A folder in Moshi's own format: its config.json names the files that lie beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from duplex.checkpoint.verify import BadFile

# role -> the key that names its file, and Kyutai's default; None: there is no such file unless it is named
_KEYS = {
    "lm": ("moshi_name", "model.safetensors"),
    "mimi": ("mimi_name", "tokenizer-e351c8d8-checkpoint125.safetensors"),
    "tokenizer": ("tokenizer_name", "tokenizer_spm_32k_3.model"),
    "mimi_config": ("mimi_config_name", None),
    "lora": ("lora_name", None),
}


def files_of(folder: Path) -> dict[str, Path]:
    """Role -> where its file should be, config.json first. Raises BadFile when config.json is not usable."""
    config = folder / "config.json"
    names = _read(config)
    files = {"config": config}
    for role, (key, default) in _KEYS.items():
        name = names.get(key) or default
        if name is not None:
            files[role] = folder / _plain(name, key, config)
    return files


def _plain(name: Any, key: str, config: Path) -> str:
    if not isinstance(name, str) or Path(name).name != name or name == "..":
        raise BadFile(f"{config}: {key} must be the plain name of a file beside it, got {name!r}")
    return name


def _read(config: Path) -> dict[str, Any]:
    try:
        names = json.loads(config.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}  # the caller reports config.json itself as the missing file
    except ValueError as error:
        raise BadFile(f"{config}: not JSON: {error}") from None
    if not isinstance(names, dict):
        raise BadFile(f"{config}: must hold a JSON object, got {names!r}")
    return names
