"""Checkpoints: a name in the manifest, or a folder, becomes verified files on this machine. Knows no torch.

    locate("nano").files["lm"]         # where it is; what is missing is fetched first
    locate("~/my-moshi")               # any folder with a Moshi config.json

`entries.py` says what there is, `folder.py` reads a folder that somebody else made, `sources.py` brings bytes,
`fetching.py` brings whole entries, `verify.py` judges files, `locating.py` answers.
"""

from duplex.checkpoint.entries import Entry, File, home, manifest
from duplex.checkpoint.fetching import MissingFile
from duplex.checkpoint.locating import Checkpoint, fetch, locate, missing
from duplex.checkpoint.verify import BadFile, check_safetensors, sha256

__all__ = [
    "BadFile",
    "Checkpoint",
    "Entry",
    "File",
    "MissingFile",
    "check_safetensors",
    "fetch",
    "home",
    "locate",
    "manifest",
    "missing",
    "sha256",
]
