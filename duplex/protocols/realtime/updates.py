"""session.update: a partial session object, checked, and what it changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from openai.types.realtime import RealtimeSessionCreateRequest
from openai.types.realtime.realtime_audio_config_input import RealtimeAudioConfigInput
from openai.types.realtime.realtime_audio_config_output import RealtimeAudioConfigOutput
from openai.types.realtime.realtime_audio_input_turn_detection import SemanticVad, ServerVad
from pydantic import BaseModel, ValidationError

from duplex.notes import Instruct, Note, Tool, UseTools, UseVoice
from duplex.protocols.realtime.messages import Wrong
from duplex.protocols.realtime.names import today
from duplex.protocols.realtime.settings import SEMANTIC_VAD, SERVER_VAD, Rules, Settings, taking
from duplex.protocols.realtime.sound import FORMS

_NO_SUCH_THING = ("include", "parallel_tool_calls", "prompt", "reasoning", "tracing", "truncation")


@dataclass(frozen=True, slots=True)
class Change:
    """What an update came to."""

    settings: Settings
    notes: tuple[Note, ...]
    unsupported: tuple[str, ...]  # why a part of it is not in force


def changed(now: Settings, session: Mapping[str, Any]) -> Change:
    """A partial update: what it does not name stays, null clears. Raises Wrong, and then nothing has changed."""
    if session.get("type", "realtime") != "realtime":
        raise Wrong("this server's sessions are of type 'realtime'", code="unsupported", param="session.type")
    asked = _checked(session)
    fields: dict[str, Any] = {}
    unsupported = [f"{name}: there is no such setting here" for name in _NO_SUCH_THING if getattr(asked, name, None)]
    if asked.instructions is not None:
        fields["instructions"] = asked.instructions
    if asked.output_modalities:
        fields["modality"] = asked.output_modalities[0]
    if asked.max_output_tokens is not None:
        fields["max_output_tokens"] = asked.max_output_tokens
    if asked.audio and asked.audio.input:
        fields |= _heard(now, asked.audio.input, unsupported)
    if asked.audio and asked.audio.output:
        fields |= _said(asked.audio.output, unsupported)
    fields |= _tools(asked, unsupported)
    new = replace(now, **fields)
    return Change(new, tuple(_notes(now, new)), tuple(unsupported))


def _checked(session: Mapping[str, Any]) -> RealtimeSessionCreateRequest:
    try:
        return RealtimeSessionCreateRequest.model_validate(today(session))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(["session", *(part for part in map(str, first["loc"]) if part[0].islower())])
        raise Wrong(f"{where}: {first['msg']}", param=where) from None


def _heard(now: Settings, asked: RealtimeAudioConfigInput, unsupported: list[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if asked.noise_reduction:
        unsupported.append("noise_reduction: there is no such setting here")
    if asked.format:
        fields["heard_form"] = _form(asked.format.type)
    if "transcription" in asked.model_fields_set:
        given = asked.transcription
        fields["transcription"] = given and {**(now.transcription or {}), **_known(given)}
    if "turn_detection" in asked.model_fields_set:
        fields["turn_detection"] = _rules(now.turn_detection, asked.turn_detection, unsupported)
    return fields


def _known(part: BaseModel) -> dict[str, Any]:
    """Without fields of the client's own, which would add up from update to update."""
    return part.model_dump(exclude_none=True, include=set(type(part).model_fields))


def _rules(now: Rules | None, asked: ServerVad | SemanticVad | None, unsupported: list[str]) -> Rules | None:
    if asked is None:
        return None
    usual = SERVER_VAD if asked.type == "server_vad" else SEMANTIC_VAD
    base = now if now and now["type"] == asked.type else usual
    given = {name: value for name, value in asked.model_dump(exclude_none=True).items() if name in usual}
    if given.pop("idle_timeout_ms", None) is not None:
        unsupported.append("idle_timeout_ms: this server never speaks because of a silence")
    rules = {**base, **given}
    taking(rules)
    return rules


def _said(asked: RealtimeAudioConfigOutput, unsupported: list[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if asked.format:
        fields["said_form"] = _form(asked.format.type)
    if asked.voice:
        fields["voice"] = asked.voice if isinstance(asked.voice, str) else asked.voice.id
    if asked.speed not in (None, 1.0):
        unsupported.append("speed: this server's voices speak at 1.0")
    return fields


def _form(kind: str | None) -> str:
    if (kind or "audio/pcm") not in FORMS:
        raise Wrong(f"an audio format must be {', '.join(FORMS)}, got {kind!r}", param="session.audio")
    return kind or "audio/pcm"


def _tools(asked: RealtimeSessionCreateRequest, unsupported: list[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if "tools" in asked.model_fields_set:
        given = [tool.model_dump(exclude_none=True) for tool in asked.tools or []]
        fields["tools"] = tuple(tool for tool in given if tool.get("type") == "function" and tool.get("name"))
        if len(fields["tools"]) < len(given):
            unsupported.append("tools: only those of type 'function' that have a name")
    if asked.tool_choice is not None:
        given = asked.tool_choice
        fields["tool_choice"] = given if isinstance(given, str) else given.model_dump(exclude_none=True)
    return fields


def _notes(old: Settings, new: Settings) -> Iterable[Note]:
    if new.instructions != old.instructions:
        yield Instruct(new.instructions)
    if new.voice != old.voice:
        yield UseVoice(new.voice)
    if new.turn_detection != old.turn_detection:
        yield taking(new.turn_detection)
    if (new.tools, new.tool_choice) != (old.tools, old.tool_choice):
        choice = new.tool_choice if isinstance(new.tool_choice, str) else str(new.tool_choice.get("name", "auto"))
        yield UseTools(tuple(_tool(tool) for tool in new.tools), choice)


def _tool(tool: Mapping[str, Any]) -> Tool:
    parameters = tool.get("parameters")
    description = str(tool.get("description", ""))
    return Tool(tool["name"], description, parameters if isinstance(parameters, dict) else {})
