"""G.711, the telephone's eight bits a sample: mu-law (North America, Japan, Twilio) and A-law (elsewhere).

Decoding looks values up; encoding takes the interval of ITU-T G.711 that a sample lies in, which is the nearest value
but for the edges between segments. Full scale 1.0 is 32768 of the usual 16-bit form, so mu-law ends at 0.98.
"""

from __future__ import annotations

import numpy as np

_FULL = 32_768
_CODES = np.arange(256)
_STEPS = np.arange(128)  # magnitudes, small to large: 8 segments of 16


def decode_ulaw(data: bytes) -> np.ndarray:
    """n bytes -> float32 [n]."""
    return _ULAW_VALUES[np.frombuffer(data, np.uint8)]


def encode_ulaw(pcm: np.ndarray) -> bytes:
    """float32 [n] -> n bytes; clipped at full scale, and silence is 0xFF."""
    return _encode(pcm, _ULAW_EDGES, 0xFF, 0x80)


def decode_alaw(data: bytes) -> np.ndarray:
    """n bytes -> float32 [n]; A-law has no zero, its silence is 8 / 32768."""
    return _ALAW_VALUES[np.frombuffer(data, np.uint8)]


def encode_alaw(pcm: np.ndarray) -> bytes:
    """float32 [n] -> n bytes; clipped at full scale, and silence is 0xD5."""
    return _encode(pcm, _ALAW_EDGES, 0xD5, 0x80)


def _encode(pcm: np.ndarray, edges: np.ndarray, zero: int, negative: int) -> bytes:
    steps = np.searchsorted(edges, np.abs(pcm) * np.float32(_FULL), side="right") - 1
    return (zero ^ np.where(pcm < 0, negative, 0) ^ steps).astype(np.uint8).tobytes()


def _ulaw_values() -> np.ndarray:
    low, segment = ~_CODES & 0x0F, (~_CODES & 0x70) >> 4
    size = (((low << 3) + 0x84) << segment) - 0x84
    return (np.where(_CODES & 0x80, size, -size) / _FULL).astype(np.float32)


def _ulaw_edges() -> np.ndarray:
    """The smallest magnitude of each step, in 16 bits."""
    edges = (((_STEPS & 0x0F) + 16 << (_STEPS >> 4) + 1) - 33) * 4
    return np.maximum(edges, 0).astype(np.float32)


def _alaw_values() -> np.ndarray:
    low, segment = (_CODES ^ 0x55) & 0x0F, ((_CODES ^ 0x55) & 0x70) >> 4
    size = np.where(segment, (low << 4) + 0x108 << np.maximum(segment, 1) - 1, (low << 4) + 8)
    return (np.where(_CODES & 0x80, size, -size) / _FULL).astype(np.float32)


def _alaw_edges() -> np.ndarray:
    low, segment = _STEPS & 0x0F, _STEPS >> 4
    edges = np.where(segment, low + 16 << np.maximum(segment, 1) - 1, low) * 16
    return edges.astype(np.float32)


_ULAW_VALUES, _ULAW_EDGES = _ulaw_values(), _ulaw_edges()
_ALAW_VALUES, _ALAW_EDGES = _alaw_values(), _alaw_edges()
