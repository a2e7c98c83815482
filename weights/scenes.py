"""What may happen in a dialogue, and how often: SCENES. What the user does is drawn; what the agent should do about it
follows from the scene, and is written into the lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from weights.dialogue import START, Kind, Line
from weights.intents import UNKNOWN, Intent, Split, intents, slot_words
from weights.sayings import anything, bare, section

# What may happen, and its share of all scenes.
SCENES: dict[str, float] = {
    "answer": 0.36,  # a question, and its answer
    "pause": 0.14,  # the user pauses inside a question: the agent waits
    "interrupt": 0.14,  # the user talks into a long reply: the agent stops, then answers that
    "backchannel": 0.09,  # "uh-huh" during a long reply: the agent goes on
    "listening": 0.05,  # the user talks for long: "I see" from the agent in a pause of his
    "aside": 0.06,  # the user talks to somebody else: nothing
    "background": 0.05,  # another voice, far away: nothing
    "noise": 0.02,  # a bang or a hiss: nothing
    "correction": 0.06,  # "no, I meant ...": the answer to what was meant
    "silence": 0.03,  # nobody says anything for a while
}
MORE = {"interrupt": 2.0, "backchannel": 2.5}  # times as often in training: to be told apart early, in doubt to stop
DRILL_GAP_MS = (300, 1000)  # before a short question
AGENT_GAP_MS = (80, 240)  # rounded up to the next frame this is 80 to 320
# In training a reply begins after READY_MS, or is late, and nothing is learnt from the ticks in between. Were its
# moment drawn, each tick would have a small chance, which at a low temperature is none.
READY_MS = 160
LATE_GAP_MS, LATE_SHARE = (240, 2000), 0.4  # of replies in training: who missed its moment shall still answer
SLOTS_SHARE = 0.35  # of questions in training: every pair of intent and slot alike; of the others every intent alike
PLAIN_SHARE = 0.3  # of wordings in training: of `intents.txt`, whose last one is what is held out
SENTENCE_END_SHARE = 0.5  # of scenes with backchannels in training: where people say them, and where it easily stops
UNKNOWN_SHARE = 0.1  # of questions in training, drills apart, that are none of the intents'
REPEAT_SHARE = 0.3  # of answers in training: the user wants something said after him, any words
USER_GAP_MS = (300, 2500)
PAUSE_MS = (250, 1000)
LONG_PAUSE_MS, SHORT_PAUSE_MS = (1100, 1600), (50, 600)  # between the sentences of a tale
# Ticks: shares. Were it always 3, who missed it would never stop. A later stop counts once more for every tick past 3,
# times `late_stop` (`weights.lm_losses`): at the recipe's 0.2 all of them weigh about alike. The first counts once, and
# is rarer than the second: what it hears by then may yet become a backchannel.
STOPS = {3: 16, 4: 32, 5: 20, 6: 11, 7: 6, 8: 5, 10: 4, 13: 3, 16: 2, 20: 1}
# More, if its first word is that of a backchannel ("yes, I" may still become "yes, I see") or may be ("oh, nice").
DOUBT_TICKS = dict.fromkeys(["ah", "good", "hm", "oh", "okay", "right", "yeah", "yes"], 8) | {"no": 3}

# Every fourth of these is for the test set alone.
BACKCHANNELS = (
    *("Uh-huh.", "Yeah.", "Okay.", "Oh yes.", "Right.", "I see.", "Yes.", "Okay, sure."),
    *("Sure.", "Mm-hm.", "Oh.", "Yes, I see.", "Oh, okay.", "Yes, yes.", "Aha.", "Oh, right."),
    *("Wow.", "Really.", "Nice.", "Oh, nice.", "Good.", "Yeah, yeah.", "Oh, I see.", "Yeah, right."),
)
INTERRUPTIONS = (
    *("Wait,", "Stop,", "", "Hold on,", "Sorry,", "No,", "Okay, but", "", "Wait, wait,", "But", ""),
    *("Sorry, but", "Stop, stop,", "Yes, but", "Hey,", "No, wait,"),
)
OPENINGS = (
    *("", "Hey,", "", "", "So,", "Okay,", "", "Well,", "", "Now,", "", "Listen,", "", "Nano,", "And", ""),
    *("", "Yes,", "", "So, okay,"),
)
CORRECTIONS = (
    *("No, I meant {x}.", "Sorry, I meant {x}.", "I meant {x}.", "Wait, I meant {x}.", "I mean {x}.", "No, {x}."),
    *("Sorry, no, {x}.", "No, I mean {x}.", "I said {x}.", "Wait, no, {x}.", "Oh no, I meant {x}.", "No, I said {x}."),
)
ASIDES = (
    *("Mom, I am on the phone.", "Dinner is in the kitchen, Peter.", "Close the door, Anna, it is cold."),
    *("Tom, take the dog out.", "Yes darling, I will come in a minute.", "Leave your shoes outside, Ben."),
    *("No Lisa, the blue cup is yours.", "Give that back to your sister, Max.", "Paul, did you feed the cat?"),
    *("Mary, somebody is at the door.", "Sam, turn the music down.", "Kids, put your coats on."),
    *("Peter, the soup is on the stove.", "Ben, your bag is in the car.", "Lisa, wash your hands."),
    *("Anna, your shoes are in the kitchen.", "Max, leave the dog outside.", "Come down, Paul, lunch is ready."),
    *("Yes Mom, I have fed the cat.", "Tom, put the cup on the table.", "Mary, can you open the window?"),
    *("Darling, where are my keys?", "Not now, Sam, I am busy.", "Ben, close the window, please."),
    *("Kids, it is too loud in here.", "Lisa, your brother is outside.", "Anna, please set the table."),
    "Peter, take your coat with you.",
)
TALES = (
    *("I went to the market this morning.", "It was raining and I had no umbrella.", "Then I met my old neighbour."),
    *("My brother came to visit us.", "We walked along the river for an hour.", "The bus was late again."),
    *("There was a long queue at the bakery.", "I bought some apples and a fresh loaf.", "My shoes were wet."),
    *("We talked about the old days.", "In the end I took a taxi.", "Nobody was at home when I came back."),
    *("My sister has a new flat in the city.", "We had lunch in a small cafe.", "The coffee was almost cold."),
    *("I lost my keys on the way.", "A friendly woman found them in the park.", "Then the sun came out at last."),
    *("Our car would not start.", "The shop was already closed.", "So I walked all the way back."),
    *("I called my mother in the afternoon.", "She is painting her kitchen green.", "We laughed a lot."),
)
AGENT_BACKCHANNELS = ("I see.", "Right.", "Okay.")
GREETING = "Hello, I am Nano. How can I help you?"


@dataclass(slots=True)
class Draft:
    rng: Random
    split: Split
    lines: list[Line] = field(default_factory=list)
    scene: str = ""
    drill: bool = False  # in short questions with short answers
    seconds: float = 0.0  # a guess
    idle_ms: float = 0.0  # silence owed before the next line
    tail: int = START  # the line that the next scene follows

    def add(self, who: Any, kind: Kind, text: str, gap_ms: int | None = None, **more: Any) -> int:
        """Append a line -> its index. Without `after` it follows the tail, and the silence that is owed."""
        if "after" not in more:
            gap_ms = (self.rng.randint(*USER_GAP_MS) if gap_ms is None else gap_ms) + round(self.idle_ms)
            self.idle_ms = 0
            more["after"] = self.tail
        self.lines.append(Line(who, kind, text, self.scene, gap_ms=gap_ms or 0, **more))
        self.seconds += 0.5 + 0.33 * len(text.split()) + (gap_ms or 0) / 1000
        if kind != "backchannel":
            self.tail = len(self.lines) - 1
        return len(self.lines) - 1

    def reply(self, intent: Intent, slot: tuple[str, str]) -> int:
        text, gap_ms = intent.answered(slot), READY_MS
        if self.split == "test":
            gap_ms = self.rng.randint(*AGENT_GAP_MS)
        elif self.rng.random() < LATE_SHARE:
            gap_ms = self.rng.randint(*LATE_GAP_MS)
        return self.add("agent", "reply", text, gap_ms, after=self.tail, intent=intent.name, expect=slot[1])

    def question(
        self, wanted: Callable[[Intent], bool] = lambda _: True, words: int = 1
    ) -> tuple[Intent, tuple[str, str], str]:
        """An intent, a slot, and how the user asks, in a wording of at least so many `words`."""

        def wordings(intent: Intent) -> tuple[str, ...]:
            asks = intent.wordings_of(self.split)
            return asks if words == 1 else tuple(ask for ask in asks if len(ask.split()) >= words)

        learning = self.split == "train"
        if learning and not self.drill and wanted(UNKNOWN) and self.rng.random() < UNKNOWN_SHARE:
            asks = [text for text in section("unknown") if len(text.split()) >= words]
            return UNKNOWN, UNKNOWN.slots[0], self.rng.choice(asks)
        able = [intent for intent in intents().values() if wanted(intent) and wordings(intent)]
        if learning and any(len(i.slots) > 1 for i in able) and self.rng.random() < SLOTS_SHARE:
            intent, slot = self.rng.choice([(i, slot) for i in able if len(i.slots) > 1 for slot in i.slots])
        else:
            intent = self.rng.choice(able)
            slot = self.rng.choice(intent.slots)
        asks = wordings(intent)
        if learning and (plain := [ask for ask in asks if ask in intent.wordings]) and self.rng.random() < PLAIN_SHARE:
            asks = plain
        return intent, slot, intent.asked(self.rng.choice(asks), slot)

    def pick(self, texts: tuple[str, ...], more: str = "") -> str:
        """One of `texts` that this split may use, or in training, as often, of the section `more` of sayings.txt."""
        if more and self.split == "train" and self.rng.random() < 0.5:
            return self.rng.choice(section(more))
        return self.rng.choice([t for i, t in enumerate(texts) if (i % 4 == 3) == (self.split == "test")])


def _after_opening(opening: str, text: str) -> str:
    small = text if not opening or text.startswith(("I ", "I'")) else text[0].lower() + text[1:]
    return f"{opening} {small}".lstrip()


def _answer(d: Draft) -> None:
    intent, slot, text = d.question(lambda i: not (d.drill and i.is_long))
    if d.split == "train" and not d.drill and d.rng.random() < REPEAT_SHARE:
        intent, saying = intents()["repeat"], anything(d.rng, slot_words())
        slot, text = (saying, saying), intent.asked(d.rng.choice(intent.wordings_of("train")), (saying, saying))
    text = _after_opening(d.pick(OPENINGS, "openings"), text)
    gap_ms = d.rng.randint(*DRILL_GAP_MS) if d.drill else None
    d.add("user", "question", text, gap_ms, intent=intent.name, expect=slot[1])
    d.reply(intent, slot)


def _pause(d: Draft) -> None:
    intent, slot, text = d.question(words=4)
    pause = (d.rng.randint(1, len(text.split()) - 2), d.rng.randint(*PAUSE_MS))
    d.add("user", "question", text, intent=intent.name, expect=slot[1], pauses=(pause,))
    d.reply(intent, slot)


def _long_reply(d: Draft) -> tuple[int, int]:
    """Ask for something long -> (index of the reply, how many words it has)."""
    intent, slot, text = d.question(lambda i: i.is_long)
    d.add("user", "question", text, intent=intent.name)
    reply = d.reply(intent, slot)
    return reply, len(d.lines[reply].text.split())


def _interrupt(d: Draft) -> None:
    """With something it knows: were there UNKNOWN things too, it would take a backchannel new to it for one."""
    reply, n = _long_reply(d)
    intent, slot, text = d.question(lambda i: not i.is_long and i is not UNKNOWN)
    text = _after_opening(d.pick(INTERRUPTIONS, "interruptions"), text)
    doubt_ticks = DOUBT_TICKS.get(bare(text.split()[0]), 0)
    stop_ticks = d.rng.choices(list(STOPS), list(STOPS.values()))[0] + doubt_ticks
    place: dict[str, Any] = {"after": reply, "word": d.rng.randint(3, n - 8), "stops": reply}
    place |= {"stop_ticks": stop_ticks, "doubt_ticks": doubt_ticks}
    d.add("user", "interruption", text, 0, intent=intent.name, expect=slot[1], **place)
    d.reply(intent, slot)


def _backchannel(d: Draft) -> None:
    reply, n = _long_reply(d)
    places = list(range(4, n - 4, 8))
    if d.split == "train" and d.rng.random() < SENTENCE_END_SHARE:
        ends = [i for i, word in enumerate(d.lines[reply].text.split()) if word.endswith((".", "?", "!"))]
        places = [i - d.rng.randint(0, 2) for i in ends if 6 <= i < n - 4]
    for word in sorted(d.rng.sample(places, min(d.rng.randint(1, 2), len(places)))):
        text, level_db = d.pick(BACKCHANNELS, "backchannels"), round(d.rng.uniform(-9, -2), 1)
        d.add("user", "backchannel", text, d.rng.randint(0, 200), after=reply, word=word, level_db=level_db)


def _listening(d: Draft) -> None:
    """In training also for longer, and with pauses too short to say anything in."""
    tales, most, short = (TALES, 4, 0.0) if d.split == "test" else (TALES + section("tales"), 7, 0.5)
    told = d.rng.sample(tales, d.rng.randint(2, most))
    intent, slot, text = d.question(lambda i: not i.is_long)
    ends = [sum(len(t.split()) for t in told[: i + 1]) - 1 for i in range(len(told))]
    waited = [end for end in ends if not short or d.rng.random() >= short]
    pauses = tuple((end, d.rng.randint(*(LONG_PAUSE_MS if end in waited else SHORT_PAUSE_MS))) for end in ends)
    turn = d.add("user", "tale", f"{' '.join(told)} {text}", intent=intent.name, expect=slot[1], pauses=pauses)
    for end in sorted(d.rng.sample(waited, d.rng.randint(1, len(waited)) if waited else 0)):
        gap_ms = d.rng.randint(*AGENT_GAP_MS)
        d.add("agent", "backchannel", d.rng.choice(AGENT_BACKCHANNELS), gap_ms, after=turn, word=end)
    d.reply(intent, slot)


def _aside(d: Draft) -> None:
    d.add("user", "aside", d.pick(ASIDES, "asides"), level_db=-3.0)
    d.idle_ms += d.rng.randint(500, 3000)


def _background(d: Draft) -> None:
    text = d.rng.choice((d.question()[2], f"{d.rng.choice(TALES)} {d.rng.choice(TALES)}"))
    d.add("other", "background", text, level_db=round(d.rng.uniform(-26, -18), 1))
    d.idle_ms += d.rng.randint(500, 2000)


def _noise(d: Draft) -> None:
    d.add("user", "noise", "", level_db=round(d.rng.uniform(-20, 0), 1))
    d.idle_ms += d.rng.randint(500, 3000)


def _correction(d: Draft) -> None:
    intent, slot, text = d.question(lambda i: len(i.slots) > 1 and i.name != "repeat")
    meant = d.rng.choice([other for other in intent.slots if other != slot])
    fix = d.pick(CORRECTIONS, "corrections").format(x=meant[0])
    known: dict[str, Any] = {"intent": intent.name, "expect": meant[1]}
    if d.rng.random() < 0.5:  # in one breath
        d.add("user", "question", f"{text} {fix}", **known)
    else:
        d.add("user", "question", text, intent=intent.name, expect=slot[1])
        d.reply(intent, slot)
        d.add("user", "question", fix, d.rng.randint(200, 1000), **known)
    d.reply(intent, meant)


def _silence(d: Draft) -> None:
    idle_ms = d.rng.randint(5_000, 15_000)
    d.idle_ms += idle_ms
    d.seconds += idle_ms / 1000


PLAYED: dict[str, Callable[[Draft], None]] = {
    "answer": _answer,
    "pause": _pause,
    "interrupt": _interrupt,
    "backchannel": _backchannel,
    "listening": _listening,
    "aside": _aside,
    "background": _background,
    "noise": _noise,
    "correction": _correction,
    "silence": _silence,
}
QUIET = {"aside", "background", "noise", "silence"}
