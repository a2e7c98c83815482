"""Older names of the same things: what a session object of the beta, or a careless one, means in today's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MOVED = {  # the beta's name -> where it is today
    "modalities": ("output_modalities",),
    "max_response_output_tokens": ("max_output_tokens",),
    "input_audio_format": ("audio", "input", "format"),
    "input_audio_transcription": ("audio", "input", "transcription"),
    "input_audio_noise_reduction": ("audio", "input", "noise_reduction"),
    "turn_detection": ("audio", "input", "turn_detection"),
    "output_audio_format": ("audio", "output", "format"),
    "voice": ("audio", "output", "voice"),
    "speed": ("audio", "output", "speed"),
}
_FORMS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}


def today(session: Mapping[str, Any]) -> dict[str, Any]:
    """A session object under today's names. What is no object where one belongs is left for the check that follows."""
    asked: dict[str, Any] = {"type": "realtime"}
    for name, value in session.items():
        if name not in _MOVED:
            asked[name] = _copied(value) if name == "audio" else value
    for name in session.keys() & _MOVED.keys():
        _put(asked, _MOVED[name], session[name])
    for side in ("input", "output"):
        _put_form(asked, side)
    both = asked.get("output_modalities")
    if isinstance(both, list) and "audio" in both and "text" in both:
        asked["output_modalities"] = ["audio"]  # which has always had its transcript with it
    return asked


def _copied(value: Any) -> Any:
    return {k: _copied(v) for k, v in value.items()} if isinstance(value, dict) else value


def _put(asked: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *folders, name = path
    for folder in folders:
        asked = asked.setdefault(folder, {})
        if not isinstance(asked, dict):
            return
    asked.setdefault(name, value)


def _put_form(asked: dict[str, Any], side: str) -> None:
    audio = asked.get("audio")
    place = audio.get(side) if isinstance(audio, dict) else None
    if isinstance(place, dict) and isinstance(form := place.get("format"), str):
        place["format"] = {"type": _FORMS.get(form, form)}
