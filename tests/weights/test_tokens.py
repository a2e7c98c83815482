"""Dialogues as tokens: every stream on the agent's own ticks, spliced as if rendered and encoded whole, resumable."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from duplex.engine.text import END_OF_PAD, PAD, InnerMonologue, Vocabulary
from duplex.frame import FRAME_SAMPLES, SAMPLE_RATE
from duplex.recording import Recording
from tests.engine.tiny import write_tiny
from weights import tokens
from weights.dialogue import Dialogue, Line
from weights.ear import Ear, open_ear
from weights.intents import intents
from weights.plan import plan
from weights.sayings import bare
from weights.shards import NoTokens, TokenData, read_format, written
from weights.splice import Splicer, own_tick
from weights.synth import place, render
from weights.text import CARD, Encode, agent_texts, layout, open_tokenizer, train_tokenizer
from weights.tokens import Job, of_recording, prepare, work
from weights.vocabulary import OTHER_WORD, user_words, vocabulary

K = 4
LONG = intents()["x_rain"].reply
PIECES = {"one": [10], "two": [11, 12], "three": [13, 14, 15]}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder with a Mimi of 4 codebooks, and our own tokenizer in it."""
    folder = write_tiny(tmp_path_factory.mktemp("tiny"))
    train_tokenizer(agent_texts(), folder / "ours.model")
    return folder


@pytest.fixture(scope="module")
def ear(tiny: Path) -> Ear:
    return open_ear(tiny, K)


@pytest.fixture(scope="module")
def encode(tiny: Path) -> Encode:
    return open_tokenizer(tiny / "ours.model")


@pytest.fixture(scope="module")
def splicer(ear: Ear, encode: Encode) -> Splicer:
    return Splicer(ear, encode, {word: i for i, word in enumerate(vocabulary())})


def dialogue(*lines: Line) -> Dialogue:
    quiet = dataclasses.replace(plan(0).channel, snr_db=60.0, level_db=0.0, room_ms=0, telephone=False)
    return dataclasses.replace(plan(0), lines=lines, channel=quiet, rest_ms=1000)


ASKED = dialogue(
    Line("user", "question", "What is the capital of Norway?", "answer", gap_ms=777),
    Line("agent", "reply", "The capital of Norway is Oslo.", "answer", after=0, gap_ms=100),
)
INTERRUPTED = dialogue(
    Line("agent", "reply", LONG, "interrupt", gap_ms=500),
    Line("user", "interruption", "Stop!", "interrupt", after=0, word=9, stops=0),
)


# --- text -------------------------------------------------------------------------------------------------------------


def test_words_stand_where_they_begin() -> None:
    text = layout([(1, "two", 12), (3, "three", 12), (4, "one", 12), (9, "one", 12)], 12, PIECES.__getitem__)
    assert text.tolist() == [END_OF_PAD, 11, 12, 13, 14, 15, 10, PAD, END_OF_PAD, 10, PAD, PAD]


def test_what_does_not_fit_is_left_out() -> None:
    text = layout([(0, "one", 9), (2, "three", 4), (4, "two", 4), (8, "three", 99)], 9, PIECES.__getitem__)
    assert text.tolist() == [10, END_OF_PAD, 13, 14, PAD, PAD, PAD, END_OF_PAD, 13]
    assert layout([(-1, "one", 3)], 3, PIECES.__getitem__).tolist() == [10, PAD, PAD]


def test_the_tokenizer_says_what_was_meant(tiny: Path, encode: Encode) -> None:
    vocabulary = Vocabulary(tiny / "ours.model")
    for text in ("The capital of Norway is Oslo.", "Cat is spelled C. A. T.", "Qatar, Xavier, Zwolle!", LONG):
        monologue = InnerMonologue(vocabulary)
        ids = [piece for word in text.split() for piece in encode(word)]
        assert not {PAD, END_OF_PAD} & set(ids) and max(ids) < CARD
        assert "".join(monologue.push(piece) for piece in ids).strip() == text


def test_the_tokenizer_is_the_same_every_time(tiny: Path, tmp_path: Path) -> None:
    again = train_tokenizer(agent_texts(), tmp_path / "again.model")
    assert again.read_bytes() == (tiny / "ours.model").read_bytes()
    with pytest.raises(ValueError, match="9000 pieces"):
        train_tokenizer(["too little"], tmp_path / "no.model", card=9000)


# --- one dialogue -----------------------------------------------------------------------------------------------------


