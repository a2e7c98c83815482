"""The Moshi LM as something to train: built by the stock loader's code, well initialised, run on whole segments.

The arithmetic and the timing are those of streaming (tests/weights/test_train_moshi.py compares them). In position s
the model has seen the user's frames up to s (of the delayed codebooks up to s - 1) and predicts the agent's text and
first codebook of tick s + 1 and its delayed codebooks of tick s; a session's tick 0 is never predicted. A segment holds
the ticks 1, 2 ... T as index 0 to T - 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, cast

import torch
from moshi.models import loaders
from moshi.models.compression import MimiModel
from moshi.models.lm import LMModel
from moshi.modules.transformer import StreamingMultiheadAttention
from moshi.utils.compile import no_compile
from torch import nn
from torch.nn import functional as F

from duplex.engine.depth import fits

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


@torch.no_grad()
def begin_with_codebooks(lm: LMModel, mimi: MimiModel, seed: int) -> None:
    """Make both sides' audio embeddings the codec's own vectors, turned at random, so that codes which mean nearly the
    same are nearly the same to the LM from the start. Raises ValueError when the codebooks are not of the LM's size."""
    if (mimi.cardinality, 2 * mimi.num_codebooks) != (lm.card, lm.n_q):
        raise ValueError(f"the codec's {mimi.num_codebooks} codebooks of {mimi.cardinality} are not this LM's")
    parts, split = cast(Any, lm), cast(Any, mimi.quantizer)
    vectors = torch.stack([*_vectors(split.rvq_first), *_vectors(split.rvq_rest)])  # [K, card, dimension]
    size = max(vectors.shape[2], lm.dim)
    generator = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(size, size, generator=generator))[0][: vectors.shape[2], : lm.dim]
    vectors = vectors @ turn / vectors.var(1).sum(0).mean().sqrt()  # all codebooks together have a deviation of 1
    for stream, emb in enumerate(parts.emb):
        emb.weight[: lm.card] = vectors[stream % mimi.num_codebooks]


def _vectors(rvq: Any) -> Iterator[torch.Tensor]:
    """Of each codebook, [card, dimension]: what its codes add to the latent."""
    bias = 0 if rvq.output_proj.bias is None else rvq.output_proj.bias
    for layer in rvq.vq.layers:
        yield rvq.output_proj(layer.embedding.T[None])[0].T - bias


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
        return parts.out_norm(_temporal(lm, x) if _is_plain(lm) else lm.transformer(x))


