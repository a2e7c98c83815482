"""Optional: a language model of your choice rates whether each answer fits its question. Writes ratings.json beside
scores.json; no other figure depends on it.

`relevance`: a whole number from 0 (nothing, or nothing to do with the question) to 5 (answers it), by a model behind an
OpenAI-compatible URL, told the question as it was spoken and the answer as it was heard, at temperature 0. Mean over
the first questions that were answered. What the model says that is no number is listed, asked once, counted in nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from duplex.agents.cascade.config import LlmConfig
from duplex.agents.cascade.llm import LanguageModel, open_llm
from duplex.config import ConfigError
from eval.sides import scores_of

VERSION = 1
INSTRUCTION = (
    "You judge a voice assistant. You are given what a person asked and a transcript of what the assistant said. Rate "
    "how well the answer fits the question: 0 = no words or unrelated, 1 = barely related, 2 = on the topic without "
    "answering, 3 = a partial answer, 4 = a good answer with a flaw, 5 = a full and right answer. Small errors of "
    "transcription do not matter. Reply with one digit and nothing else."
)


async def rate(folder: Path, url: str, model: str, key: str = "") -> dict[str, Any]:
    """Rate a scored folder and write ratings.json there.

    Raises ConfigError when it is not scored or nothing in it was answered, LanguageModelError and aiohttp's errors
    when the model cannot be asked.
    """
    asked = [q for q in scores_of(folder)["questions"] if q["response_latency_ms"] is not None]
    if not asked:
        raise ConfigError(f"{folder}: no question was answered, there is nothing to rate")
    llm = open_llm(LlmConfig(model=model, url=url, key=key, max_tokens=8), seats=1, persona="")
    try:
        replies = [await _reply(llm, question) for question in asked]
    finally:
        await llm.close()
    result = {"judge": {"url": url, "model": model, "version": VERSION}, **_summary(asked, replies)}
    (folder / "ratings.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return result


def rating(reply: str) -> int | None:
    """The one digit from 0 to 5 in a reply; None where there is none or more than one."""
    found = re.findall(r"\d+", reply)
    return int(found[0]) if len(found) == 1 and found[0] in "012345" else None


async def _reply(llm: LanguageModel, question: Mapping[str, Any]) -> str:
    heard = question["transcript"] if question["transcript"] is not None else question["reply_text"]
    asked = f"Question: {question['text']}\nAnswer: {heard or '(no words)'}"
    messages: Any = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": asked}]
    return "".join([piece async for piece in llm.reply(messages)])


def _summary(asked: list[dict[str, Any]], replies: list[str]) -> dict[str, Any]:
    rated = [(q["scenario"], rating(reply), reply) for q, reply in zip(asked, replies, strict=True)]
    values = [value for _, value, _ in rated if value is not None]
    return {
        "relevance": {"value": round(sum(values) / len(values), 3) if values else None, "n": len(values)},
        "ratings": {scenario: value for scenario, value, _ in rated if value is not None},
        "unreadable": {scenario: reply for scenario, value, reply in rated if value is None},
    }