def test_the_index_says_where_the_agent_is_late(splicer: Splicer) -> None:
    """From 160 ms after the question to the tick before the reply, and from three ticks of interruption on."""
    asked, reply = ASKED.lines
    slow = dialogue(asked, dataclasses.replace(reply, gap_ms=900))
    question, answer = place(slow)
    ((begin, end),) = splicer.tokens(slow).info["late"]
    assert end == own_tick(answer.begin) - 1
    assert question.end + 0.16 * SAMPLE_RATE <= (begin + 2) * FRAME_SAMPLES < question.end + 0.24 * SAMPLE_RATE
    assert splicer.tokens(ASKED).info["late"] == []
    told, stops = INTERRUPTED.lines
    slow = dialogue(told, dataclasses.replace(stops, stop_ticks=8))
    ((begin, end),) = splicer.tokens(slow).info["late"]
    cut = [own_tick(place(d)[0].end) for d in (INTERRUPTED, slow)]
    assert cut[1] - cut[0] == end - begin == 5 and end == cut[1] - 1
    assert splicer.tokens(INTERRUPTED).info["late"] == []
    doubtful = dialogue(told, dataclasses.replace(stops, stop_ticks=8, doubt_ticks=5))  # what goes on is learnt
    assert splicer.tokens(doubtful).info["late"] == []


def test_the_agent_answers_on_its_own_ticks(splicer: Splicer, encode: Encode, ear: Ear) -> None:
    """It begins to speak one tick before that is heard, and not before the user has finished."""
    made, (asked, reply) = splicer.tokens(ASKED), place(ASKED)
    codes = made.codes
    assert codes.dtype == np.int16 and codes.shape[1] == 1 + 2 * K
    begin = own_tick(reply.begin)
    assert begin == reply.begin // FRAME_SAMPLES - 1 and begin > (asked.end - 1) // FRAME_SAMPLES
    loud = (codes[:, 1 : 1 + K] != ear.silence).any(1)
    assert not loud[:begin].any() and loud[begin : own_tick(reply.end)].mean() > 0.7
    first = own_tick(reply.begin + reply.clip.words[0].begin)
    assert codes[first - 1 : first + 2, 0].tolist() == [END_OF_PAD, *encode("The")[:1], codes[first + 1, 0]]
    assert [t for t in codes[:, 0].tolist() if t not in (PAD, END_OF_PAD)] == [
        piece for word in reply.line.text.split() for piece in encode(word)
    ]
    assert made.info["replies"] == [begin]
    (first_begin, first_end), (_, last_end) = made.info["spoken"]
    assert first_begin < asked.begin // FRAME_SAMPLES and first_end >= begin and last_end >= own_tick(reply.end)


def test_the_users_words_are_known_when_they_are_over(splicer: Splicer) -> None:
    made, (asked, _) = splicer.tokens(ASKED), place(ASKED)
    words = vocabulary()
    marked = [(int(t), words[made.words[t]]) for t in np.flatnonzero(made.words)]
    assert [word for _, word in marked] == [bare(word) for word in asked.line.text.split()]
    ends = [asked.begin + word.end for word in asked.clip.words]
    assert all(0 <= t * FRAME_SAMPLES - end < 2 * FRAME_SAMPLES for (t, _), end in zip(marked, ends, strict=True))