def speak(lm: LMModel, heard: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """What `listen` gave in N positions [N, dim], and the tokens there [N, dep_q] (the text token, then all codebooks
    but the last) -> logits [N, dep_q, card]."""
    parts: Any = lm
    schedule = _schedule(lm)
    embeddings = [parts.depformer_text_emb, *parts.depformer_emb]
    linears = [parts.depformer_in[schedule[k] if lm.depformer_multi_linear else 0] for k in range(lm.dep_q)]
    with no_compile():
        steps = zip(embeddings, linears, tokens.unbind(1), strict=True)
        x = torch.stack([emb(token) + linear(heard) for emb, linear, token in steps])  # [dep_q, N, dim]
        x = _depth(lm, x) if fits(lm) else parts.depformer(x.transpose(0, 1)).transpose(0, 1)
        x = torch.cat([norm(part) for norm, part in zip(parts.depformer_norms, x.split(1), strict=True)])
        return _each(x, parts.linears).transpose(0, 1)


# Moshi's own layers recompute masks and rotations in every layer and walk through the depth transformer's steps one by
# one. The following is the same arithmetic with fewer and larger operations, and the residual stays in float32 when the
# products are not; LMs of another build go through moshi's code.


def _temporal(lm: LMModel, x: torch.Tensor) -> torch.Tensor:
    """[B, S, dim] -> [B, S, dim]"""
    parts: Any = lm
    first = parts.transformer.layers[0].self_attn
    turns = _turns(x.shape[1], first.embed_dim // first.num_heads, parts.transformer.rope.max_period, x.device)
    window = _window(x.shape[1], lm.context, x.device)
    for layer in parts.transformer.layers:
        x = x + layer.layer_scale_1(_attend(layer.self_attn, layer.norm1(x), turns, window))
        gate, value = layer.gating.linear_in(layer.norm2(x)).chunk(2, dim=-1)
        x = x + layer.layer_scale_2(layer.gating.linear_out(layer.gating.activation(gate) * value))
    return x


def _attend(attention: Any, x: torch.Tensor, turns: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
    qkv = attention.in_projs[0](x).unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    turned = torch.view_as_complex(qkv[:2].float().unflatten(-1, (-1, 2))) * turns  # [2, B, H, S, D / 2]
    query, key = torch.view_as_real(turned).flatten(-2).to(qkv.dtype)
    if x.device.type == "cpu":  # several times as fast as the fused kernel, whose backward pass is slow there
        scores = (query @ key.transpose(2, 3) * query.shape[-1] ** -0.5).masked_fill(~window, -math.inf)
        x = scores.softmax(-1).to(qkv.dtype) @ qkv[2]
    else:
        x = F.scaled_dot_product_attention(query, key, qkv[2], window)
    return attention.out_projs[0](x.transpose(1, 2).flatten(2))


def _turns(count: int, dim: int, max_period: float, device: torch.device) -> torch.Tensor:
    """complex [S, D / 2]: how rotary embedding turns each pair of channels at each position."""
    speeds = torch.exp(torch.arange(dim // 2, device=device) * (-math.log(max_period) * 2 / dim))
    angles = torch.arange(count, device=device)[:, None] * speeds
    return torch.polar(torch.ones_like(angles), angles)


def _window(count: int, context: int | None, device: torch.device) -> torch.Tensor:
    """bool [S, S], who may look at whom."""
    age = torch.arange(count, device=device)[:, None] - torch.arange(count, device=device)
    return (age >= 0) & (age < (context or count))


def _depth(lm: LMModel, x: torch.Tensor) -> torch.Tensor:
    """[dep_q, N, dim] -> [dep_q, N, dim], all steps at once, each with its own weights."""
    parts: Any = lm
    schedule = _schedule(lm)
    for layer in parts.depformer.layers:
        attention, gates = layer.self_attn, [layer.gating[k] for k in schedule]
        qkv = _each(layer.norm1(x), [attention.in_projs[k] for k in schedule])
        query, key, value = qkv.unflatten(-1, (3, attention.num_heads, -1)).permute(2, 1, 3, 0, 4)  # [N, H, dep_q, D]
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + _each(seen.permute(2, 0, 1, 3).flatten(2), [attention.out_projs[k] for k in schedule])
        gate, value = _each(layer.norm2(x), [gate.linear_in for gate in gates]).chunk(2, dim=-1)
        x = x + _each(F.silu(gate) * value, [gate.linear_out for gate in gates])
    return x


def _each(x: torch.Tensor, linears: Iterable[nn.Linear]) -> torch.Tensor:
    """[K, N, in] -> [K, N, out], each of the K through its own."""
    weights, biases = zip(*((linear.weight, linear.bias) for linear in linears), strict=True)
    out = torch.bmm(x, torch.stack(weights).transpose(1, 2))
    return out if biases[0] is None else out + torch.stack(biases)[:, None]


def _schedule(lm: LMModel) -> list[int]:
    """For each codebook, which weights are its own."""
    return lm.depformer_weights_per_step_schedule or list(range(lm.dep_q))


def _is_plain(lm: LMModel) -> bool:
    """Whether `_temporal` computes what this LM's transformer computes."""
    transformer: Any = lm.transformer
    rope = transformer.positional_embedding == "rope" and not transformer.checkpointing
    return rope and all(_has_plain_parts(layer) for layer in transformer.layers)


def _has_plain_parts(layer: Any) -> bool:
    if layer.skip_self_attn or layer.cross_attention is not None or isinstance(layer.gating, nn.ModuleList | NoneType):
        return False
    attention, gating = layer.self_attn, layer.gating
    linears = [*attention.in_projs, *attention.out_projs, gating.linear_in, gating.linear_out]
    plain = len(linears) == 4 and all(type(linear) is nn.Linear for linear in linears)
    return plain and attention.causal and attention.kv_repeat == 1
