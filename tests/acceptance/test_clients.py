"""Real clients, unchanged, hold the same spoken conversation with both agents of one running server.

`make acceptance` runs these: they take real time, and Pipecat and LiveKit need environments of their own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import hibari
import numpy as np
import pytest

from duplex.frame import SAMPLE_RATE
from duplex.turns import Span, speech_spans
from tests.acceptance import clients
from tests.acceptance.caller import Caller

pytestmark = pytest.mark.skipif("ACCEPTANCE" not in os.environ, reason="run by `make acceptance`")

ROOT = Path(__file__).parents[2]
ANSWER_S, STOP_S = 5.5, 1.5  # of a machine that does much else; how fast they are is for the judge to say


class Server(NamedTuple):
    """A running server: its addresses, and the certificate of the second."""

    url: str
    tls_url: str
    certificate: Path


class Talk(NamedTuple):
    """A caller's words: samples at 24 kHz, and where each of the sentences lies."""

    pcm: np.ndarray
    question: Span
    request: Span
    interruption: Span
    weather: Span


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    command = [
        sys.executable,
        "-m",
        "duplex",
        "serve",
        "--agent",
        "cascade",
        "--agent",
        "native",
        "--port",
        "0",
        "--tls-self-signed",
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield addresses(process.stdout)
        process.terminate()


def addresses(lines: Iterable[str]) -> Server:
    """What the server prints when it is ready."""
    told = ""
    for line in lines:
        told += line
        found = [re.search(what, told) for what in (r" ws://(\S+)", r" wss://(\S+)", r"SSL_CERT_FILE=(\S+)")]
        if all(found):
            plain, tls, certificate = (match[1] for match in found if match)
            return Server(f"http://{plain}", f"https://{tls}", Path(certificate))
    raise AssertionError(f"the server did not begin: {told}")


@pytest.fixture(scope="module")
def talk() -> Talk:
    voice = hibari.Hibari("heart")
    words = (
        "What is the capital of France?",
        "Tell me a long story.",
        "Stop. What is two plus two?",
        "What is the weather in Paris?",
    )
    gaps_s = (6.0, 2.5, 7.0, 9.0)
    pcm, spans = [np.zeros(SAMPLE_RATE, np.float32)], []
    for sentence, gap_s in zip(words, gaps_s, strict=True):
        said = voice(sentence, seed=0).astype(np.float32)
        begin = sum(map(len, pcm))
        heard = speech_spans(said)
        spans.append(Span(begin + heard[0].begin, begin + heard[-1].end))
        pcm += [said[: heard[-1].end], np.zeros(round(gap_s * SAMPLE_RATE), np.float32)]
    return Talk(np.concatenate(pcm), *spans)


def of(server: Server, name: str) -> clients.Client:
    elsewhere = clients.in_its_own_environment
    return {
        "openai realtime": clients.openai_realtime,
        "openai live": clients.openai_live,
        "openai microphone": clients.openai_microphone,
        "google-genai": clients.gemini_live(server.certificate, server.tls_url),
        "twilio": clients.telephone,
        "pipecat realtime": elsewhere("pipecat", "tests/acceptance/pipecat_phone.py", "pipecat_realtime.py"),
        "pipecat live": elsewhere("pipecat", "tests/acceptance/pipecat_phone.py", "pipecat_live.py"),
        "livekit realtime": elsewhere("livekit", "examples/livekit_realtime.py"),
        "livekit live": elsewhere("livekit", "examples/livekit_live.py"),
    }[name]


NAMES = (
    "openai realtime",
    "openai live",
    "openai microphone",
    "google-genai",
    "twilio",
    "pipecat realtime",
    "pipecat live",
    "livekit realtime",
    "livekit live",
)


@pytest.mark.parametrize("name", NAMES)
async def test_the_cascade_answers_stops_and_calls_a_tool(server: Server, talk: Talk, name: str) -> None:
    caller = Caller(talk.pcm)
    await of(server, name)(server.url, "cascade", caller, True)
    said = speech_spans(caller.heard)
    assert begins(said, talk.question.end, ANSWER_S), f"no answer to the question: {said}"
    cut = interrupted(said, talk.interruption.begin)
    assert cut and cut[-1].end - talk.interruption.begin < STOP_S * SAMPLE_RATE, f"it did not stop: {said}"
    assert begins(said, talk.interruption.end, ANSWER_S), f"no answer to the interruption: {said}"
    if name not in ("twilio", "openai microphone"):  # which declare no tools
        assert any("Paris" in call for call in caller.called), caller.called
        assert begins(said, talk.weather.end, 8.0), f"the tool's result was not spoken: {said}"


@pytest.mark.parametrize("name", NAMES)
async def test_nano_is_heard_through_every_client(server: Server, talk: Talk, name: str) -> None:
    """What and how often it answers, and how soon it yields, is the judge's to say; here, that it comes through."""
    caller = Caller(talk.pcm)
    await of(server, name)(server.url, "native", caller, False)
    said = speech_spans(caller.heard)
    assert any(begins(said, turn.end, ANSWER_S) for turn in (talk.question, talk.interruption, talk.weather)), said
    cut = interrupted(said, talk.interruption.begin)
    assert all(span.end < talk.weather.begin for span in cut), f"it talked on: {said}"


def begins(spans: list[Span], after: int, within_s: float) -> bool:
    """Whether a span begins in so many seconds; half a second of overlap is a fast answer."""
    return any(after - SAMPLE_RATE // 2 < span.begin < after + within_s * SAMPLE_RATE for span in spans)


def interrupted(spans: list[Span], at: int) -> list[Span]:
    """What was being said: it may have paused between two sentences."""
    return [span for span in spans if at - SAMPLE_RATE < span.end and span.begin < at + SAMPLE_RATE // 4]
