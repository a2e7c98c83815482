"""Any WAV becomes 24 kHz mono with nothing moved in time; what is no WAV is named."""

import wave

import numpy as np
import pytest

from duplex.clients import load_wav


def written(path, signal: np.ndarray, rate: int):
    """float [n, C] -> a 16-bit WAV."""
    with wave.open(str(path), "wb") as wav:
        wav.setparams((signal.shape[1], 2, rate, 0, "NONE", ""))
        wav.writeframes((signal * 32767).astype("<i2").tobytes())
    return path


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_resampling_keeps_time_and_length(tmp_path, rate):
    clock_s = np.arange(rate) / rate
    pulse = 0.5 * np.exp(-0.5 * ((clock_s - 0.9) / 0.002) ** 2)
    pcm = load_wav(written(tmp_path / "a.wav", pulse[:, None], rate))
    assert pcm.dtype == np.float32 and pcm.shape == (24_000,)
    assert np.abs(pcm).argmax() == pytest.approx(0.9 * 24_000, abs=3)
    assert pcm.max() == pytest.approx(0.5, abs=0.01)


def test_channels_are_averaged(tmp_path):
    both = np.stack([np.full(100, 0.5), np.full(100, -0.25)], axis=1)
    assert load_wav(written(tmp_path / "a.wav", both, 24_000)) == pytest.approx(0.125, abs=1e-4)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a sound at all" * 50])
def test_what_is_no_wav_is_named(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.wav: not a WAV file that can be read"):
        load_wav(tmp_path / "a.wav")


def test_an_empty_or_missing_wav_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"a\.wav: holds no samples"):
        load_wav(written(tmp_path / "a.wav", np.zeros((0, 1)), 24_000))
    with pytest.raises(FileNotFoundError, match=r"b\.wav: no such file"):
        load_wav(tmp_path / "b.wav")
