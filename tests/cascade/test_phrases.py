"""Phrases: where a stream of text is cut, and what of it a voice can read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex.agents.cascade.phrases import Phrases, spoken


def phrases_of(pieces: list[str], most: int = 99) -> list[str]:
    phrases = Phrases(most)
    return [phrase for piece in pieces for phrase in phrases.push(piece)] + phrases.flush()


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("**Paris** is the *capital* of `France`.", "Paris is the capital of France."),
        ("1. Boil water.", "Boil water."),
        ("- milk\n- sugar", "milk sugar"),
        ("## Tea\nIs _good_.", "Tea Is good."),
        ("See [the page](https://example.org/a_b) or https://example.org.", "See the page or"),
        ("Well done! 🎉👍", "Well done!"),
        ("A: William Shakespeare.", "William Shakespeare."),
        ("snake_case and 2*3 stay", "snake_case and 23 stay"),
        ("It costs 3.50 dollars <br> now", "It costs 3.50 dollars now"),
        ("```", ""),
        ("***", ""),
        ("😀", ""),
    ],
)
def test_markdown_lists_links_labels_and_emoji_are_not_read_out(text: str, read: str) -> None:
    assert spoken(text) == read


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Hello there. How are you?", ["Hello there.", "How are you?"]),
        ("Dr. Smith met J. Doe. He left.", ["Dr. Smith met J. Doe.", "He left."]),
        ("It is 3.5 metres. Really!", ["It is 3.5 metres.", "Really!"]),
        ("1. Boil water.\n2. Add tea.", ["Boil water.", "Add tea."]),
        ('He said "go!" Then he went.', ['He said "go!"', "Then he went."]),
        ("To make a cup of tea, boil water, then wait.", ["To make a cup of tea,", "boil water, then wait."]),
        ("Sure, I can help.", ["Sure,", "I can help."]),
        ("It is 1,250 miles away.", ["It is 1,250 miles away."]),
        ("no end at all", ["no end at all"]),
        ("A whole sentence. And half of", ["A whole sentence."]),
        ("", []),
    ],
)
def test_where_a_reply_is_cut(text: str, parts: list[str]) -> None:
    assert phrases_of([text]) == parts


@given(st.lists(st.sampled_from(["Dr. ", "Hello", " there", ". ", "! ", "\n", ", ", " a b c d", "1. ", '"', "**"])))
def test_the_cuts_do_not_depend_on_the_pieces(pieces: list[str]) -> None:
    text = "".join(pieces)
    letters = phrases_of(list(text))
    assert letters == phrases_of(pieces)
    assert all(part.strip() == part and part for part in letters)


def test_a_reply_has_no_more_than_so_many_phrases() -> None:
    phrases = Phrases(most=2)
    assert phrases.push("One. Two. Three. Four. ") == ["One.", "Two."]
    assert phrases.done and phrases.push("Five. ") == [] == phrases.flush()
