"""Where the agent's own utterances begin and end."""

from __future__ import annotations

import numpy as np

from duplex.agents.voice import Voice
from duplex.frame import FRAME_SAMPLES

QUIET = np.zeros(FRAME_SAMPLES, np.float32)
LOUD = np.full(FRAME_SAMPLES, 0.1, np.float32)


def run(voice: Voice, frames: str, begin: int = 0) -> dict[int, list[str]]:
    """ "#" loud, "." quiet, "t" quiet with a word -> the changes, by frame."""
    found = {}
    for t, kind in enumerate(frames, begin):
        changes = voice.push(LOUD if kind == "#" else QUIET, " word" if kind == "t" else "")
        if changes:
            found[t] = changes
    return found


def test_an_utterance_begins_in_the_frame_of_its_first_sound_and_ends_after_640_ms_of_quiet():
    voice = Voice()
    assert run(voice, "..###...##" + "." * 10) == {2: ["began"], 17: ["ended"]}
    assert voice.began == 2 * FRAME_SAMPLES and not voice.gave_way and not voice.speaking


def test_ten_milliseconds_are_enough():
    late = QUIET.copy()
    late[-240:] = 0.1
    assert Voice().push(late, "") == ["began"]


def test_words_count_as_sound_and_are_kept():
    voice = Voice()
    assert run(voice, ".t" + "." * 10) == {1: ["began"], 9: ["ended"]}
    assert voice.text == " word"
    run(voice, "t", begin=12)
    assert voice.text == " word"  # of the next utterance alone


def test_soon_after_the_user_has_spoken_up_it_ends_sooner_and_gave_way():
    voice = Voice()
    run(voice, "####")
    voice.interrupted(3 * FRAME_SAMPLES)
    assert run(voice, "##" + "." * 8, begin=4) == {9: ["ended"]} and voice.gave_way


def test_who_goes_on_for_long_did_not_give_way():
    voice = Voice()
    run(voice, "####")
    voice.interrupted(3 * FRAME_SAMPLES)
    assert run(voice, "#" * 16 + "." * 8, begin=4) == {27: ["ended"]} and not voice.gave_way


def test_what_is_cut_counts_no_more():
    voice = Voice()
    run(voice, "##")
    voice.cut()
    assert not voice.speaking
    assert run(voice, "#", begin=2) == {2: ["began"]}
    assert voice.began == 2 * FRAME_SAMPLES


def test_a_user_who_speaks_into_silence_interrupts_nothing():
    voice = Voice()
    voice.interrupted(0)
    run(voice, "##" + "." * 8)
    assert not voice.gave_way
