"""Words -> the text tokens of consecutive ticks."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex.engine.forcing import FREE, Forcing, laid_out, lasts
from duplex.engine.spelling import number, spelled
from duplex.engine.text import END_OF_PAD, PAD


def encode(word: str) -> list[int]:
    """A piece for every two letters, from 10 on; none for a word without letters."""
    letters = [c for c in word if c.isalnum()]
    return [10 + ord(c) % 50 for c in letters[::2]]


def test_a_word_follows_end_of_pad_and_lasts_as_long_as_it_takes_to_say():
    tokens = laid_out("Hello there", encode)
    first = 1 + round(lasts("Hello"))
    assert tokens[0] == END_OF_PAD and tokens[1:4] == encode("Hello")
    assert tokens[first : first + 3] == encode("there") and tokens[first - 1] in (END_OF_PAD, encode("Hello")[-1])
    assert len(tokens) == 1 + round(lasts("Hello") + lasts("there"))


@given(st.text())
def test_whatever_is_to_be_said_all_its_pieces_come_in_order(text):
    tokens = laid_out(text, encode)
    assert [t for t in tokens if t not in (PAD, END_OF_PAD)] == [p for w in spelled(text).split() for p in encode(w)]
    gaps = [a for a, b in pairwise(tokens) if a == PAD and b not in (PAD, END_OF_PAD)]
    assert gaps == []  # a word after padding is announced
    assert not tokens or tokens[0] == END_OF_PAD


def test_the_pace_is_that_of_speech():
    text = "The capital of France is Paris, and the capital of Italy is Rome."
    letters = sum(c.isalpha() for c in text)
    assert 11 < letters / (len(laid_out(text, encode)) * 0.08) < 16  # letters a second


def test_pauses_are_at_the_marks():
    assert lasts("so,") > lasts("so") + 1 and lasts("so.") > lasts("so,")


def test_one_after_the_other_then_free():
    forcing = Forcing(encode)
    assert not forcing.busy and forcing.next() == FREE
    forcing.say("One.")
    forcing.say("Two.")
    said = [forcing.next() for _ in range(50)]
    assert said[: len(laid_out("One.", encode))] == laid_out("One.", encode)
    assert [t for t in said if t > PAD] == encode("One") + encode("Two")
    assert said[-1] == FREE and not forcing.busy


def test_what_is_dropped_is_not_said_and_a_mute_model_writes_nothing():
    forcing = Forcing(encode)
    forcing.say("One two three.")
    assert forcing.busy and forcing.next() == END_OF_PAD
    forcing.drop()
    assert forcing.next() == FREE
    forcing.mute = True
    assert forcing.next() == PAD
    forcing.say("Four.")
    assert forcing.next() == END_OF_PAD  # words come first


@pytest.mark.parametrize("nothing", ["", "  ", "...", "?!"])
def test_what_holds_no_word_is_refused(nothing):
    with pytest.raises(ValueError, match="no word in"):
        Forcing(encode).say(nothing)


@pytest.mark.parametrize(
    ("text", "aloud"),
    [
        ("It is 21.5 °C, with 80% rain.", "It is twenty one point five degrees, with eighty percent rain."),
        ("That costs $1,250.", "That costs one thousand two hundred fifty dollars."),
        ("BA249 leaves at 14:30", "BA two four nine leaves at fourteen thirty"),
        ("-3 degrees in 3-4 days", "minus three degrees in three to four days"),
        ("2+3=5", "two plus three equals five"),
        ("I\u2019m *quite* \u201cOK\u201d.", "I'm quite OK."),
        ("A plain line, as it was.", "A plain line, as it was."),
        ("", ""),
    ],
)
def test_figures_and_signs_are_spelled(text, aloud):
    assert spelled(text) == aloud


@given(st.text())
def test_no_figure_is_left(text):
    assert not any(c.isdecimal() for c in spelled(text))


@pytest.mark.parametrize(
    ("n", "words"),
    [
        *((0, "zero"), (20, "twenty"), (99, "ninety nine"), (100, "one hundred"), (705, "seven hundred five")),
        *((1_000, "one thousand"), (2**30, "one zero seven three seven four one eight two four")),
        (12_345_678, "twelve million three hundred forty five thousand six hundred seventy eight"),
    ],
)
def test_numbers(n, words):
    assert number(n) == words
