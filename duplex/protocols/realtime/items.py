"""Items that a client puts into the conversation: checked, and told to the agent."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Literal

from duplex.notes import Image, Note, ToolResult
from duplex.protocols.realtime.conversation import Item
from duplex.protocols.realtime.messages import Wrong, text_of

MAX_IMAGE_BYTES = 8 << 20
_SIGNATURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}
_TEXTS = {"user": ("input_text", "text"), "system": ("input_text", "text"), "assistant": ("output_text", "text")}


def item_from(asked: Any, item_id: str) -> tuple[Item, list[Note]]:
    """A client's item, and what the agent is told of it at once, besides its words. Raises Wrong."""
    if not isinstance(asked, dict):
        raise Wrong("item must be an object", param="item")
    kind = asked.get("type", "message")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise Wrong(f"an item's type must be {', '.join(_KINDS)}, got {kind!r}", code="unsupported", param="item.type")
    return _KINDS[kind](asked, item_id)


def _message(asked: Mapping[str, Any], item_id: str) -> tuple[Item, list[Note]]:
    role = _role(asked.get("role"))
    content = asked.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise Wrong("an item's content must be a list of parts", param="item.content")
    shown, texts, notes = [], [], []
    for part in parts:
        kept, text, note = _part(role, part)
        shown.append(kept)
        texts += [text] if text else []
        notes += [note] if note else []
    return Item(item_id, role, {"type": "message", "role": role, "content": shown}, "\n".join(texts)), notes


def _role(given: Any) -> Literal["user", "assistant", "system"]:
    if given in ("system", "developer"):
        return "system"
    if given == "user":
        return "user"
    if given == "assistant":
        return "assistant"
    raise Wrong(f"an item's role must be user, assistant or system, got {given!r}", param="item.role")


def _part(role: str, part: Mapping[str, Any]) -> tuple[dict[str, Any], str, Note | None]:
    """(how it is shown, its words, a picture)."""
    kind = part.get("type")
    if kind in (*_TEXTS[role], "input_text", "output_text"):
        text = text_of(dict(part), "text", "item.content.")
        return {"type": _TEXTS[role][0], "text": text}, text, None
    if kind in ("input_audio", "output_audio", "audio") and role != "system":
        return _spoken(role, part)
    if kind == "input_image" and role == "user":
        image = _image(part.get("image_url"))
        return {"type": "input_image", "detail": _detail(part)}, "", image
    raise Wrong(f"a {role}'s content cannot be {kind!r}", code="unsupported", param="item.content.type")


def _spoken(role: str, part: Mapping[str, Any]) -> tuple[dict[str, Any], str, Note | None]:
    text = part.get("transcript")
    if not isinstance(text, str):
        raise Wrong(
            "recorded audio needs its 'transcript' here; to be heard, send it with input_audio_buffer.append",
            code="unsupported",
            param="item.content.transcript",
        )
    return {"type": "output_audio" if role == "assistant" else "input_audio", "transcript": text}, text, None


def _detail(part: Mapping[str, Any]) -> str:
    detail = part.get("detail")
    return detail if detail in ("auto", "low", "high") else "auto"


def _image(url: Any) -> Image:
    head, comma, data = url.partition(",") if isinstance(url, str) else ("", "", "")
    mime = head.removeprefix("data:").removesuffix(";base64").lower().replace("image/jpg", "image/jpeg")
    where: dict[str, Any] = {"code": "invalid_image", "param": "item.content.image_url"}
    if not comma or mime not in _SIGNATURES or not head.endswith(";base64"):
        raise Wrong("image_url must be a data URI of PNG or JPEG: data:image/png;base64,...", **where)
    if len(data) > MAX_IMAGE_BYTES * 4 // 3 + 4:
        raise Wrong(f"an image may hold {MAX_IMAGE_BYTES} bytes", **where)
    try:
        image = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise Wrong("image_url must hold base64", **where) from None
    if not image.startswith(_SIGNATURES[mime]):
        raise Wrong(f"image_url says {mime}, but its data is something else", **where)
    return Image(image, mime)


def _call(asked: Mapping[str, Any], item_id: str) -> tuple[Item, list[Note]]:
    names = ("call_id", "name", "arguments")
    body = {"type": "function_call", **{name: text_of(dict(asked), name, "item.") for name in names}}
    return Item(item_id, "call", body), []


def _result(asked: Mapping[str, Any], item_id: str) -> tuple[Item, list[Note]]:
    names = ("call_id", "output")
    body = {"type": "function_call_output", **{name: text_of(dict(asked), name, "item.") for name in names}}
    return Item(item_id, "result", body), [ToolResult(body["call_id"], body["output"])]


_KINDS: Mapping[str, Callable[[Mapping[str, Any], str], tuple[Item, list[Note]]]] = {
    "message": _message,
    "function_call": _call,
    "function_call_output": _result,
}
