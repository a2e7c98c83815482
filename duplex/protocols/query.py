"""What a client may ask for in the address of its websocket, under the names that Kyutai's and NVIDIA's clients use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from duplex.protocols.wire import BadMessage, Open
from duplex.session import Sampling, SessionConfig

# the parameter in the address -> the field of Sampling, and how it is read
SAMPLING = {
    "text_temperature": ("text_temperature", float),
    "text_topk": ("text_top_k", int),
    "audio_temperature": ("audio_temperature", float),
    "audio_topk": ("audio_top_k", int),
    "pad_mult": ("pad_mult", float),
    "text_seed": ("text_seed", int),
    "audio_seed": ("audio_seed", int),
    "repetition_penalty": ("repetition_penalty", float),
    "repetition_penalty_context": ("repetition_penalty_context", int),
}


def asked(query: Mapping[str, str], medium: Literal["pcm", "codes"]) -> Open:
    """The agent and the session that `query` asks for; parameters that are not ours are left alone.

    Raises BadMessage, naming the parameter and its range.
    """
    config = SessionConfig(
        persona=query.get("persona") or query.get("text_prompt", ""),
        voice=query.get("voice") or query.get("voice_prompt", ""),
        language=query.get("language", ""),
        medium=medium,
        sampling=Sampling(**_sampling(query)),
        timings=_yes(query, "timings"),
    )
    return Open(query.get("agent", ""), config)


def _yes(query: Mapping[str, str], name: str) -> bool:
    given = query.get(name) or "false"
    if given not in ("true", "false"):
        raise BadMessage(f"{name} must be true or false, got {given!r}")
    return given == "true"


def _sampling(query: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, (field, kind) in SAMPLING.items():
        if not query.get(name):
            continue
        try:
            values[field] = kind(query[name])
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise BadMessage(f"{name} must be {wanted}, got {query[name]!r}") from None
        try:
            Sampling(**{field: values[field]})
        except ValueError as error:
            raise BadMessage(str(error).replace(field, name, 1)) from None
    return values
