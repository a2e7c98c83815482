"""A Moshi checkpoint of a few thousand random weights, in the format that every Moshi checkpoint has.

Its outputs mean nothing; they depend strongly on its inputs, which is all that equivalence tests need.
"""

from __future__ import annotations

import json
from pathlib import Path

import sentencepiece
import torch
from moshi.models import LMModel, loaders
from safetensors.torch import save_file

LM = {
    "dim": 32,
    "text_card": 290,
    "existing_text_padding_id": 3,
    "n_q": 8,
    "dep_q": 4,
    "card": 32,
    "num_heads": 2,
    "num_layers": 2,
    "hidden_scale": 2.0,
    "causal": True,
    "context": 16,
    "max_period": 10000,
    "gating": "silu",
    "norm": "rms_norm_f32",
    "positional_embedding": "rope",
    "depformer_dim": 16,
    "depformer_dim_feedforward": 32,
    "depformer_num_heads": 2,
    "depformer_num_layers": 2,
    "depformer_multi_linear": True,
    "depformer_context": 4,
    "depformer_gating": "silu",
    "depformer_pos_emb": "none",
    "depformer_weights_per_step": True,
    "delays": [0, 0, 1, 1, 1, 0, 1, 1, 1],
}
FILES = {
    "moshi_name": "model.safetensors",
    "mimi_name": "mimi.safetensors",
    "tokenizer_name": "tokenizer.model",
    "mimi_config_name": "mimi_config.json",
}
MIMI = {
    "sample_rate": 24000,
    "channels": 1,
    "frame_rate": 12.5,
    "seanet": {
        "channels": 1,
        "dimension": 16,
        "causal": True,
        "n_filters": 2,
        "n_residual_layers": 1,
        "activation": "ELU",
        "compress": 2,
        "dilation_base": 2,
        "disable_norm_outer_blocks": 0,
        "kernel_size": 7,
        "residual_kernel_size": 3,
        "last_kernel_size": 3,
        "norm": "none",
        "pad_mode": "constant",
        "ratios": [8, 6, 5, 4],
        "true_skip": True,
    },
    "quantizer": {"dimension": 8, "n_q": 4, "bins": 32, "input_dimension": 16, "output_dimension": 16},
    "transformer": {
        "d_model": 16,
        "num_heads": 2,
        "num_layers": 1,
        "causal": True,
        "layer_scale": 0.01,
        "context": 8,
        "conv_layout": True,
        "max_period": 10000,
        "gating": "none",
        "norm": "layer_norm",
        "positional_embedding": "rope",
        "dim_feedforward": 32,
        "input_dimension": 16,
        "output_dimensions": [16],
    },
}


def write_tiny(folder: Path, **lm_changes: object) -> Path:
    """A checkpoint folder with config.json; `lm_changes` override entries of LM."""
    folder.mkdir(parents=True, exist_ok=True)
    lm_config = LM | lm_changes
    (folder / "config.json").write_text(json.dumps(lm_config | FILES))
    (folder / "mimi_config.json").write_text(json.dumps(MIMI))
    _write_tokenizer(folder)
    torch.manual_seed(0)
    save_file(_loud(LMModel(**lm_config)), folder / "model.safetensors")
    save_file(_loud(loaders.get_mimi(None, MIMI, num_codebooks=4)), folder / "mimi.safetensors")
    return folder


def _loud(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Random weights, large enough that the signal survives the stack."""
    state = {}
    for name, value in module.state_dict().items():
        if value.dim() > 1 and value.is_floating_point():
            fan_in = value[0].numel()
            value = torch.randn_like(value) * (1.2 / fan_in**0.5 if "emb" not in name else 1.0)
        state[name] = value.clone().contiguous()
    return state


def _write_tokenizer(folder: Path) -> None:
    sentences = ["hello there how are you", "the sky is blue today", "one two three four five"] * 4
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(sentences),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=287,
        byte_fallback=True,
        pad_id=3,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        minloglevel=2,
    )
