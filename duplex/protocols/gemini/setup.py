"""A Gemini client's first message: whom it wants to talk to, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from duplex.notes import TurnTaking
from duplex.protocols.gemini.declared import text_of, tools_of
from duplex.protocols.gemini.fields import choice, flag, has, number, table, words
from duplex.protocols.wire import BadMessage, Open
from duplex.session import SessionConfig

# Google names two degrees and gives no numbers; these are ours. A user's own silenceDurationMs wins.
_THRESHOLDS = {"START_SENSITIVITY_HIGH": 0.35, "START_SENSITIVITY_LOW": 0.65}
_STOPS_MS = {"END_SENSITIVITY_HIGH": 300.0, "END_SENSITIVITY_LOW": 1000.0}


@dataclass(frozen=True, slots=True)
class Setup:
    """All that the wire itself must know of it."""

    wish: Open
    voice: str = ""  # any name: Google's own are known to no agent here, and are no reason to refuse
    spoken: bool = True  # False: answers are text
    user_text: bool = False  # what the user says is told as text too
    agent_text: bool = False  # the same for what the agent says
    activity: bool = False  # where the user's speech begins and ends is told
    resumption: bool = False  # whether the session can be resumed is told
    by_hand: bool = False  # the client says when the user speaks
    all_input: bool = False  # and what is sent in between is heard too
    history: bool = False  # the first clientContent, up to its turnComplete, is what was said before


def setup_from(values: Mapping[str, Any]) -> Setup:
    """Raises BadMessage."""
    if words(table(values, "session_resumption"), "handle"):
        raise BadMessage("sessions cannot be resumed here: leave out sessionResumption.handle to start a new one")
    generation = table(values, "generation_config")
    speech, how = table(generation, "speech_config"), table(values, "realtime_input_config")
    turns = _turns(how)
    config = SessionConfig(
        persona=text_of(values.get("system_instruction")),
        language=words(speech, "language_code").partition("-")[0].lower(),
        turns=turns,
        transcribe=has(values, "input_audio_transcription"),
        tools=tools_of(values),
    )
    return Setup(
        Open(words(values, "model").removeprefix("models/"), config),
        voice=words(table(table(speech, "voice_config"), "prebuilt_voice_config"), "voice_name"),
        spoken=_spoken(generation),
        user_text=config.transcribe,
        agent_text=has(values, "output_audio_transcription"),
        activity=flag(values, "explicit_vad_signal"),
        resumption=has(values, "session_resumption"),
        by_hand=not turns.detect,
        all_input=words(how, "turn_coverage") == "TURN_INCLUDES_ALL_INPUT",
        history=flag(table(values, "history_config"), "initial_history_in_client_content"),
    )


def _spoken(generation: Mapping[str, Any]) -> bool:
    asked = generation.get("response_modalities") or ["AUDIO"]
    if not isinstance(asked, list) or not set(map(str, asked)) <= {"AUDIO", "TEXT"}:
        raise BadMessage(f"responseModalities must be a list of AUDIO or TEXT, got {str(asked)[:60]!r}")
    return "AUDIO" in asked


def _turns(how: Mapping[str, Any]) -> TurnTaking:
    detection = table(how, "automatic_activity_detection")
    start = choice(detection, "start_of_speech_sensitivity", *_THRESHOLDS)
    end = choice(detection, "end_of_speech_sensitivity", *_STOPS_MS)
    handling = choice(how, "activity_handling", "START_OF_ACTIVITY_INTERRUPTS", "NO_INTERRUPTION")
    number(detection, "prefix_padding_ms")
    stop_ms = number(detection, "silence_duration_ms")
    if stop_ms is not None and not 0 <= stop_ms <= 60_000:
        raise BadMessage(f"silenceDurationMs must be 0 to 60000, got {stop_ms:g}")
    return TurnTaking(
        detect=not flag(detection, "disabled"),
        interrupt=handling != "NO_INTERRUPTION",
        threshold=_THRESHOLDS.get(start),
        stop_ms=_STOPS_MS.get(end) if stop_ms is None else stop_ms,
    )
