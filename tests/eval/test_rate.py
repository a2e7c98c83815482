"""A language model rates answers: what it is asked, what counts as a rating, and that nothing else depends on it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from by_hand import facts, hand_made

from duplex.agents.cascade.llm import LanguageModelError
from duplex.config import ConfigError
from eval.rate import rate, rating
from eval.score import score


def judge(replies: dict[str, str], asked: list[Any]) -> web.Application:
    """An OpenAI-compatible server that knows what to say to each question."""

    async def complete(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        asked.append((request.headers.get("Authorization"), body))
        reply = next(r for q, r in replies.items() if q in body["messages"][1]["content"])
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        chunk = {"choices": [{"delta": {"content": reply}}]}
        await response.write(f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode())
        return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", complete)
    return app


def scored(folder: Path) -> Path:
    """Two questions with an answer, one without."""
    for name, agent, said in (("a", [(2.3, 4.0)], "Paris."), ("b", [(2.3, 4.0)], "No."), ("c", [], "")):
        told = {26: {"text": said}} if said else {}
        known = asdict(facts(text=f"Question {name}?"))
        hand_made(folder / name, *agent, said=lambda t, told=told: told.get(t, {}), facts=known)
    score(folder)
    return folder


async def test_it_rates_what_was_answered(tmp_path: Path) -> None:
    asked: list[Any] = []
    before = (scored(tmp_path) / "scores.json").read_text()
    async with TestServer(judge({"Question a?": "5", "Question b?": "I would say 3 or 4"}, asked)) as server:
        found = await rate(tmp_path, str(server.make_url("/v1")), "big", key="secret")
    assert found["relevance"] == {"value": 5.0, "n": 1} and found["ratings"] == {"a": 5}
    assert found["unreadable"] == {"b": "I would say 3 or 4"}
    assert len(asked) == 2 and asked[0][0] == "Bearer secret" and asked[0][1]["temperature"] == 0
    assert asked[0][1]["messages"][1]["content"] == "Question: Question a?\nAnswer: Paris."
    assert json.loads((tmp_path / "ratings.json").read_text()) == found
    assert (tmp_path / "scores.json").read_text() == before


async def test_a_server_that_refuses_is_an_error(tmp_path: Path) -> None:
    scored(tmp_path)
    async with TestServer(web.Application()) as server:
        with pytest.raises(LanguageModelError, match="404"):
            await rate(tmp_path, str(server.make_url("/v1")), "big")
    assert not (tmp_path / "ratings.json").exists()


async def test_there_must_be_answers(tmp_path: Path) -> None:
    hand_made(tmp_path / "a")
    score(tmp_path)
    with pytest.raises(ConfigError, match="nothing to rate"):
        await rate(tmp_path, "http://127.0.0.1:1/v1", "big")


@pytest.mark.parametrize(
    "reply, value", [("4", 4), (" 0.", 0), ("Rating: 5", 5), ("6", None), ("4/5", None), ("", None)]
)
def test_a_rating_is_one_digit(reply: str, value: int | None) -> None:
    assert rating(reply) == value
