"""The user sounds while the agent talks: to it, along with it, or not to it at all; and a whole conversation.

The channel does not know when the agent talks. What falls into its silence is void for whatever it was meant to show.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from eval.scenario import Kind, Scenario
from eval.suites.channel import Channel
from eval.suites.turns import KNOWN

LONG = (
    "Can you tell me a long story?",
    "How does full duplex work?",
    "Tell me a story about a dog.",
    "Why do we have seasons?",
)
INTO_S = (3.0, 4.0, 5.0)  # after the question's end
BACKCHANNELS = ("Uh-huh.", "Yeah.", "I see.", "Okay.", "Oh, right.", "Mm-hm.")
ASIDES = (
    "Tom, please close the window.",
    "Mom, I am on the phone.",
    "Anna, dinner is in the kitchen.",
    "Not now, Ben, I am busy.",
)
CHATTER = (
    "I bought some apples and a fresh loaf. The bus was late again.",
    "My brother came to visit us. We had lunch in a small cafe.",
)
SHORT, LONGER = "Stop.", "Wait, I want to know something else. "
QUIET_S = 20.0


def interruption(n: int, tail_s: float) -> Iterator[Scenario]:
    """A new question into a long reply: alone, after a single word, or with a long beginning."""
    for i in range(n):
        text, expect = KNOWN[i % len(KNOWN)]
        before = ("", f"{SHORT} ", LONGER)[i % 3]
        yield _into_a_reply("interruption", i).say(before + text, "interruption", expect).scenario(tail_s)


def backchannel(n: int, tail_s: float) -> Iterator[Scenario]:
    """Two short signs of listening into a long reply."""
    for i in range(n):
        channel = _into_a_reply("backchannel", i)
        channel.say(BACKCHANNELS[i % len(BACKCHANNELS)], "backchannel").wait(2.0)
        yield channel.say(BACKCHANNELS[(i + 3) % len(BACKCHANNELS)], "backchannel").scenario(tail_s)


def aside(n: int, tail_s: float) -> Iterator[Scenario]:
    """The user says something to somebody else, into a long reply and into silence."""
    for i in range(n):
        channel = _into_a_reply("aside", i) if i % 2 else Channel("aside", i)
        yield channel.say(ASIDES[i % len(ASIDES)], "aside", level_db=-6.0).scenario(tail_s)


def background(n: int, tail_s: float) -> Iterator[Scenario]:
    """Somebody far away talks, into a long reply and into silence."""
    for i in range(n):
        channel = _into_a_reply("background", i) if i % 2 else Channel("background", i)
        level_db = round(channel.rng.uniform(-24, -15), 1)
        yield channel.say(CHATTER[i % len(CHATTER)], "background", level_db=level_db, other=True).scenario(tail_s)


def quiet(n: int, tail_s: float) -> Iterator[Scenario]:
    """Nothing but noise."""
    for i in range(n):
        yield Channel("quiet", i).quiet(QUIET_S).scenario(tail_s)


def conversation(n: int, tail_s: float) -> Iterator[Scenario]:
    """Eight turns with time to answer each; the third interrupts a long reply, the sixth corrects the fifth."""
    for i in range(n):
        channel = Channel("conversation", i)
        order = channel.rng.permutation(len(KNOWN))
        for turn in range(8):
            text, expect = KNOWN[order[turn]]
            kind: Kind = "question"
            if turn == 1:
                text, expect = LONG[i % len(LONG)], ()
            elif turn == 2:
                kind = "interruption"
            elif turn == 5:
                text = f"No, sorry, I meant something else. {text}"
            channel.say(text, kind, expect).wait(_answer_s(channel.rng, turn))
        yield channel.scenario(tail_s)


def _answer_s(rng: np.random.Generator, turn: int) -> float:
    """Time to answer; the second turn's answer is talked into."""
    return float((3.5 if turn == 1 else 5.0) + rng.uniform(0, 1))


def _into_a_reply(suite: str, index: int) -> Channel:
    channel = Channel(suite, index).say(LONG[index % len(LONG)])
    return channel.wait(INTO_S[index % len(INTO_S)])
