"""How far a codec's output is from what it should be: mel distance at four resolutions, and small discriminators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from duplex.frame import SAMPLE_RATE

_MEL_WINDOWS = (256, 512, 1024, 2048)
_FLOOR = 1e-2  # on an unnormalised STFT; with 1e-5 silence is the whole loss


class MelDistance(nn.Module):
    """Mean over windows of |difference of log mel| + 0.1 |difference of mel|."""

    def __init__(self) -> None:
        super().__init__()
        for window in _MEL_WINDOWS:
            self.register_buffer(f"window_{window}", torch.hann_window(window))
            self.register_buffer(f"mel_{window}", mel_filters(window, bands=min(80, window // 16)))

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Two [B, n] -> []."""
        total = output.new_zeros(())
        for window in _MEL_WINDOWS:
            a, b = self._mel(output, window), self._mel(target, window)
            total = total + F.l1_loss((a + _FLOOR).log(), (b + _FLOOR).log()) + 0.1 * F.l1_loss(a, b)
        return total / len(_MEL_WINDOWS)

    def _mel(self, pcm: torch.Tensor, window: int) -> torch.Tensor:
        shape = self.get_buffer(f"window_{window}")
        return self.get_buffer(f"mel_{window}") @ magnitudes(pcm, shape)  # [B, bands, T]


def magnitudes(pcm: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
    """[B, n] -> STFT magnitudes [B, bins, T], a quarter window apart; a gradient even where they are 0."""
    spectrum = torch.stft(pcm, len(window), len(window) // 4, window=window, return_complex=True)
    return (spectrum.real.square() + spectrum.imag.square() + 1e-9).sqrt()


def mel_filters(window: int, bands: int) -> torch.Tensor:
    """Triangles [bands, window / 2 + 1], evenly spaced in mel from 0 to half the sample rate."""
    top = 2595 * torch.log10(torch.tensor(1 + SAMPLE_RATE / 2 / 700))
    edges = 700 * (10 ** (torch.linspace(0, float(top), bands + 2) / 2595) - 1)  # Hz
    bins = torch.linspace(0, SAMPLE_RATE / 2, window // 2 + 1)
    up = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return torch.minimum(up, down).clamp(min=0)


def word_loss(logits: torch.Tensor, words: torch.Tensor, no_word: float) -> torch.Tensor:
    """Reading the user: [B, T, words] and [B, T] -> []. A frame in which no word ends (0) weighs `no_word`, one that is
    not known (below 0) nothing."""
    target = words.flatten()
    loss = F.cross_entropy(logits.flatten(0, 1), target.clamp(min=0), reduction="none")
    weight = torch.where(target == 0, no_word, 1.0) * (target >= 0)
    return (loss * weight).sum() / weight.sum().clamp(min=1e-6)


class Critics(nn.Module):
    """Discriminators on the complex STFT, one per window. Their layers' outputs serve feature matching. Small, and in
    bfloat16: on a CPU three with twice as many channels in float32 take five times as long as the codec does."""

    def __init__(self, windows: tuple[int, ...] = (512, 2048), channels: int = 8) -> None:
        super().__init__()
        self._windows = windows
        self.towers = nn.ModuleList(_tower(channels) for _ in windows)

    def forward(self, pcm: torch.Tensor) -> list[list[torch.Tensor]]:
        """[B, n] -> per window, the output of every layer; the last is the verdict [B, 1, bins, T]."""
        spectra = [self._spectrum(pcm, n) for n in self._windows]
        with torch.autocast(pcm.device.type, torch.bfloat16):
            layers = [list(_layers(tower, x)) for tower, x in zip(self.towers, spectra, strict=True)]
        return [[x.float() for x in tower] for tower in layers]

    def _spectrum(self, pcm: torch.Tensor, window: int) -> torch.Tensor:
        shape = torch.hann_window(window, device=pcm.device)
        spectrum = torch.stft(pcm, window, window // 4, window=shape, normalized=True, return_complex=True)
        return torch.view_as_real(spectrum).permute(0, 3, 1, 2)  # [B, 2, bins, T]


def critic_loss(real: list[list[torch.Tensor]], fake: list[list[torch.Tensor]]) -> torch.Tensor:
    """Hinge: what the discriminators minimise."""
    losses = [F.relu(1 - r[-1]).mean() + F.relu(1 + f[-1]).mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(losses).mean()


def deception_loss(fake: list[list[torch.Tensor]]) -> torch.Tensor:
    """Hinge: what the codec minimises to be taken for real."""
    return torch.stack([-f[-1].mean() for f in fake]).mean()


def matching_loss(real: list[list[torch.Tensor]], fake: list[list[torch.Tensor]]) -> torch.Tensor:
    """Relative distance of the discriminators' inner features."""
    pairs = [pair for r, f in zip(real, fake, strict=True) for pair in zip(r[:-1], f[:-1], strict=True)]
    return torch.stack([F.l1_loss(f, r.detach()) / r.detach().abs().mean().clamp(min=1e-4) for r, f in pairs]).mean()


def _tower(channels: int) -> nn.ModuleList:
    wide: dict[str, Any] = {"kernel_size": (9, 3), "padding": (4, 1)}
    layers = [nn.Conv2d(2, channels, **wide)]
    layers += [nn.Conv2d(channels, channels, stride=(2, 1), **wide) for _ in range(3)]
    layers += [nn.Conv2d(channels, 1, kernel_size=3, padding=1)]
    return nn.ModuleList(nn.utils.parametrizations.weight_norm(layer) for layer in layers)


def _layers(tower: nn.Module, x: torch.Tensor) -> Iterator[torch.Tensor]:
    *inner, verdict = tower.children()
    for layer in inner:
        x = F.leaky_relu(layer(x), 0.2)
        yield x
    yield verdict(x)
