"""The check of nano judges made-up channels as it should, and plays agents that are known to the sample."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.progress import Progress

from duplex.agents import open_agent
from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE, Frame
from duplex.recording import Recording
from duplex.session import Agent
from duplex.turns import Span
from eval.metrics.speech import windows
from weights.check.cases import first_scene
from weights.check.families import FAMILIES, judged, played
from weights.check.hearing import Hearing, Scale
from weights.check.judge import overlap_s, response_ms, stop, takes_over, talks
from weights.check.long import minute
from weights.check.play import Take, play
from weights.check.table import Miss, Row, as_markdown, rate, wilson
from weights.check.ticks import tick_times_ms
from weights.check.turns import answer, answer_rows
from weights.check.unusual import babble
from weights.check.users import Cue, Saying, Script, User
from weights.check.words import edits, is_a_reply, is_right, normalised, replies, word_errors
from weights.dialogue import Line
from weights.intents import Intent

CAPITAL = Intent("capital", ("",), "The capital of {x} is {y}.", (("France", "Paris"), ("Italy", "Rome")))
PLUS = Intent("plus", ("",), "{x} is {y}.", (("two plus two", "four"), ("four plus two", "six"), ("two", "forty four")))
COUNT = Intent("count", ("",), "{y}.", (("five", "one, two, three, four, five"), ("four", "one, two, three, four")))
NAME = Intent("name", ("",), "My name is Nano.")
WHO = Intent("who", ("",), "I am Nano, a small voice that listens while it speaks.")
KNOWN = replies({i.name: i for i in (CAPITAL, PLUS, COUNT, NAME, WHO)})
AIR = np.zeros(FRAME_SAMPLES, np.float32)


def sound(*spans: tuple[float, float], seconds: float = 10.0) -> np.ndarray:
    """A tone in [begin, end) seconds, float32 [n]."""
    clock = np.arange(round(seconds * SAMPLE_RATE))
    on = np.zeros(len(clock), bool)
    for begin, end in spans:
        on |= (clock >= begin * SAMPLE_RATE) & (clock < end * SAMPLE_RATE)
    return np.where(on, 0.2 * np.sin(2 * np.pi * 220 * clock / SAMPLE_RATE), 0).astype(np.float32)


def span(begin: float, end: float) -> Span:
    return Span(round(begin * SAMPLE_RATE), round(end * SAMPLE_RATE))


def saying(seconds: float, cue: Cue, text: str = "What is your name?") -> Saying:
    pcm = sound((0, seconds), seconds=seconds)
    return Saying(Line("user", "question", text, "answer", intent="name"), pcm, len(pcm), cue)


def script(*sayings: Saying, name: str = "trial", limit_s: float = 20.0, settles: bool = True) -> Script:
    return Script(name, 1, sayings, AIR, limit_s, settles)


def take(agent: np.ndarray, *sayings: Saying, begins: tuple[float, ...] = (), crash: str = "") -> Take:
    starts = tuple(round(at * SAMPLE_RATE) for at in begins)
    return Take(script(*sayings), agent, ((0, "My name "), (FRAME_SAMPLES, "is Nano.")), starts, crash)


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("2 + 3 is 5.", "two plus three is five"),
        ("7-2 = 5", "seven minus two is five"),
        ("1-2-3-4", "one two three four"),
        ("It's about 400,000 kilometres.", "it is about four hundred thousand kilometers"),
        ("1, 2,3", "one two three"),
        ("Cat is spelled C. A. T.", "cat is spelled cat"),
        ("C-A-T", "cat"),
        ("She sells seashells by the seashore.", "she sells sea shells by the sea shore"),
        ("I can't, I'm a grey well-known colour!", "i can not i am a gray well known color"),
        ("8x6 is 48, 2 x 3 is 6.", "eight times six is forty eight two times three is six"),
        ("Water vapour in the savannah.", "water vapor in the savanna"),
    ],
)
def test_what_sounds_alike_is_alike(written: str, spoken: str) -> None:
    assert normalised(written) == tuple(spoken.split())


def test_word_errors() -> None:
    assert edits(["a", "b", "c"], ["a", "x", "c", "d"]) == 2
    assert word_errors([("one two three", "1 2 4"), ("four", "")]) == 0.5
    assert word_errors([]) is None


@pytest.mark.parametrize(
    ("said", "intent", "expect", "right"),
    [
        ("The capital of France is Paris.", CAPITAL, "Paris", True),
        ("The capitol of France, is Paris!", CAPITAL, "Paris", True),
        ("The capital of France is Rome.", CAPITAL, "Paris", False),
        ("The capital of Italy is Rome. Paris", CAPITAL, "Paris", False),
        ("", CAPITAL, "Paris", False),
        ("2 plus 2 is 4", PLUS, "four", True),
        ("Four plus two is six.", PLUS, "four", False),  # the answer is heard, in the question's place
        ("1, 2, 3, 4, 5", COUNT, "one, two, three, four", False),
        ("1, 2, 3, 4", COUNT, "one, two, three, four", True),
        ("My name is Nano.", NAME, "", True),
        ("My name's Nano", NAME, "", True),
        ("My name is Nano.", WHO, "", False),
        ("I am a small voice that listens.", WHO, "", True),
        ("Something else altogether.", WHO, "", False),
    ],
)
def test_right_content(said: str, intent: Intent, expect: str, right: bool) -> None:
    assert is_right(said, intent, expect, KNOWN) is right


def test_any_reply_is_known_from_babble() -> None:
    assert is_a_reply("The capital of Italy is Paris.", KNOWN)
    assert not is_a_reply("The the is is a of my my name capital two small is is four", KNOWN)


# --- channels ---------------------------------------------------------------------------------------------------------


def test_sentences_of_one_reply_are_one_talk_and_clicks_are_none() -> None:
    assert len(talks(sound((1, 2), (2.3, 3), (3.9, 4.5), (6, 6.05)))) == 2


def test_a_response_is_signed_and_late_ones_are_none() -> None:
    user = span(1, 2)
    assert response_ms(sound((2.3, 3)), user) == pytest.approx(300, abs=10)
    assert response_ms(sound((1.8, 3)), user) == pytest.approx(-200, abs=10)
    assert response_ms(sound((5.2, 6)), user) is None
    assert response_ms(sound((0.2, 0.8)), user) is None


def test_a_takeover_begins_in_the_pause_or_after() -> None:
    pause, end = round(2 * SAMPLE_RATE), round(4 * SAMPLE_RATE)
    assert takes_over(sound((2.5, 3)), pause, end) and takes_over(sound((3.5, 5)), pause, end)
    assert not takes_over(sound((4.2, 5)), pause, end) and not takes_over(sound((0.5, 1)), pause, end)


def test_a_stop_counts_from_the_users_onset() -> None:
    onset = round(3 * SAMPLE_RATE)
    met = stop(sound((1, 3.4)), onset, round(9 * SAMPLE_RATE))
    assert met.yielded and met.latency_ms == pytest.approx(400, abs=10)
    assert not stop(sound((1, 5.5)), onset).yielded
    assert stop(sound((1, 2.9), (3.2, 5.2)), onset).void == ""  # between two sentences it is still talking
    assert stop(sound((1, 2)), onset).void and stop(sound((4, 5)), onset).void
    assert stop(sound((1, 3.4)), onset, round(3.5 * SAMPLE_RATE)).void == "its reply had ended"


def test_overlap() -> None:
    assert overlap_s([span(1, 3), span(4, 5)], span(2, 4.5)) == pytest.approx(1.5)


# --- users ------------------------------------------------------------------------------------------------------------


def test_a_user_speaks_when_he_has_his_cue() -> None:
    user = User(script(saying(1.0, Cue("start", 500)), saying(0.5, Cue("onset", 1000))))
    agent = sound((2.0, 9.0), seconds=20.0)
    heard = []
    for t in range(200):
        if user.over(t):
            break
        heard.append(user.say(t))
        user.hear(agent[t * FRAME_SAMPLES : (t + 1) * FRAME_SAMPLES])
    first, second = user.begins
    assert first == 0.5 * SAMPLE_RATE
    assert second / SAMPLE_RATE == pytest.approx(2.08 + 1.0, abs=0.011)  # its frames sound one tick later
    spoken = np.flatnonzero(np.abs(np.concatenate(heard)) > 0.01)
    assert spoken[0] == pytest.approx(first, abs=50) and spoken[-1] == pytest.approx(second + 12_000, abs=50)
    assert len(heard) / 12.5 == pytest.approx(3.58 + 3.0, abs=0.2)  # the agent went on: the window passes


def test_a_user_gives_up_and_a_session_may_last() -> None:
    gone = User(script(saying(1.0, Cue("start", 0)), saying(1.0, Cue("onset", 500))))
    stays = User(script(limit_s=2.0, settles=False))
    for t in range(60):
        for user in (gone, stays):
            user.say(t)
            user.hear(AIR)
    assert not gone.over(49) and gone.over(50) and len(gone.begins) == 1
    assert not stays.over(24) and stays.over(25)


def test_scenes_are_cut_out_of_dialogues() -> None:
    def line(kind: str, scene: str, who: str = "user") -> Line:
        return Line(who, kind, kind, scene)  # type: ignore[arg-type]

    asks, says = line("question", "answer"), line("reply", "answer", "agent")
    lines = [line("aside", "aside"), asks, says, asks, says, line("noise", "noise")]
    assert first_scene(lines, "answer") == (asks, says)
    assert first_scene(lines, "pause") == ()


# --- agents known to the sample ---------------------------------------------------------------------------------------


def run(agent: Agent, *scripts: Script, rows: int = 4, keep: Path | None = None) -> list[Take]:
    return asyncio.run(play(agent, scripts, rows, keep))


def test_the_scripted_agent_is_measured_as_it_is(tmp_path: Path) -> None:
    agent = open_agent("scripted", {"respond_after_ms": 300.0, "stop_after_ms": 200.0, "reply_ms": 6000.0, "seats": 2})
    asks = saying(1.0, Cue("start", 730))
    speaks = script(asks, saying(2.0, Cue("onset", 1500)), name="cut")
    takes = run(agent, script(asks), speaks, script(asks, name="c"), rows=2, keep=tmp_path)
    for one in takes:
        user = one.span(0)
        assert user and response_ms(one.agent, user) == pytest.approx(300 + 80, abs=10)
    user = takes[1].span(1)
    assert user and stop(takes[1].agent, user.begin).latency_ms == pytest.approx(200 + 80, abs=10)
    assert takes[1].script is speaks and takes[1].text_between(0) == "tonetone"
    assert np.allclose(Recording.open(tmp_path / "cut").agent, takes[1].agent, atol=1e-3)


class _Breaks:
    """A session that fails in its fifth tick."""

    def __init__(self) -> None:
        self.closed = False

    async def step(self, heard: Frame) -> Frame:
        if heard.t == 5:
            raise RuntimeError("broken")
        return heard

    async def close(self) -> None:
        self.closed = True


class _Breaking:
    capabilities = None

    async def open(self, config: object) -> _Breaks:
        return _Breaks()

    async def close(self) -> None: ...


def test_a_crash_is_a_result() -> None:
    (broken,) = run(_Breaking(), script(saying(1.0, Cue("start", 0))))  # type: ignore[arg-type]
    assert "broken" in broken.crash and len(broken.agent) == 6 * FRAME_SAMPLES


def test_every_tick_is_timed() -> None:
    times = asyncio.run(tick_times_ms(open_agent("echo", {"seats": 3}), 3, 5))
    assert times.shape == (5,) and (times >= 0).all()


def test_from_plans_to_a_table_with_an_agent_that_answers_every_pause() -> None:
    families = [FAMILIES["pause"], FAMILIES["aside"]]
    agent = open_agent("scripted", {"respond_after_ms": 200.0, "seats": 8})
    with Progress(console=Console(quiet=True)) as progress:
        both = asyncio.run(played(agent, families, Scale(n=1), None, progress))
        found = judged(families, both, Hearing(lambda pcm: "My name is Nano."), progress)
    rows = found["pause"] + found["aside"]
    assert [(row.n, row.ok) for row in rows] == [(2, False), (1, None), (1, None)]
    assert [miss.heard for miss in rows[0].misses] == ["My name is Nano."] * len(rows[0].misses) != []


def test_an_agent_that_always_stops_is_measured_against_its_own_reply() -> None:
    settings = {"respond_after_ms": 700.0, "stop_after_ms": 200.0, "reply_ms": 7000.0, "seats": 8}
    families = [FAMILIES["interrupt"]]
    with Progress(console=Console(quiet=True)) as progress:
        both = asyncio.run(played(open_agent("scripted", settings), families, Scale(n=2), None, progress))
        yields, latency = judged(families, both, Hearing(lambda pcm: "Mumble."), progress)["interrupt"]
    first, second = both[0]
    assert len(first) == 3 and 0 < len(second) == yields.n  # a noisy line leaves this agent no pause to answer in
    assert yields.value == 100.0 and latency.value == pytest.approx(200 + 80, abs=80)  # soft onsets


# --- rows -------------------------------------------------------------------------------------------------------------


def hearing(said: str) -> Hearing:
    return Hearing(lambda pcm: said, KNOWN)


def test_an_answer_is_judged_by_its_sound() -> None:
    asked = saying(1.0, Cue("start", 1000))
    good = answer(take(sound((2.3, 4)), asked, begins=(1.0,)), 0, hearing("My name is Nano."))
    assert (good.right, good.why) == (True, "") and good.latency_ms == pytest.approx(300, abs=10)
    bad = answer(take(sound((2.3, 4)), asked, begins=(1.0,)), 0, hearing("Mumble."))
    assert (bad.right, bad.right_text) == (False, False)  # the text came before the question
    assert answer(take(sound(), asked, begins=(1.0,)), 0, hearing("My name is Nano.")).why == "no answer"


def test_right_answers_are_counted_by_voice() -> None:
    asked = saying(1.0, Cue("start", 1000))
    heard = [("joe", "My name is Nano."), ("flite rms", "Mumble."), ("joe", "Mumble."), ("", "My name is Nano.")]
    answers = []
    for who, said in heard:
        talk = take(sound((2.3, 4)), asked, begins=(1.0,))
        talk = replace(talk, script=replace(talk.script, who=who))
        answers.append(answer(talk, 0, hearing(said)))
    assert answer_rows(answers)[0].note.endswith("; flite rms 0 of 1; joe 1 of 2")


def test_babble_is_long_and_no_reply() -> None:
    asked = saying(1.0, Cue("start", 1000))
    long, short = (take(sound((2.3, end)), asked, begins=(1.0,)) for end in (9.0, 5.0))
    assert babble(long, hearing("My name is Nano.")) == ""
    assert babble(long, hearing("Of of of of the the name.")) == "babbled for 6.7 s"
    assert babble(short, hearing("Of of of of the the name.")) == ""
    assert babble(take(sound((2.3, 9.0))), hearing("My name is Nano."))  # nobody had asked
    over = take(sound((1, 8.5)), saying(9.0, Cue("start", 0)), begins=(0.0,))
    assert babble(over, hearing("My name is Nano.")) == "talked over the user for 7.5 s"


def test_a_minute_holds_the_questions_that_could_be_answered() -> None:
    asks = [saying(1.0, Cue("quiet", 0)) for _ in range(4)]
    talk = take(sound((2.2, 3), (5.2, 6)), *asks, begins=(1.0, 4.0, 7.0, 9.5))
    first = minute([talk], 0, 6, hearing("My name is Nano."))
    assert (len(first.answers), first.response) == (2, 100.0)
    assert str(minute([talk], 6, 10, hearing(""))) == "0 of 1 answered, 0 right"


def test_unprompted_speech_is_counted_by_the_minute() -> None:
    quiet, loud = take(sound(seconds=30)), take(sound((1, 2), (8, 9), seconds=30))
    (row,) = FAMILIES["quiet"].rows([quiet, loud], [], hearing("Hello."))
    assert (row.value, row.n, row.ok, len(row.misses)) == (2.0, 2, False, 1)


def test_overlaps_are_judged_against_the_reply_alone() -> None:
    asks, cuts = saying(1.0, Cue("start", 0)), saying(1.0, Cue("onset", 2000))
    alone = take(sound((1.3, 9.0)), asks, begins=(0.0,))
    brief = replace(take(sound((1.3, 2.0)), asks, begins=(0.0,)), script=script(asks, name="brief"))

    def again(agent: np.ndarray) -> Take:
        return replace(take(agent, asks, cuts, begins=(0.0, 3.3)), script=script(asks, cuts, name="trial+"))

    family = FAMILIES["interrupt"]
    yields, latency = family.rows([alone, brief], [again(sound((1.3, 3.6)))], hearing("My name is Nano."))
    assert (yields.value, yields.n, latency.value) == (100.0, 1, pytest.approx(300, abs=10))
    assert [miss.void for miss in yields.misses] == [True]
    went_on, _ = family.rows([alone], [again(sound((1.3, 9.0)))], hearing(""))
    assert (went_on.value, went_on.misses[0].why) == (0.0, "went on talking")
    (kept,) = FAMILIES["backchannel"].rows([alone], [again(sound((1.3, 9.0)))], hearing(""))
    assert (kept.value, kept.ok) == (100.0, True)


def test_rows_know_their_bounds_and_intervals() -> None:
    assert Row("a", 5.0, "ms", 3, ("<=", 5.0)).ok and not Row("a", 5.1, "ms", 3, ("<=", 5.0)).ok
    assert Row("a", None, "ms", 0, ("<=", 5.0)).ok is False and Row("a", 1.0, "ms", 1).ok is None
    assert wilson(0, 0) is None and wilson(20, 20) == (83.9, 100.0)
    missed = Miss("t-1", "What?", "Paris", "Rome", "wrong", about="a whisper")
    text = as_markdown([rate("right", 1, 2, (">=", 85), "", [missed])], {"seed": 3})
    assert "| right | 2 | 50 % | 9.5 to 90.5 | >= 85 | NOT OK |  |" in text
    assert '- `t-1` wrong; asked "What?"; expected "Paris"; heard "Rome"; a whisper' in text


def test_a_short_clip_is_repeated_to_a_whole_window() -> None:
    found = list(windows(sound((0, 2), seconds=2.0)))
    assert found and {len(window) for window in found} == {144_160}
