"""The Moshi LM as something to train: built by the stock loader's code, well initialised, run on whole segments.

The arithmetic and the timing are those of streaming (tests/weights/test_train_moshi.py compares them). In position s
the model has seen the user's frames up to s (of the delayed codebooks up to s - 1) and predicts the agent's text and
first codebook of tick s + 1 and its delayed codebooks of tick s; a session's tick 0 is never predicted. A segment holds
the ticks 1, 2 ... T as index 0 to T - 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from moshi.models import loaders
from moshi.models.lm import LMModel
from moshi.modules.transformer import StreamingMultiheadAttention
from moshi.utils.compile import no_compile
from torch import nn

_GAIN = 0.6  # over sqrt(fan in), for what the package leaves as PyTorch made it


def lm_kwargs(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a config.json is about the LM, as the stock loader takes it."""
    others = {"model_type", "lm_gen_config", "moshi_name", "mimi_name", "tokenizer_name", "mimi_config_name"}
    others |= {"tts_config", "stt_config", "model_id", "lora_name", "lora_config"}
    return {key: value for key, value in config.items() if key not in others}


def build(config: Mapping[str, Any], seed: int) -> LMModel:
    """A new LM of a config.json, float32, on the CPU."""
    torch.manual_seed(seed)
    lm = loaders.get_moshi_lm(None, lm_kwargs=lm_kwargs(config), dtype=torch.float32)
    initialise(lm)
    return lm


def load(config: Mapping[str, Any], weights: Path, dtype: torch.dtype = torch.float32) -> LMModel:
    """An LM with weights, on the CPU. Raises RuntimeError when they are of another shape."""
    return loaders.get_moshi_lm(weights, lm_kwargs=lm_kwargs(config), dtype=dtype)


def initialise(lm: LMModel) -> None:
    """Draw anew what the package does not initialise: attention's inputs and all of the depth transformer."""
    parts: Any = lm
    attention: list[Any] = [m for m in lm.transformer.modules() if isinstance(m, StreamingMultiheadAttention)]
    linears: list[nn.Linear] = [linear for m in attention for linear in m.in_projs]
    linears += [m for m in parts.depformer.modules() if isinstance(m, nn.Linear)] + list(parts.depformer_in)
    for linear in linears:
        nn.init.normal_(linear.weight, std=_GAIN / math.sqrt(linear.in_features))


def delayed(lm: LMModel, codes: torch.Tensor) -> torch.Tensor:
    """[B, 1 + n_q, T] -> [B, 1 + n_q, T + 1]: the start tokens, then every stream behind by its delay."""
    initial = lm._get_initial_token().expand(len(codes), -1, 1)
    out = torch.cat([initial, codes], dim=2)
    for stream, delay in enumerate(lm.delays):
        if delay:
            out[:, stream, 1 + delay :] = codes[:, stream, : codes.shape[2] - delay]
            out[:, stream, : 1 + delay] = initial[:, stream]
    return out


def listen(lm: LMModel, sequence: torch.Tensor) -> torch.Tensor:
    """Delayed tokens [B, 1 + n_q, S], -1 for nothing -> [B, S, dim], what the heads and the depth transformer read."""
    parts: Any = lm
    with no_compile():
        x = parts.text_emb(sequence[:, 0])
        for stream, emb in enumerate(parts.emb, start=lm.audio_offset):
            x = x + emb(sequence[:, stream])
        return parts.out_norm(lm.transformer(x))


def speak(lm: LMModel, heard: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """What `listen` gave in N positions [N, dim], and the tokens there [N, dep_q] (the text token, then all codebooks
    but the last) -> logits [N, dep_q, card]."""
    parts: Any = lm
    schedule = lm.depformer_weights_per_step_schedule or list(range(lm.dep_q))
    several = lm.depformer_multi_linear
    embeddings = [parts.depformer_text_emb, *parts.depformer_emb]
    inputs = [
        embeddings[k](tokens[:, k]) + parts.depformer_in[schedule[k] if several else 0](heard) for k in range(lm.dep_q)
    ]
    with no_compile():
        out = parts.depformer(torch.stack(inputs, dim=1))  # [N, dep_q, dim]
        return torch.stack([parts.linears[k](parts.depformer_norms[k](out[:, k])) for k in range(lm.dep_q)], dim=1)
