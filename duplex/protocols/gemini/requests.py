"""What a Gemini client sends in an open session: sound, pictures, text, turns, results, another context."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from duplex.notes import Commit, Discard, Hush, Image, Instruct, Remember, Respond, TypedText, UseTools
from duplex.protocols.gemini.answers import Answers
from duplex.protocols.gemini.declared import text_of, tools_of
from duplex.protocols.gemini.ear import Ear
from duplex.protocols.gemini.fields import Table, binary, flag, has, table, tables, words
from duplex.protocols.gemini.outgoing import packed
from duplex.protocols.gemini.setup import Setup
from duplex.protocols.wire import BadMessage, Item, Reply

_MOST_BLOBS = 256  # in one message
_PICTURES = ("image/jpeg", "image/png")


class Requests:
    """The messages of one session, each to what it completes. All raise BadMessage."""

    def __init__(self, setup: Setup, answers: Answers, ear: Ear) -> None:
        self.ear, self._setup, self._answers = ear, setup, answers
        self._history = setup.history
        self._active(False)

    def realtime(self, body: Table) -> list[Item]:
        """A realtimeInput: whatever it holds, in the order in which it makes sense."""
        begun = self._began() if has(body, "activity_start") else []
        blobs = [*tables(body, "media_chunks"), *(table(body, key) for key in ("audio", "video") if has(body, key))]
        if len(blobs) > _MOST_BLOBS:
            raise BadMessage(f"a message may hold {_MOST_BLOBS} media chunks, got {len(blobs)}")
        pictures = [_picture(blob) for blob in blobs if _shows(blob)]
        heard = self.ear.push([blob for blob in blobs if not _shows(blob)])
        items = [*begun, *pictures, *heard, *self._typed(words(body, "text"))]
        if flag(body, "audio_stream_end"):
            items += self.ear.flush()
        return [*items, *self._ended()] if has(body, "activity_end") else items

    def content(self, body: Table) -> list[Item]:
        """A clientContent: turns to remember, and an answer to them if they are complete."""
        known = [item for turn in tables(body, "turns") for item in _remembered(turn)]
        if not flag(body, "turn_complete"):
            return known
        if self._history:
            self._history = False
            return known
        hush = [Hush()] if self._answers.answering else []
        self._answers.ask()
        return [*hush, *known, Respond()]

    def results(self, body: Table) -> list[Item]:
        """A toolResponse: the turn goes on when the last result is there."""
        responses, calls = tables(body, "function_responses"), self._answers.calls
        results: list[Item] = [result for each in responses if (result := calls.result(each))]
        if calls.pending or not results:
            return results
        if any(words(each, "scheduling").upper() == "SILENT" for each in responses):
            ended = [] if self._answers.answering else self._answers.close()
            return [*results, *([Reply(tuple(map(packed, ended)))] if ended else [])]
        self._answers.resume()
        return [*results, Respond()]

    def context(self, body: Table) -> list[Item]:
        """A contextUpdate: what it names is replaced."""
        found: list[Item] = []
        if has(body, "system_instruction"):
            found.append(Instruct(text_of(body["system_instruction"])))
        if has(body, "tools"):
            tools = body["tools"]
            found.append(UseTools(tools_of(tools if isinstance(tools, dict) else body)))
        return found

    def _typed(self, text: str) -> list[Item]:
        if not text:
            return []
        self._answers.ask()
        return [TypedText(text)]

    def _began(self) -> list[Item]:
        self._must_be_by_hand()
        self._active(True)
        turns = self._setup.wish.config.turns
        return [Discard(), *([Hush()] if turns and turns.interrupt else [])]

    def _ended(self) -> list[Item]:
        self._must_be_by_hand()
        self._active(False)
        self._answers.ask()
        return [*self.ear.flush(), Commit(), Respond()]

    def _active(self, active: bool) -> None:
        self.ear.deaf = self._setup.by_hand and not self._setup.all_input and not active

    def _must_be_by_hand(self) -> None:
        if not self._setup.by_hand:
            raise BadMessage("activityStart and activityEnd need automaticActivityDetection.disabled in the setup")


def _shows(blob: Table) -> bool:
    return words(blob, "mime_type").lower().startswith("image/")


def _remembered(turn: Table) -> list[Item]:
    role = {"model": "assistant", "assistant": "assistant", "user": "user", "": "user"}.get(words(turn, "role").lower())
    found: list[Item] = []
    for part in tables(turn, "parts"):
        if has(part, "inline_data"):
            found.append(_picture(table(part, "inline_data")))
        elif text := words(part, "text") or _done(part):
            found.append(Remember(role or "system", text))  # type: ignore[arg-type]
    return found


def _done(part: Mapping[str, Any]) -> str:
    """A function call of another session, or its result, in words."""
    call, response = table(part, "function_call"), table(part, "function_response")
    if call:
        return f"(called {words(call, 'name')} with {_as_text(call, 'args')})"
    return f"({words(response, 'name')} returned {_as_text(response, 'response')})" if response else ""


def _as_text(values: Table, key: str) -> str:
    return json.dumps(table(values, key), ensure_ascii=False)


def _picture(blob: Table) -> Image:
    mime = words(blob, "mime_type").lower()
    if mime not in _PICTURES:
        raise BadMessage(f"a picture must be {' or '.join(_PICTURES)}, got {mime[:60]!r}; sound goes to realtimeInput")
    return Image(binary(blob), mime)
