"""flite (Debian's package, BSD-like licence) as a speaker: five voices of other people than hibari's.

Its C library is called in place, because its command line prints phones but not which word they belong to. It is a
tool for making data: the project runs without it.
"""

from __future__ import annotations

import ctypes
from ctypes import c_char_p, c_float, c_int, c_short, c_void_p
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from duplex.frame import SAMPLE_RATE
from weights.phones import class_of
from weights.speech import Clip, NoEngine, Phone, Voice, Word, resampled, trimmed

MEAN_HZ = {"kal": 104.0, "kal16": 104.0, "awb": 124.0, "slt": 168.0, "rms": 102.0}  # rms is deaf to any other

# Its phones -> those of `weights.phones`; what is missing here is the same in both, or no sound.
_NAMES = "aa ae ah ao aw ax ay ch dh dx eh er ey g hh ih iy jh ng ow oy r sh th uh uw y zh"
_LETTER: dict[str, str] = dict(zip(_NAMES.split(" "), "ɑæʌɔWəIʧðdɛɜAɡhɪiʤŋOYɹʃθʊujʒ", strict=True))
_TOKEN = b"R:SylStructure.parent.parent.R:Token.parent"  # from a sound to the written word


class _Wave(ctypes.Structure):
    """cst_wave"""

    _fields_ = (
        *(("type", c_char_p), ("sample_rate", c_int), ("num_samples", c_int), ("num_channels", c_int)),
        ("samples", ctypes.POINTER(c_short)),
    )


class _Head(ctypes.Structure):
    """The beginning of cst_voice."""

    _fields_ = (("name", c_char_p), ("features", c_void_p))


class _Sound(NamedTuple):
    name: str  # flite's, "pau" is silence
    token: int | None  # the written word it belongs to
    begin: float  # seconds in its own time, later samples
    end: float


class FliteSpeaker:
    """About 100 times faster than real time on one core. Raises NoEngine when the library is missing."""

    def __init__(self) -> None:
        self._lib = _declared(_library("libflite.so.1"))
        self._lib.flite_init()
        self._libc = ctypes.CDLL(None)

    def speak(self, text: str, voice: Voice, seed: int) -> Clip:
        """`base` is one of MEAN_HZ; the seed moves pace and pitch a little. `formant` bends the sound, pitch and all.

        Raises KeyError for another base, ValueError when nothing in the text can be pronounced.
        """
        rng = np.random.default_rng(seed)
        pace, lift = rng.uniform(0.95, 1.05, 2)
        head = _registered(voice.base)
        self._lib.feat_set_float(head.features, b"duration_stretch", voice.formant / voice.speed * pace)
        mean_hz = MEAN_HZ[voice.base] * (voice.pitch or 1.0) / voice.formant * lift
        self._lib.feat_set_float(head.features, b"int_f0_target_mean", mean_hz)
        self._libc.srand(seed % 2**31)  # its breath is noise from rand()
        utterance = self._lib.flite_synth_text(text.encode(), ctypes.byref(head))
        if not utterance:
            raise ValueError(f"flite cannot say {text!r}")
        try:
            return _clip(text, voice.formant, *self._read(utterance))
        finally:
            self._lib.delete_utterance(utterance)

    def _read(self, utterance: int) -> tuple[np.ndarray, int, int, list[_Sound]]:
        """-> (float32 [n], its rate in Hz, how many written words it saw, the sounds)."""
        wave = self._lib.utt_wave(utterance).contents
        pcm = np.ctypeslib.as_array(wave.samples, (wave.num_samples,)).astype(np.float32) / 32768
        tokens = self._items(utterance, b"Token")
        sounds, at = [], 0.0
        for item in self._items(utterance, b"Segment"):
            token, end = self._lib.path_to_item(item, _TOKEN), self._lib.ffeature_float(item, b"end")
            name = self._lib.item_feat_string(item, b"name").decode()
            sounds.append(_Sound(name, tokens.index(token) if token else None, at, end))
            at = end
        return pcm, wave.sample_rate, len(tokens), sounds

    def _items(self, utterance: int, relation: bytes) -> list[int]:
        item, out = self._lib.relation_head(self._lib.utt_relation(utterance, relation)), []
        while item:
            out.append(item)
            item = self._lib.item_next(item)
        return out


def _clip(text: str, bend: float, pcm: np.ndarray, rate: int, tokens: int, sounds: list[_Sound]) -> Clip:
    if not any(s.token is not None for s in sounds):
        raise ValueError(f"nothing to say in {text!r}")
    timed = [
        s._replace(begin=round(s.begin * SAMPLE_RATE / bend), end=round(s.end * SAMPLE_RATE / bend)) for s in sounds
    ]
    kinds = ((class_of(_LETTER.get(s.name, s.name)), s) for s in timed if s.token is not None)
    phones = [Phone(kind, int(s.begin), int(s.end)) for kind, s in kinds if kind is not None]
    return trimmed(resampled(pcm, rate, bend), _words(text.split(), tokens, timed), phones)[0]


def _words(written: list[str], tokens: int, sounds: list[_Sound]) -> list[Word]:
    """flite's tokens are the written words, unless it cuts the text differently: then they are dealt out evenly."""
    out: list[Word] = []
    for i, word in enumerate(written):
        first = i * tokens // len(written)
        own = range(first, max(first + 1, (i + 1) * tokens // len(written)))
        span = [s for s in sounds if s.token in own]
        before = out[-1].end if out else 0
        out.append(Word(word, int(span[0].begin), int(span[-1].end)) if span else Word(word, before, before))
    return out


@cache
def _registered(base: str) -> _Head:
    """Raises KeyError for a voice that is not in MEAN_HZ."""
    MEAN_HZ[base]
    name = f"cmu_us_{base}"
    register = getattr(_library(f"libflite_{name}.so.1"), f"register_{name}")
    register.restype, register.argtypes = ctypes.POINTER(_Head), [c_char_p]
    return register(None).contents


def _library(name: str) -> Any:
    try:
        return ctypes.CDLL(name)
    except OSError as e:
        raise NoEngine(f"the flite engine needs {name}: apt-get install flite, or leave flite out of --engines") from e


def _declared(lib: Any) -> Any:
    """The functions that are used, with their C types."""
    for name, result, arguments in (
        ("flite_init", c_int, []),
        ("flite_synth_text", c_void_p, [c_char_p, c_void_p]),
        ("delete_utterance", None, [c_void_p]),
        ("feat_set_float", None, [c_void_p, c_char_p, c_float]),
        ("utt_wave", ctypes.POINTER(_Wave), [c_void_p]),
        ("utt_relation", c_void_p, [c_void_p, c_char_p]),
        ("relation_head", c_void_p, [c_void_p]),
        ("item_next", c_void_p, [c_void_p]),
        ("item_feat_string", c_char_p, [c_void_p, c_char_p]),
        ("path_to_item", c_void_p, [c_void_p, c_char_p]),
        ("ffeature_float", c_float, [c_void_p, c_char_p]),
    ):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib
