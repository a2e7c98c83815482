"""The real stages: whisper does not make things up, llama.cpp stops when told, hibari wastes no time."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import hibari
import numpy as np
import pytest
from scipy.signal import resample_poly

from duplex.agents.cascade.config import PERSONA, LlmConfig, SttConfig
from duplex.agents.cascade.llm import LanguageModelError, Llama
from duplex.agents.cascade.stt import Whisper, is_nonsense, loops
from duplex.agents.cascade.tts import Hibari, trimmed

HELLO = [{"role": "system", "content": PERSONA}, {"role": "user", "content": "Tell me about the sea."}]


@pytest.fixture(scope="module")
def whisper() -> Iterator[Whisper]:
    whisper = Whisper(SttConfig())
    yield whisper
    whisper.close()


@pytest.fixture(scope="module")
def llama() -> Iterator[Llama]:
    llama = Llama(LlmConfig(context_tokens=512), 2, PERSONA)
    yield llama
    asyncio.run(llama.close())


def at_16_khz(pcm: np.ndarray) -> np.ndarray:
    return np.asarray(resample_poly(pcm, 2, 3), np.float32)


async def test_whisper_hears_a_question(whisper: Whisper, spoken_question: np.ndarray) -> None:
    assert await whisper.transcribe(at_16_khz(spoken_question)) == "What is the capital of France?"


async def test_whisper_hears_one_word(whisper: Whisper, user_voice: hibari.Hibari) -> None:
    text = await whisper.transcribe(at_16_khz(trimmed(user_voice("Yes.", seed=0))))
    assert text.lower().strip(".!?") == "yes"


async def test_whisper_hears_more_than_its_window(whisper: Whisper, user_voice: hibari.Hibari) -> None:
    animals = ["horse", "rabbit", "elephant", "tiger", "monkey", "dolphin", "spider", "chicken", "camel", "penguin"]
    wishes = [user_voice(f"My {i}th wish is to see a {a}.", speed=0.75, seed=0) for i, a in enumerate(animals, 4)]
    turn = np.concatenate(wishes)
    assert len(turn) > 30 * 24_000
    text = (await whisper.transcribe(at_16_khz(turn))).lower()
    assert sum(animal in text for animal in animals) >= 8


@pytest.mark.parametrize("level", [0.0, 1e-4, 1e-3, 1e-2])
async def test_whisper_makes_nothing_of_silence_and_noise(whisper: Whisper, level: float) -> None:
    noise = np.random.default_rng(3).normal(0, 1, 24_000).astype(np.float32)
    assert await whisper.transcribe(noise * np.float32(level)) == ""


@pytest.mark.parametrize(
    ("text", "level", "nonsense"),
    [
        ("", 0.1, True),
        (" . ", 0.1, True),
        ("[BLANK_AUDIO]", 0.1, True),
        ("(upbeat music)", 0.1, True),
        ("Thank you.", 0.001, True),
        ("you", 0.001, True),
        ("Thank you.", 0.1, False),
        ("What is the capital of France?", 0.001, False),
    ],
)
def test_what_counts_as_made_up(text: str, level: float, nonsense: bool) -> None:
    assert is_nonsense(text, np.full(16_000, level, np.float32)) is nonsense


def test_a_loop_is_told_from_a_long_sentence() -> None:
    assert loops("Yes? " * 25)
    assert not loops(
        "I was thinking about going to the mountains next weekend, but the forecast says that it will rain."
    )
    assert not loops("")


async def test_llama_streams_an_answer(llama: Llama) -> None:
    question = [HELLO[0], {"role": "user", "content": "What is the capital of France?"}]
    pieces = [piece async for piece in llama.reply(question)]
    assert "Paris" in "".join(pieces) and len(pieces) > 3


async def test_llama_stops_when_the_stream_is_left(llama: Llama) -> None:
    """Both seats are left at once and asked again: only seats that stopped can answer."""
    for _ in range(2):
        streams: list[AsyncIterator[str]] = [llama.reply(HELLO) for _ in range(2)]
        for stream in streams:
            assert await anext(stream)
        for stream in streams:
            await stream.aclose()  # type: ignore[attr-defined]
    assert len([piece async for piece in llama.reply(HELLO)]) > 3


async def test_llama_says_why_it_refuses(llama: Llama) -> None:
    with pytest.raises(LanguageModelError, match="context"):
        await anext(llama.reply([{"role": "user", "content": "sea " * 3_000}]))


async def test_hibari_begins_with_the_voice_and_not_with_silence() -> None:
    speaker = Hibari("heart")
    pcm = await speaker.speak("The capital of France is Paris.", "heart")
    speaker.close()
    loud = np.flatnonzero(np.abs(pcm) > 0.01)
    assert pcm.dtype == np.float32 and 24_000 < len(pcm) < 72_000
    assert loud[0] < 0.05 * 24_000 and len(pcm) - loud[-1] < 0.25 * 24_000


def test_an_unknown_voice_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="heart"):
        Hibari("hal9000")


def test_nothing_audible_is_nothing() -> None:
    assert len(trimmed(np.zeros(10_000, np.float32))) == 0
