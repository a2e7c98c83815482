"""Who may come in: the key, and the pages that a browser may connect from."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from duplex.server.config import ServerConfig, is_loopback


def door(config: ServerConfig) -> Middleware:
    """The middleware that guards every route but /health."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path != "/health":
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
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    given = given.strip() if scheme.lower() == "bearer" else request.query.get("key", "")
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), key.encode())


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
