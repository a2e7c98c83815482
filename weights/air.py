"""The air and the line between a user and the agent: room, noise, telephone. float32 [n] at 24 kHz throughout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import butter, fftconvolve, sosfilt

from duplex.frame import SAMPLE_RATE

SPEECH_RMS = 0.07  # the agent's, and the user's at 0 dB


@dataclass(frozen=True, slots=True)
class Channel:
    """How the user reaches the agent."""

    level_db: float  # of speech, relative to the agent's
    snr_db: float  # of speech over a steady noise
    tilt: float  # of the noise's amplitude: 0 white, 1 brown
    room_ms: int  # reverberation time, 0 for none
    telephone: bool  # 300 to 3,400 Hz


def transformed(pcm: np.ndarray, channel: Channel, rng: np.random.Generator) -> np.ndarray:
    """float32 [n] -> the same as it arrives: room, then noise, then the line."""
    if channel.room_ms:
        pcm = fftconvolve(pcm, _room(channel.room_ms, rng))[: len(pcm)]
    noise_rms = SPEECH_RMS * 10 ** ((channel.level_db - channel.snr_db) / 20)
    pcm = pcm + hiss(len(pcm), channel.tilt, rng) * noise_rms
    if channel.telephone:
        pcm = np.asarray(sosfilt(butter(4, (300, 3400), "bandpass", fs=SAMPLE_RATE, output="sos"), pcm))
    return np.asarray(pcm, np.float32)


def _room(rt60_ms: int, rng: np.random.Generator) -> np.ndarray:
    """An impulse response: the direct sound, and noise that falls by 60 dB in `rt60_ms`."""
    n = round(rt60_ms * SAMPLE_RATE / 1000)
    tail = rng.standard_normal(n, dtype=np.float32) * 10 ** (-3 * np.arange(n) / n)
    tail[: SAMPLE_RATE // 500] = 0
    response = tail * (rng.uniform(0.2, 0.7) / np.sqrt(np.sum(tail**2)))
    response[0] = 1.0
    return response.astype(np.float32)


def levelled(pcm: np.ndarray, gain: float = 1.0) -> np.ndarray:
    """Speech at `gain` times SPEECH_RMS."""
    rms = max(float(np.sqrt(np.mean(np.square(pcm, dtype=np.float64)))), 1e-4)
    return (pcm * (SPEECH_RMS * gain / rms)).astype(np.float32)


def hiss(samples: int, tilt: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of RMS 1 whose amplitude falls with frequency to the power of `tilt`."""
    if not samples:
        return np.zeros(0, np.float32)
    size = int(next_fast_len(samples, real=True) or samples)
    shape = np.maximum(np.arange(size // 2 + 1, dtype=np.float32) / size * SAMPLE_RATE, 50.0) ** -tilt
    shape[0] = 0
    spectrum = np.asarray(rfft(rng.standard_normal(size, dtype=np.float32)))
    noise = np.asarray(irfft(spectrum * shape, size))[:samples]
    return noise / max(float(noise.std()), 1e-9)
