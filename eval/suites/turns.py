"""Taking turns: a question, a question with a pause in it, a long turn, a question with a known answer."""

from __future__ import annotations

from collections.abc import Iterator

from eval.scenario import Scenario
from eval.suites.channel import Channel

# (question, words of which a right answer holds one)
KNOWN = (
    ("What is the capital of France?", ("paris",)),
    ("What is two plus three?", ("five", "5")),
    ("What color is the sky?", ("blue",)),
    ("What is the capital of Spain?", ("madrid",)),
    ("How many days does a week have?", ("seven", "7")),
    ("What is the opposite of hot?", ("cold",)),
    ("Which day comes after Monday?", ("tuesday",)),
    ("What is ten minus four?", ("six", "6")),
    ("What is the capital of Italy?", ("rome",)),
    ("What color is grass?", ("green",)),
)
OPEN = (
    "How are you today?",
    "What is your name?",
    "Can you tell me a joke?",
    "What can you do?",
    "How does full duplex work?",
    "Do you like music?",
)
HALVES = (
    (("What is the capital", "of Germany?"), ("berlin",)),
    (("Can you tell me", "what four plus four is?"), ("eight", "8")),
    (("I would like to know", "what color a banana is."), ("yellow",)),
    (("Tell me, please,", "what the opposite of big is."), ("small", "little")),
)
TALES = (
    "I went to the market this morning.",
    "It was raining and I had no umbrella.",
    "Then I met my old neighbor.",
    "We talked about the old days.",
    "In the end I took a taxi.",
)
PAUSES_S = (0.3, 0.6, 1.0, 1.5)


def turn_taking(n: int, tail_s: float) -> Iterator[Scenario]:
    """One question in a fresh conversation."""
    for i in range(n):
        yield Channel("turn-taking", i).say(OPEN[i % len(OPEN)]).scenario(tail_s)


def questions(n: int, tail_s: float) -> Iterator[Scenario]:
    """One question that has a right answer."""
    for i in range(n):
        text, expect = KNOWN[i % len(KNOWN)]
        yield Channel("questions", i).say(text, expect=expect).scenario(tail_s)


def pauses(n: int, tail_s: float) -> Iterator[Scenario]:
    """A question with a silence of 0.3 to 1.5 s inside."""
    for i in range(n):
        parts, expect = HALVES[i % len(HALVES)]
        pause_s = PAUSES_S[i // 2 % len(PAUSES_S)]
        yield Channel("pauses", i).say_with_pauses(parts, [pause_s], expect).scenario(tail_s)


def long_turn(n: int, tail_s: float) -> Iterator[Scenario]:
    """A tale with a breath after each sentence, then a question: where does the agent say "I see"?"""
    for i in range(n):
        channel, (text, expect) = Channel("long-turn", i), KNOWN[i % len(KNOWN)]
        told = [TALES[(i + k) % len(TALES)] for k in range(4)]
        breaths = channel.rng.uniform(0.6, 1.1, len(told)).round(2)
        yield channel.say_with_pauses([*told, text], breaths.tolist(), expect).scenario(tail_s)
