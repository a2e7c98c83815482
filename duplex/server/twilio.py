"""What Twilio asks for over HTTP: the TwiML that sends a call to /twilio, and the signature that proves who asks."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from xml.sax.saxutils import quoteattr

from aiohttp import web

VOICE, STREAM = "/twilio/voice", "/twilio"
_PARAMETERS = ("agent", "persona", "voice", "language")  # of a call, as the wire reads them
_SCHEMES = ("https", "wss", "http", "ws")


async def voice(request: web.Request) -> web.Response:
    """The webhook of a telephone number: `/twilio/voice?agent=NAME&persona=...` connects its calls to that agent."""
    asked = {name: request.query[name] for name in _PARAMETERS if request.query.get(name)}
    document = twiml(f"{_scheme(request)}://{request.host}{STREAM}", asked)
    if not _fits_xml(document):
        raise web.HTTPBadRequest(text=f"one of {', '.join(_PARAMETERS)} holds a character that XML cannot carry\n")
    return web.Response(text=document, content_type="text/xml")


def twiml(url: str, parameters: Mapping[str, str]) -> str:
    """The document that connects a call to the websocket at `url`, both ways."""
    inner = "".join(f"<Parameter name={quoteattr(k)} value={quoteattr(v)}/>" for k, v in parameters.items())
    connect = f"<Connect><Stream url={quoteattr(url)}>{inner}</Stream></Connect>"
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{connect}</Response>'


async def is_signed(request: web.Request, token: str) -> bool:
    """Whether Twilio, which shares `token`, made this very request.

    The URL counts as Twilio called it. A proxy may have changed its scheme, and Twilio adds a slash to the address of
    some websockets, so each of these is tried.
    """
    given = request.headers.get("X-Twilio-Signature", "").encode("utf-8", "surrogateescape")
    form = await _form(request)
    paths = (request.raw_path, f"{request.raw_path}/")
    urls = [f"{scheme}://{request.host}{path}" for scheme in _SCHEMES for path in paths]
    return any(hmac.compare_digest(given, signature(token, url, form).encode()) for url in urls)


def signature(token: str, url: str, form: Iterable[tuple[str, str]] = ()) -> str:
    """What Twilio writes into X-Twilio-Signature: HMAC-SHA1 of the URL and the sorted fields of a POST."""
    signed = (url + "".join(name + value for name, value in sorted(set(form)))).encode("utf-8", "surrogateescape")
    return base64.b64encode(hmac.new(token.encode(), signed, hashlib.sha1).digest()).decode()


async def _form(request: web.Request) -> list[tuple[str, str]]:
    if request.content_type != "application/x-www-form-urlencoded":
        return []
    try:
        return [(name, str(value)) for name, value in (await request.post()).items()]
    except (LookupError, ValueError):  # of its charset
        return []


def _scheme(request: web.Request) -> str:
    """Of the websocket: as safe as the way that this request came, before any proxy."""
    came = request.headers.get("X-Forwarded-Proto", request.scheme).split(",")[0].strip().lower()
    return "wss" if came in ("https", "wss") else "ws"


def _fits_xml(text: str) -> bool:
    return all(c in "\t\n\r" or "\x20" <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c >= "\U00010000" for c in text)
