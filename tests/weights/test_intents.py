"""The wordings of nano's intents: enough to learn from, none that means two things, and a fair one held out."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations

import jiwer
import pytest

from weights.intents import Intent, intents
from weights.sayings import section

ARTICLES = "a an the and or of in on at to for from with by is are am be please so some any"
CARRIERS = (
    "do does did has have had can could will would may i you me my your it its this that there we us what which who "
    "whose how when where why tell give know say want like now all one let's what's"
)
SMALL = frozenset(ARTICLES.split())  # who, how and why are not here: they may tell two intents apart
STOP = SMALL | frozenset(CARRIERS.split())  # words that tell no intent from another
SUMS = ("plus", "minus", "times")  # here the slot alone says what is meant
ALL = list(intents().values())


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z']+", text.replace("{x}", " ").lower()))


def named(intent: Intent) -> str:
    return intent.name


def test_there_are_many_intents_and_many_long_replies() -> None:
    assert len(ALL) >= 150
    assert sum(intent.is_long for intent in ALL) >= 40


@pytest.mark.parametrize("intent", ALL, ids=named)
def test_there_are_enough_wordings_to_learn_from(intent: Intent) -> None:
    every = [_bare(wording) for wording in (*intent.wordings, *intent.more)]
    assert len(every) == len(set(every))
    assert 20 <= len(intent.wordings_of("train")) <= 80 and len(intent.wordings_of("test")) == 1


@pytest.mark.parametrize("intent", ALL, ids=named)
def test_a_wording_is_short_and_spoken(intent: Intent) -> None:
    for wording in (*intent.wordings, *intent.more):
        assert 1 <= len(wording.split()) <= 14, wording
        assert re.fullmatch(r"[A-Z{][a-zA-Z',:{} -]*[.?]", wording), wording
        assert ("{x}" in wording) == (len(intent.slots) > 1), wording


@pytest.mark.parametrize("intent", ALL, ids=named)
def test_the_held_out_wording_has_a_word_to_know_it_by(intent: Intent) -> None:
    (held_out,) = intent.wordings_of("test")
    learned = [words(w) for w in intent.wordings_of("train")]
    shared = {w for w in words(held_out) - STOP if any(w in known for known in learned)}
    assert shared or intent.name in SUMS, held_out


@pytest.mark.parametrize("intent", ALL, ids=named)
def test_no_wording_to_learn_from_is_a_word_away_from_the_held_out_one(intent: Intent) -> None:
    (held_out,) = intent.wordings_of("test")
    assert [w for w in intent.more if _words_apart(_bare(w), _bare(held_out)) < 2] == []


def test_no_wording_means_two_things() -> None:
    asked = Counter(_bare(i.asked(w, s)) for i in ALL for w in (*i.wordings, *i.more) for s in i.slots)
    assert [text for text, n in asked.items() if n > 1] == []


def test_what_is_unknown_is_no_wording_of_an_intent() -> None:
    asked = {_bare(i.asked(w, s)) for i in ALL for w in (*i.wordings, *i.more) for s in i.slots}
    unknown = [_bare(text) for text in section("unknown")]
    assert len(unknown) > 1_500 and len(set(unknown)) == len(unknown)
    assert not asked & set(unknown)


def test_no_two_intents_differ_in_a_small_word_alone() -> None:
    meant = [(i.name, {frozenset(words(w) - SMALL) for w in i.wordings}) for i in ALL if i.slots == (("", ""),)]
    alike = [(a, b, sorted(map(sorted, x & y))) for (a, x), (b, y) in combinations(meant, 2) if x & y]
    assert alike == []


def _words_apart(a: str, b: str) -> int:
    compared = jiwer.process_words(a, b)
    return compared.substitutions + compared.insertions + compared.deletions


def _bare(text: str) -> str:
    return " ".join(re.findall(r"[a-z'{}]+", text.lower()))
