"""Every seat samples with its own temperature, top-k and seed, inside one batch and inside a CUDA graph.

The noise is a pure function of (seed, tick, stream, token), so what one seat draws depends neither on its row nor on
its neighbours, and a seeded session can be repeated. Sampling is by the Gumbel-max trick: the arg max of
logits / temperature + Gumbel noise, among the top k, is a draw from the softmax.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import torch

from duplex.engine.text import END_OF_PAD, PAD
from duplex.session import Sampling

MAX_TOP_K = 500
MAX_CONTEXT = 200  # text tokens that the repetition penalty can look back on
TEXT = 0  # stream numbers: 0 is text, 1 + k is codebook k
STREAMS = 64


@dataclass(frozen=True, slots=True)
class Defaults:
    """A checkpoint's own sampling, used where a session names none."""

    text_temperature: float = 0.7
    text_top_k: int = 25
    audio_temperature: float = 0.8
    audio_top_k: int = 250


class SeatSampler:
    """Sampling state of all seats, as tensors [B] on the device; rows change in place, so graphs may capture it."""

    def __init__(self, rows: int, defaults: Defaults, largest_card: int, device: torch.device) -> None:
        """`largest_card` is the largest vocabulary to draw from, text included."""

        def column(dtype: torch.dtype) -> torch.Tensor:
            return torch.zeros(rows, dtype=dtype, device=device)

        self._defaults = defaults
        self._temperature = {TEXT: column(torch.float32), 1: column(torch.float32)}
        self._top_k = {TEXT: column(torch.long), 1: column(torch.long)}
        self._tick = column(torch.long)
        self._pad_mult = column(torch.float32)
        self._penalty = torch.ones(rows, device=device)
        self._context = column(torch.long)
        self._recent = torch.full((rows, MAX_CONTEXT), -1, dtype=torch.long, device=device)  # newest first
        self._token_bits = _mix(torch.arange(largest_card, device=device) + 1)
        self._streams = torch.arange(STREAMS, device=device)
        self._seeds = torch.zeros(rows, STREAMS, dtype=torch.long, device=device)
        self._keys = torch.zeros_like(self._seeds)  # what the noise of this tick depends on

    def seat(self, row: int, sampling: Sampling) -> None:
        """Give `row` to a new session, at tick 0."""
        own = self._defaults
        text, audio = sampling.text_temperature, sampling.audio_temperature
        self._temperature[TEXT][row] = own.text_temperature if text is None else text
        self._temperature[1][row] = own.audio_temperature if audio is None else audio
        self._top_k[TEXT][row] = sampling.text_top_k or own.text_top_k
        self._top_k[1][row] = sampling.audio_top_k or own.audio_top_k
        self._seeds[row] = _seed(sampling.audio_seed)
        self._seeds[row, TEXT] = _seed(sampling.text_seed)
        self._tick[row] = 0
        self._pad_mult[row] = sampling.pad_mult
        self._penalty[row] = sampling.repetition_penalty
        self._context[row] = sampling.repetition_penalty_context
        self._recent[row] = -1
        self._renew_keys()

    def text(self, logits: torch.Tensor) -> torch.Tensor:
        """float32 [B, card] -> token [B]."""
        return self._draw(self._penalised(logits), TEXT, self._pad_mult)

    def audio(self, logits: torch.Tensor, codebook: int) -> torch.Tensor:
        """float32 [B, card] of one codebook -> token [B]."""
        return self._draw(logits, 1 + codebook)

    def advance(self, text_token: torch.Tensor, active: torch.Tensor) -> None:
        """A tick is over for the rows in `active` [B]: count it and remember the word [B]."""
        self._tick += active
        self._renew_keys()
        worded = active & (text_token != PAD) & (text_token != END_OF_PAD)
        shifted = torch.cat([text_token[:, None], self._recent[:, :-1]], dim=1)
        self._recent.copy_(torch.where(worded[:, None], shifted, self._recent))

    def _renew_keys(self) -> None:
        seeds = _mix(_mix(self._seeds) ^ (self._seeds >> 32))
        self._keys.copy_(_mix(seeds ^ (self._tick[:, None] * STREAMS + self._streams)))

    def _penalised(self, logits: torch.Tensor) -> torch.Tensor:
        card = logits.shape[1]
        position = torch.arange(MAX_CONTEXT, device=logits.device)
        counted = (position < self._context[:, None]) & (self._recent >= 0)
        seen = torch.zeros(len(logits), card + 1, dtype=torch.bool, device=logits.device)
        seen.scatter_(1, torch.where(counted, self._recent, card), True)  # column `card` takes what does not count
        penalty = self._penalty[:, None]
        return torch.where(seen[:, :card], torch.where(logits >= 0, logits / penalty, logits * penalty), logits)

    def _draw(self, logits: torch.Tensor, stream: int, pad_mult: torch.Tensor | None = None) -> torch.Tensor:
        kind = min(stream, 1)
        temperature = self._temperature[kind][:, None]
        greedy = temperature <= 0
        scores = logits / torch.where(greedy, 1.0, temperature)
        if pad_mult is not None:
            scores[:, PAD] += pad_mult
        best = scores.topk(min(MAX_TOP_K, scores.shape[1])).values  # [B, k], best first
        last = (self._top_k[kind][:, None] - 1).clamp(0, best.shape[1] - 1)  # an empty seat has no top k
        noise = torch.where(greedy, 0.0, self._gumbel(stream, scores.shape[1]))
        return torch.where(scores >= best.gather(1, last), scores + noise, -torch.inf).argmax(dim=1)

    def _gumbel(self, stream: int, card: int) -> torch.Tensor:
        """Gumbel(0, 1) noise [B, card]: a function of the row's seed and tick, the stream and the token."""
        bits = _mix(self._keys[:, stream, None] ^ self._token_bits[:card]) & 0x7FFFFF
        uniform = (bits.float() + 0.5) / 2**23  # never 0 or 1 in float32
        return -torch.log(-torch.log(uniform))


def _seed(given: int | None) -> int:
    return secrets.randbits(63) if given is None else given


_LOW = 0xFFFFFFFF


def _mix(x: torch.Tensor) -> torch.Tensor:
    """A 32-bit integer hash ("lowbias32", C. Wellons, public domain) on int64 tensors."""
    x = x & _LOW
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _LOW
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _LOW
    return x ^ (x >> 16)
