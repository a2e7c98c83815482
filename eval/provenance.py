"""Where a result comes from: commit, machine, versions. Goes into every recording and every result file."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from duplex.checkpoint import locate, manifest, sha256

ROOT = Path(__file__).parent.parent
PACKAGES = ("duplex", "numpy", "torch", "moshi", "faster-whisper", "xllamacpp", "silero-vad", "hibari-tts")


def provenance() -> dict[str, Any]:
    """{commit, dirty, machine, versions}. commit and dirty are None outside a git checkout."""
    commit, status = _output("git", "rev-parse", "HEAD"), _output("git", "status", "--porcelain")
    return {
        "commit": commit or None,
        "dirty": None if commit is None else bool(status),
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {p: v for p in PACKAGES if (v := _version(p))},
    }


@cache
def weights(model: str) -> dict[str, str]:
    """The hashes of what stands behind an agent, "NAME/ROLE" -> sha256: by the manifest, by which they were verified;
    of a folder, by its files. Parts that are neither have none."""
    found = {}
    for name in model.split(" + "):
        if entry := manifest().get(name):
            found |= {f"{name}/{role}": file.sha256 for role, file in entry.files.items() if file.sha256}
        elif name and Path(name).expanduser().is_dir():
            files = locate(name, fetch=False).files
            found |= {f"{name}/{role}": sha256(path) for role, path in files.items() if path.suffix == ".safetensors"}
    return found


def machine() -> str:
    """One line for a table: processor, cores, graphics card if any."""
    parts = [_processor(), f"{os.cpu_count()} cores"]
    gpu = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    return ", ".join(parts + ([" + ".join(gpu.splitlines())] if gpu else []))


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _output(*command: str) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
