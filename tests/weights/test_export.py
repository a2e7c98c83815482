"""A checkpoint put together from what the trainers export: the stock loader takes it, the manifest names it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from moshi.models import loaders
from moshi.models.loaders import CheckpointInfo
from safetensors.torch import load_file, save_file

from duplex.checkpoint import sha256
from weights import codec, export, lm

SOURCE = Path(export.__file__).parent
TINY = {"dim": 32, "num_heads": 2, "num_layers": 1, "depformer_dim": 16, "depformer_num_heads": 2}
TINY |= {"depformer_num_layers": 1, "depformer_dim_feedforward": 32, "text_card": 40}


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Folders mimi and moshi, as the trainers leave them, and a tokenizer's bytes."""
    config = json.loads((SOURCE / "moshi_config.json").read_text()) | TINY
    mimi_config = json.loads((SOURCE / "mimi_config.json").read_text())
    mimi_config["seanet"]["n_filters"] = 2
    for name in ("mimi", "moshi"):
        (tmp_path / name).mkdir()
    save_file(codec.build(mimi_config, 0).state_dict(), tmp_path / "mimi" / "mimi.safetensors")
    (tmp_path / "mimi" / "mimi_config.json").write_text(json.dumps(mimi_config))
    save_file(lm.build(config, 0).state_dict(), tmp_path / "moshi" / "model.safetensors")
    (tmp_path / "moshi" / "config.json").write_text(json.dumps(config))
    (tmp_path / "tokenizer.model").write_bytes((SOURCE / "nano" / "tokenizer.model").read_bytes())
    return tmp_path


def flags(parts: Path, *more: str) -> list[str]:
    where = ["--mimi", parts / "mimi", "--moshi", parts / "moshi", "--tokenizer", parts / "tokenizer.model"]
    return [*map(str, where), "--out", str(parts / "out"), *more]


def test_the_stock_loader_takes_it_and_nothing_of_ours(parts: Path) -> None:
    assert export.main(flags(parts)) == 0
    out = parts / "out"
    config = json.loads((out / "config.json").read_text())
    info = CheckpointInfo.from_hf_repo(
        "nobody/nothing",
        moshi_weights=out / config["moshi_name"],
        mimi_weights=out / config["mimi_name"],
        tokenizer=out / config["tokenizer_name"],
        config_path=out / "config.json",
        mimi_config_path=out / config["mimi_config_name"],
    )
    moshi = info.get_moshi("cpu", dtype=torch.float32)
    assert moshi.dim == TINY["dim"]
    assert moshi.text_linear.weight.dtype == torch.float32
    assert info.get_text_tokenizer().piece_to_id("<pad>") == config["existing_text_padding_id"]
    assert info.lm_gen_config["temp"] == config["lm_gen_config"]["temp"]


def test_the_codec_hears_as_before_and_its_decoder_takes_half_the_room(parts: Path) -> None:
    assert export.main(flags(parts)) == 0
    before, after = (load_file(parts / folder / "mimi.safetensors") for folder in ("mimi", "out"))
    speaks = {name for name in before if after[name].dtype == torch.float16}
    assert {name.split(".")[0] for name in speaks} == {"decoder", "decoder_transformer"}
    assert all(torch.equal(before[name], after[name]) for name in before if name not in speaks)
    config = json.loads((parts / "mimi" / "mimi_config.json").read_text())
    mimi = loaders.get_mimi(parts / "out" / "mimi.safetensors", config, num_codebooks=config["quantizer"]["n_q"])
    assert all(tensor.dtype == torch.float32 for tensor in mimi.parameters())


def test_the_manifest_gets_sizes_and_hashes(parts: Path) -> None:
    manifest = parts / "manifest.toml"
    before = (SOURCE / "manifest.toml").read_text()
    manifest.write_text(before)
    assert export.main(flags(parts, "--manifest", str(manifest))) == 0
    after = manifest.read_text()
    changed = [line for line in after.splitlines() if line not in before.splitlines()]
    assert 4 <= len(changed) <= 5  # the tokenizer is the same file
    assert all(line.count("file://weights/nano/") == 1 for line in changed)
    assert sha256(parts / "out" / "model.safetensors") in after
    manifest.write_text("[nano.files]\n")
    assert export.main(flags(parts, "--manifest", str(manifest))) == 2


def test_what_is_too_large_to_travel_is_refused(
    parts: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "LIMIT_BYTES", 1000)
    assert export.main(flags(parts)) == 2
    assert "1,000 may travel" in capsys.readouterr().err