def test_splicing_is_rendering(splicer: Splicer, ear: Ear, encode: Encode, tmp_path: Path) -> None:
    """Against the whole dialogue as a Recording: the same length and text; the codes agree best without a shift."""
    render(ASKED, tmp_path / "d")
    whole = of_recording(Recording.open(tmp_path / "d"), "d", ear, encode)
    made = splicer.tokens(ASKED)
    assert whole and whole.codes.shape == made.codes.shape
    assert (whole.codes[:, 0] == made.codes[:, 0]).all()
    asked, reply = place(ASKED)
    said = (slice(1, 1 + K), range(own_tick(reply.begin), own_tick(reply.end)))
    heard = (slice(1 + K, None), range(asked.begin // FRAME_SAMPLES, asked.end // FRAME_SAMPLES))
    for streams, ticks in (said, heard):
        at = np.array(ticks)
        same = [float((whole.codes[at, streams] == made.codes[at + by, streams]).mean()) for by in (-1, 0, 1)]
        assert same[1] > 0.9 and same[1] > max(same[0], same[2]) + 0.15


def test_an_interrupted_reply_falls_silent(splicer: Splicer, ear: Ear) -> None:
    made, (reply, _) = splicer.tokens(INTERRUPTED), place(INTERRUPTED)
    assert reply.cut
    end = own_tick(reply.end)
    whole = splicer.tokens(dialogue(INTERRUPTED.lines[0])).codes
    assert (made.codes[: end - 1, 1 : 1 + K] == whole[: end - 1, 1 : 1 + K]).all()
    assert (made.codes[end - 1 :, 1 : 1 + K] == ear.silence).all() and (whole[end - 1, 1 : 1 + K] != ear.silence).any()
    assert (made.codes[end:, 0] == PAD).all() and (made.codes[end - 10 : end, 0] != PAD).any()


def test_a_reply_has_always_the_same_codes(splicer: Splicer) -> None:
    later = dataclasses.replace(ASKED, lines=(dataclasses.replace(ASKED.lines[0], gap_ms=1234), ASKED.lines[1]))
    one, other = splicer.tokens(ASKED), splicer.tokens(later)
    a, b = one.info["replies"][0], other.info["replies"][0]
    assert a != b and (one.codes[a : a + 20, : 1 + K] == other.codes[b : b + 20, : 1 + K]).all()


def test_silence_settles(ear: Ear) -> None:
    assert ear.silence_share == 1.0
    assert (ear.codes(np.zeros(60 * FRAME_SAMPLES, np.float32))[-1] == ear.silence).all()


def test_a_long_signal_is_encoded_as_one(ear: Ear) -> None:
    pcm = (np.random.default_rng(0).standard_normal(23 * FRAME_SAMPLES) * 0.1).astype(np.float32)
    assert (ear.stream(pcm, 5) == ear.codes(pcm)).all()
    assert ear.stream(pcm[:0], 5).shape == (0, K)


def test_every_word_of_the_user_is_in_the_list(splicer: Splicer) -> None:
    listed = set(vocabulary())
    for split in ("train", "test"):
        said = {
            bare(w) for seed in range(60) for x in plan(seed, split).lines if x.who == "user" for w in x.text.split()
        }
        assert said <= listed
    assert user_words(["Oh, oh. Yes!"]) == ["", "?", "oh", "yes"] and OTHER_WORD == 1


# --- a set ------------------------------------------------------------------------------------------------------------


def job(tiny: Path, out: Path, **changes: object) -> Job:
    return dataclasses.replace(Job(tiny, tiny / "ours.model", out, codebooks=K, minutes=0.5), **changes)


def test_a_set_is_made_resumed_and_extended(tiny: Path, tmp_path: Path, ear: Ear) -> None:
    one = job(tiny, tmp_path / "o")
    prepare(one)
    ticks = work(one, 0)
    assert ticks >= 0.5 * 750 and len(list(written(one.out))) == 1
    shard = next(one.out.glob("*/codes.i16"))
    begin = shard.read_bytes()
    assert work(one, 0) == 0
    shard.write_bytes(begin + b"half a dialogue")
    with (shard.parent / "index.jsonl").open("a") as index:
        index.write('{"begin": 1, "en')
    longer = dataclasses.replace(one, minutes=1.0)
    prepare(longer)
    more = work(longer, 0)
    assert shard.read_bytes()[: len(begin)] == begin
    assert shard.stat().st_size == (ticks + more) * (1 + 2 * K) * 2
    seeds = [line["seed"] for line in written(one.out)]
    assert len(seeds) > 1 and seeds == list(range(len(seeds)))
    data = TokenData([one.out])
    assert data.frames == ticks + more and data.format.silence == tuple(ear.silence.tolist())
    assert data.words == read_format(one.out)[1] == vocabulary()


def test_two_workers_share_the_work(tiny: Path, tmp_path: Path) -> None:
    both = job(tiny, tmp_path / "o", minutes=0.7, workers=2, split="test", seed=3)
    prepare(both)
    for worker in (0, 1):
        work(both, worker)
    assert [line["seed"] - 3_000_000 for line in written(both.out)] == [0, 1]
    assert sorted(path.name for path in both.out.glob("*-*")) == ["test-3-0", "test-3-1"]


def test_recordings_become_tokens(tiny: Path, tmp_path: Path) -> None:
    for name in ("a", "b/c"):
        (tmp_path / "r" / name).parent.mkdir(parents=True, exist_ok=True)
        render(ASKED, tmp_path / "r" / name)
    one = job(tiny, tmp_path / "o", recordings=tmp_path / "r")
    arguments = ["--mimi", str(tiny), "--tokenizer", str(tiny / "ours.model"), "--out", str(one.out)]
    arguments += ["--recordings", str(tmp_path / "r"), "--codebooks", str(K), "--processes", "1"]
    assert tokens.main(arguments) == 0 and tokens.main(arguments) == 0
    assert [line["id"] for line in written(one.out)] == ["a", "b/c"]
    assert TokenData([one.out]).first(2, 50).codes.shape == (2, 1 + 2 * K, 50)


def test_tokens_of_another_codec_are_refused(tiny: Path, tmp_path: Path) -> None:
    prepare(job(tiny, tmp_path / "o"))
    with pytest.raises(NoTokens, match="another codec"):
        prepare(job(tiny, tmp_path / "o", codebooks=3))
