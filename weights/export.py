"""Put the parts of a checkpoint together:

    python -m weights.export --mimi DIR --moshi DIR --tokenizer FILE --out weights/nano --manifest weights/manifest.toml

The result is what the stock loader takes and nothing of ours: `CheckpointInfo` with local paths. With `--manifest`
nano's sizes and hashes there are brought up to date.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from duplex.checkpoint import sha256

LIMIT_BYTES = 64_000_000  # of the whole folder: it travels in git
_FILES = {  # part in the manifest -> file, as config.json names it
    "config": "config.json",
    "lm": "model.safetensors",
    "mimi": "mimi.safetensors",
    "mimi_config": "mimi_config.json",
    "tokenizer": "tokenizer.model",
}


class TooLarge(Exception):
    """The parts are larger than may travel; the message says by how much."""


def assemble(mimi: Path, moshi: Path, tokenizer: Path, out: Path, dtype: str = "float16") -> dict[str, Path]:
    """Folders as the trainers export them -> a checkpoint in `out`. What speaks, the LM and the codec's decoder, is
    stored as `dtype`, what hears as it is: its codes must not change. Raises TooLarge, and OSError where a part is
    missing."""
    out.mkdir(parents=True, exist_ok=True)
    files = {part: out / name for part, name in _FILES.items()}
    shutil.copyfile(mimi / "mimi_config.json", files["mimi_config"])
    codec = load_file(mimi / "mimi.safetensors")
    save_file({name: _as(dtype, tensor) if _speaks(name) else tensor for name, tensor in codec.items()}, files["mimi"])
    shutil.copyfile(tokenizer, files["tokenizer"])
    config = json.loads((moshi / "config.json").read_text())
    files["config"].write_text(json.dumps(config, indent=1) + "\n")
    weights = load_file(moshi / "model.safetensors")
    save_file({name: _as(dtype, tensor) for name, tensor in weights.items()}, files["lm"])
    size = sum(file.stat().st_size for file in files.values())
    if size > LIMIT_BYTES:
        raise TooLarge(
            f"{out} holds {size:,} bytes, {LIMIT_BYTES:,} may travel; make the model smaller, or --dtype float16"
        )
    return files


def _as(dtype: str, tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(getattr(torch, dtype))


def _speaks(name: str) -> bool:
    """Whether a tensor of the codec is its decoder's."""
    return name.startswith(("decoder", "upsample"))


def update_manifest(manifest: Path, files: dict[str, Path]) -> None:
    """Write sizes and hashes into the lines of [nano.files]. Raises ValueError when there is no such line."""
    text = manifest.read_text(encoding="utf-8")
    for part, file in files.items():
        line = re.compile(rf'^({part} = {{ source = "file://weights/nano/[^"]+", ).*$', re.MULTILINE)
        known = f'bytes = {file.stat().st_size:_}, sha256 = "{sha256(file)}" }}'
        text, found = line.subn(lambda match, known=known: match[1] + known, text)
        if found != 1:
            raise ValueError(f"{manifest} has {found} lines for nano's {part}, where one is expected")
    manifest.write_text(text, encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m weights.export", description="Put a checkpoint together.")
    parser.add_argument("--mimi", type=Path, required=True, help="folder that train_mimi exported")
    parser.add_argument("--moshi", type=Path, required=True, help="folder that train_moshi exported")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dtype", choices=("float32", "float16", "bfloat16"), default="float16", help="of what speaks")
    parser.add_argument("--manifest", type=Path, help="bring the lines of nano up to date")
    given = parser.parse_args(argv)
    try:
        files = assemble(given.mimi, given.moshi, given.tokenizer, given.out, given.dtype)
        if given.manifest:
            update_manifest(given.manifest, files)
    except (TooLarge, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for part, file in files.items():
        sys.stdout.write(f"{file.stat().st_size:12,}  {part:12} {file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
