"""Who may come in: the key, the pages that a browser may connect from, and Twilio by its signature."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from duplex.server.config import ServerConfig, is_loopback
from duplex.server.twilio import STREAM, VOICE, is_signed

_INSECURE = "openai-insecure-api-key."


def door(config: ServerConfig) -> Middleware:
    """The middleware that guards every route but /health."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        token = config.twilio_token if request.path in (STREAM, VOICE) else None
        if request.path != "/health" and not (token and await is_signed(request, token)):
            if token and config.key is None:
                raise web.HTTPForbidden(text="this address is for Twilio: X-Twilio-Signature does not fit\n")
            if not _has_key(request, config.key):
                raise web.HTTPUnauthorized(
                    headers={"WWW-Authenticate": "Bearer"},
                    text="this server asks for its key: send 'Authorization: Bearer KEY' or ?key=KEY\n",
                )
            if not _may_connect(request, config):
                raise web.HTTPForbidden(text=f"pages of {request.headers['Origin']} may not connect: see 'origins'\n")
        return await handler(request)

    return guard


def _has_key(request: web.Request, key: str | None) -> bool:
    if key is None:
        return True
    return hmac.compare_digest(_given_key(request).encode("utf-8", "surrogateescape"), key.encode())


def _given_key(request: web.Request) -> str:
    """The key where OpenAI's or Google's clients put it: a header, or the address, where a page sets no headers."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return given.strip()
    if scheme.lower() != "token":
        query = request.query
        given = request.headers.get("X-Goog-Api-Key") or query.get("key") or query.get("access_token", "")
        given = given or _key_among(request.headers.get("Sec-WebSocket-Protocol", ""))
    return given.strip().removeprefix("auth_tokens/")  # what Google's clients take for a short-lived one


def _key_among(subprotocols: str) -> str:
    """Where OpenAI's client in a browser puts it."""
    names = (name.strip() for name in subprotocols.split(","))
    return next((name.removeprefix(_INSECURE) for name in names if name.startswith(_INSECURE)), "")


def _may_connect(request: web.Request, config: ServerConfig) -> bool:
    origin = request.headers.get("Origin")
    if origin is None or origin in config.origins:
        return True
    try:
        page, here = urlsplit(origin).hostname, urlsplit(f"//{request.host}").hostname
    except ValueError:
        return False
    # On the loopback a page's own name proves nothing: any site can make its name point to 127.0.0.1.
    return is_loopback(page) or (page is not None and page == here and not is_loopback(config.host))
