"""The data of nano: plans say what they should, sound lies where the labels say, and a seed gives the same bytes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest

from duplex.frame import FRAME_SAMPLES, PLAYOUT_LAG, SAMPLE_RATE
from duplex.recording import Recording
from duplex.turns import levels_db
from weights.air import Channel
from weights.dialogue import Dialogue, Line
from weights.intents import UNKNOWN, Split, intents, number, sentences
from weights.plan import DRILLS, plan
from weights.sayings import bare, section
from weights.scenes import (
    DOUBT_TICKS,
    LATE_GAP_MS,
    LATE_SHARE,
    LONG_PAUSE_MS,
    PLAIN_SHARE,
    SCENES,
    SENTENCE_END_SHARE,
    SLOTS_SHARE,
    STOPS,
    Draft,
)
from weights.synth import FADE_SAMPLES, Placed, make, own_ticks, place, render
from weights.voices import AGENT, PITCHES, Clip, HibariSpeaker, Voice, speaker, voices

CLEAN = Channel(level_db=0.0, snr_db=40.0, tilt=0.0, room_ms=0, telephone=False)
LONG = intents()["x_rain"].reply


@pytest.fixture(scope="module")
def plans() -> list[Dialogue]:
    return [plan(seed) for seed in range(300)]


def dialogue(*lines: Line, channel: Channel = CLEAN) -> Dialogue:
    return Dialogue(0, "train", Voice(pitch=0.74), Voice(pitch=1.2), channel, lines, 1000)


# --- texts ------------------------------------------------------------------------------------------------------------


def test_there_is_enough_to_talk_about() -> None:
    assert len(intents()) >= 150
    assert min(len(set(intent.wordings)) for intent in intents().values()) >= 3
    assert sum(intent.is_long for intent in intents().values()) >= 30
    assert [i.name for i in intents().values() if i.is_long and len(i.reply.split()) < 25] == []


def test_nobody_shares_words_across_the_split() -> None:
    train = {w for i in intents().values() for w in i.wordings_of("train")}
    test = {w for i in intents().values() for w in i.wordings_of("test")}
    assert train and test and not train & test


def test_a_wording_means_one_thing() -> None:
    asked = Counter(i.asked(w, s) for i in intents().values() for w in i.wordings for s in i.slots)
    assert [text for text, n in asked.items() if n > 1] == []


def test_numbers_and_sentences() -> None:
    assert [number(n) for n in (0, 7, 13, 20, 42)] == ["zero", "seven", "thirteen", "twenty", "forty two"]
    assert sentences("Cat is C. A. T. now. Yes! No?") == ["Cat is C. A. T. now.", "Yes!", "No?"]
    assert intents()["times"].answered(("six times seven", number(42))) == "Six times seven is forty two."


def test_every_word_of_the_agent_has_its_own_time() -> None:
    voice = HibariSpeaker()
    said = {s for i in intents().values() for slot in i.slots for s in sentences(i.answered(slot))}
    said |= {*section("sayings"), " ".join(section("words"))}
    counted = [(text, *map(len, voice.words_and_sounds(text))) for text in sorted(said)]
    assert [row for row in counted if row[1] != row[2]] == []


# --- voices -----------------------------------------------------------------------------------------------------------


def test_held_out_voices_differ_in_more_than_speed() -> None:
    bodies = [{(v.pitch, v.formant) for v in voices(split)} for split in ("train", "test")]
    assert len(bodies[0]) > len(bodies[1]) > len(PITCHES) and not bodies[0] & bodies[1]


def test_a_voice_says_the_same_thing_in_the_same_way() -> None:
    a, b = (speaker("hibari").speak("Good morning.", Voice(pitch=0.6, formant=0.9), seed=3) for _ in range(2))
    assert np.array_equal(a.pcm, b.pcm) and a.words == b.words
    assert not np.array_equal(a.pcm, speaker("hibari").speak("Good morning.", AGENT, seed=3).pcm[: len(a.pcm)])


@pytest.mark.parametrize("voice", [AGENT, Voice(speed=1.25, pitch=0.5, formant=0.82), Voice(pitch=0.0)])
def test_words_follow_each_other_and_are_where_it_sounds(voice: Voice) -> None:
    clip = speaker("hibari").speak("Red. Then comes a long pause, and then blue.", voice, seed=0)
    assert [w.text for w in clip.words] == ["Red.", "Then", "comes", "a", "long", "pause,", "and", "then", "blue."]
    assert all(a.begin < a.end <= b.begin for a, b in pairwise(clip.words))
    assert clip.words[0].begin < 0.1 * SAMPLE_RATE and len(clip.pcm) - clip.words[-1].end < 0.35 * SAMPLE_RATE
    gap = clip.pcm[clip.words[0].end : clip.words[1].begin]
    assert len(gap) > 0.2 * SAMPLE_RATE and np.sqrt(np.mean(gap**2)) < 0.2 * np.sqrt(np.mean(clip.pcm**2))


# --- plans ------------------------------------------------------------------------------------------------------------


def test_the_same_seed_plans_the_same() -> None:
    assert plan(5) == plan(5) != plan(6)
    assert plan(5, "test").lines != plan(5).lines


def test_scenes_come_in_their_shares(plans: list[Dialogue]) -> None:
    assert sum(SCENES.values()) == pytest.approx(1)
    assert {line.scene for d in plans for line in d.lines} == set(SCENES) - {"silence"}
    waits = [line for d in plans for line in d.lines if line.scene == "pause" and line.who == "user"]
    assert waits and all(line.pauses for line in waits)


def test_lines_point_back(plans: list[Dialogue]) -> None:
    for d in plans:
        for i, line in enumerate(d.lines):
            assert -1 <= line.after < i
            assert line.word == -1 or 0 <= line.word < len(d.lines[line.after].text.split())
            assert all(0 <= word < len(line.text.split()) for word, _ in line.pauses)


def test_the_agent_speaks_only_where_it_should(plans: list[Dialogue]) -> None:
    for d in plans:
        for line in d.lines:
            if line.who == "agent":
                asked = d.lines[line.after]
                assert asked.kind in ("question", "interruption", "tale"), line
                assert line.kind == "backchannel" or line.expect == asked.expect
        assert not any(line.kind == "greeting" for line in d.lines)
    assert plan(1, greeting=1.0).lines[0].kind == "greeting"


def test_many_dialogues_in_training_are_drills_in_questions_with_short_answers_or_in_long_replies() -> None:
    plans = [plan(seed) for seed in range(400)]
    overlap = [p for p in plans if {line.scene for line in p.lines} <= {"interrupt", "backchannel"}]
    assert len(overlap) / len(plans) == pytest.approx(DRILLS["interrupt", "backchannel"], abs=0.08)
    drills = [p for p in plans if {line.scene for line in p.lines} == {"answer"}]
    assert len(drills) / len(plans) == pytest.approx(DRILLS[("answer",)], abs=0.08)
    assert not any(intents()[line.intent].is_long for p in drills for line in p.lines if line.kind == "question")
    others = [{line.scene for line in plan(seed, "test").lines} == {"answer"} for seed in range(100)]
    assert sum(others) / len(others) < 0.1


def test_in_training_every_intent_is_asked_alike_and_some_more_for_their_slots() -> None:
    draft, plain = Draft(Random(0), "train", drill=True), 0
    asked: Counter[str] = Counter()
    for _ in range(8000):
        intent, slot, text = draft.question(lambda i: not i.is_long)
        asked[intent.name] += 1
        plain += text in {intent.asked(wording, slot) for wording in intent.wordings}
    assert PLAIN_SHARE < plain / 8000 < PLAIN_SHARE + 0.2  # one in eight of the others is plain, too
    short = {name: len(intent.slots) for name, intent in intents().items() if not intent.is_long}
    pairs = sum(slots for slots in short.values() if slots > 1)
    for slots in (1, len(intents()["times"].slots)):
        names = [name for name, count in short.items() if count == slots]
        share = (1 - SLOTS_SHARE) / len(short) + SLOTS_SHARE * slots / pairs * (slots > 1)
        assert sum(asked[name] for name in names) / 8000 == pytest.approx(share * len(names), rel=0.1)


def test_who_begins_like_a_backchannel_stops_the_agent_later(plans: list[Dialogue]) -> None:
    stops = [line for p in plans for line in p.lines if line.kind == "interruption"]
    openings = [bare(line.text.split()[0]) for line in stops]
    assert {"yes", "no"} <= {*openings} and 10 < sum(word in DOUBT_TICKS for word in openings) < len(stops) / 2
    assert [line.doubt_ticks for line in stops] == [DOUBT_TICKS.get(word, 0) for word in openings]
    assert all(line.stop_ticks - line.doubt_ticks in STOPS for line in stops)


def test_in_training_backchannels_are_said_where_sentences_end_more_often_than_by_chance(plans: list[Dialogue]) -> None:
    def share(plans: list[Dialogue]) -> float:
        """Of backchannels, those that come at the last word of a sentence, or one or two before."""
        said = [
            (p.lines[line.after].text.split(), line.word)
            for p in plans
            for line in p.lines
            if line.scene == "backchannel" and line.kind == "backchannel"
        ]
        assert len(said) > 60 and all(word is not None and word < len(words) - 4 for words, word in said)
        return sum(any(w.endswith((".", "?", "!")) for w in words[word : word + 3]) for words, word in said) / len(said)

    chance = share([plan(seed, "test") for seed in range(300)])
    assert chance < 0.4 < chance + (1 - chance) * SENTENCE_END_SHARE - 0.1 < share(plans)


def test_a_user_who_tells_something_pauses_for_long_only_where_the_agent_may_say_that_it_listens() -> None:
    for split in ("train", "test"):
        told = [p for seed in range(300) for p in [plan(seed, split)] if any(line.kind == "tale" for line in p.lines)]
        pauses = [dict(line.pauses) for p in told for line in p.lines if line.kind == "tale"]
        assert any(ms < LONG_PAUSE_MS[0] for each in pauses for ms in each.values()) == (split == "train")
        said = [(p.lines[line.after], line) for p in told for line in p.lines if line.who == "agent"]
        said = [(tale, line) for tale, line in said if line.kind == "backchannel"]
        assert said and all(dict(tale.pauses)[line.word] >= LONG_PAUSE_MS[0] for tale, line in said)


def test_what_no_intent_means_is_answered_in_training_alone() -> None:
    trained = [line for seed in range(100) for line in plan(seed).lines]
    unknown = [line for line in trained if line.intent == UNKNOWN.name]
    assert {line.text for line in unknown if line.who == "agent"} == {UNKNOWN.reply}
    assert any(line.text in section("unknown") for line in unknown)
    tested = [line for seed in range(100) for line in plan(seed, "test").lines]
    assert not any(line.intent == UNKNOWN.name for line in tested)


# --- sound ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("split", "on_time"), [("test", 1.0), ("train", 1 - LATE_SHARE)])
def test_the_agent_answers_on_a_frame_at_a_human_gap_and_sometimes_late_in_training(
    split: Split, on_time: float
) -> None:
    placed = [place(plan(seed, split)) for seed in range(8)]
    replies = [(p, dialogue[p.line.after]) for dialogue in placed for p in dialogue if p.line.kind == "reply"]
    assert all(p.begin % FRAME_SAMPLES == 0 for p, _ in replies)
    gaps_s = np.array([(p.begin - asked.end) / SAMPLE_RATE for p, asked in replies])
    shortest_s, on_time_s, longest_s = (
        (0.08, 0.32, 0.32) if split == "test" else (0.16, 0.24, (LATE_GAP_MS[1] + 80) / 1000)
    )
    assert gaps_s.min() >= shortest_s and gaps_s.max() <= longest_s
    assert (gaps_s < on_time_s + 1e-9).mean() == pytest.approx(on_time, abs=0.1)


def interrupted(stop_ticks: int = 3) -> tuple[Placed, Placed]:
    asks = Line("user", "interruption", "What is your name?", "interrupt", after=0, word=9, stops=0)
    stopped = replace(asks, stop_ticks=stop_ticks)
    reply, user = place(dialogue(Line("agent", "reply", LONG, "interrupt", gap_ms=500), stopped))
    return reply, user


def test_an_interrupted_reply_fades_and_ends_within_four_ticks() -> None:
    reply, user = interrupted()
    assert reply.cut and 3 <= (reply.end - user.begin) / FRAME_SAMPLES < 4
    later, user = interrupted(stop_ticks=5)
    assert later.cut and 5 <= (later.end - user.begin) / FRAME_SAMPLES < 6
    assert abs(float(reply.clip.pcm[-1])) < 1e-6
    whole = place(dialogue(Line("agent", "reply", LONG, "interrupt", gap_ms=500)))[0]
    kept = len(reply.clip.pcm) - FADE_SAMPLES
    assert np.array_equal(reply.clip.pcm[:kept], whole.clip.pcm[:kept])
    assert 9 < len(reply.clip.words) < len(whole.clip.words)


def test_a_pause_is_silent_and_as_long_as_planned() -> None:
    text = "What is the capital of France?"
    plain, paused = (
        place(dialogue(Line("user", "question", text, "pause", pauses=pauses)))[0].clip for pauses in ((), ((2, 700),))
    )
    assert len(paused.pcm) - len(plain.pcm) == 0.7 * SAMPLE_RATE
    assert not paused.pcm[paused.words[2].end : paused.words[2].end + int(0.7 * SAMPLE_RATE)].any()
    assert paused.words[3].begin - plain.words[3].begin == 0.7 * SAMPLE_RATE


def test_a_recording_holds_what_was_placed(tmp_path: Path) -> None:
    question = Line("user", "question", "What is your name?", "answer", gap_ms=400)
    planned = dialogue(question, Line("agent", "reply", "My name is Nano.", "answer", after=0, gap_ms=120))
    samples = render(planned, tmp_path / "a")
    recording = Recording.open(tmp_path / "a")
    asked, said = recording.meta["dialogue"]["lines"]
    assert (asked["begin"], said["begin"] % FRAME_SAMPLES) == (0.4 * SAMPLE_RATE, 0)
    assert recording.agent_text() == "My name is Nano."
    assert not recording.agent[: said["begin"]].any() and not recording.agent[said["end"] :].any()
    user, agent = own_ticks(recording)
    assert len(user) == len(agent) == samples == len(recording.ticks) * FRAME_SAMPLES
    clip: Clip = place(planned)[1].clip
    at = said["begin"] - PLAYOUT_LAG * FRAME_SAMPLES
    assert np.allclose(agent[at : at + len(clip.pcm)], clip.pcm, atol=1e-4)
    first = next(tick.t for tick in recording.ticks if tick.agent_text)
    assert first == (said["words"][0][1] // FRAME_SAMPLES) - PLAYOUT_LAG
    loud, quiet = (levels_db(recording.user[b:e]).max() for b, e in ((asked["begin"], asked["end"]), (0, 9000)))
    assert loud > -20 and quiet < -50


def test_the_same_seed_gives_the_same_bytes_and_a_set_is_resumed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        list(make(tmp_path / name, 1.0, 7, "test"))
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert len(files) >= 4 and not any(name.startswith(".") for name in files)
    assert [(tmp_path / "a" / f).read_bytes() for f in files] == [(tmp_path / "b" / f).read_bytes() for f in files]
    first = tmp_path / "a" / files[0]
    before = first.stat().st_mtime_ns, first.with_suffix(".wav").read_bytes()
    (tmp_path / "a" / files[-2]).unlink()  # a .jsonl: the last recording was not finished
    list(make(tmp_path / "a", 1.0, 7, "test"))
    assert (first.stat().st_mtime_ns, first.with_suffix(".wav").read_bytes()) == before
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == files
    assert (tmp_path / "a" / files[-2]).read_bytes() == (tmp_path / "b" / files[-2]).read_bytes()
