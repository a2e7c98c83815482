"""The second listener: a certificate that is made once, trusted by name, kept to its owner, and one of your own."""

from __future__ import annotations

import asyncio
import re
import ssl
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from duplex.cli import _parser, serve_settings
from duplex.config import ConfigError
from duplex.server import run_server
from duplex.server.tls import context, self_signed

STRICT = ssl.VerifyFlags.VERIFY_X509_STRICT  # the default from Python 3.13 on


async def greeting(cert: Path, key: Path | None, host: str, trust: ssl.SSLContext) -> str:
    """What a client of `host` gets from a server with this certificate."""

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context(cert, key)).start()
    try:
        url = f"https://{host}:{runner.addresses[0][1]}/"
        async with aiohttp.ClientSession() as http, http.get(url, ssl=trust) as response:
            return await response.text()
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("flags", [ssl.VerifyFlags.VERIFY_DEFAULT, STRICT])
async def test_who_has_the_certificate_trusts_this_machine(host, flags, tmp_path):
    cert, key = self_signed(tmp_path)
    trust = ssl.create_default_context(cafile=str(cert))
    trust.verify_flags |= flags
    assert await greeting(cert, key, host, trust) == "hello"


async def test_who_does_not_have_it_does_not(tmp_path):
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await greeting(*self_signed(tmp_path), "127.0.0.1", ssl.create_default_context())


async def test_a_certificate_of_ones_own_may_hold_its_key(tmp_path):
    cert, key = self_signed(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    assert await greeting(both, None, "127.0.0.1", ssl.create_default_context(cafile=str(cert))) == "hello"


def test_it_is_made_once_and_again_before_it_ends(tmp_path):
    folder, now = tmp_path / "tls", datetime.now(timezone.utc)
    cert, key = self_signed(folder, now)
    first = cert.read_bytes()
    assert (key.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    assert self_signed(folder, now + timedelta(days=330)) == (cert, key) and cert.read_bytes() == first
    self_signed(folder, now + timedelta(days=340))
    assert cert.read_bytes() != first
    assert sorted(path.name for path in folder.iterdir()) == ["localhost-cert.pem", "localhost-key.pem"]


@pytest.mark.parametrize("name", ["localhost-cert.pem", "localhost-key.pem"])
def test_it_is_made_again_when_a_half_is_damaged(name, tmp_path):
    cert, key = self_signed(tmp_path)
    (tmp_path / name).write_text("half a file")
    context(*self_signed(tmp_path))
    assert "half" not in cert.read_text() + key.read_text()


@pytest.mark.parametrize(
    ("given", "error", "reason"),
    [
        ({"tls_self_signed": True, "tls_cert": "c.pem"}, ConfigError, "set one of the two"),
        ({"tls_key": "k.pem"}, ConfigError, "tls_key needs tls_cert"),
        ({"tls_port": 70_000}, ConfigError, "tls_port must be 0 to 65535, got 70000"),
        ({"port": 0, "tls_cert": "nowhere.pem"}, OSError, "TLS certificate nowhere.pem: "),
    ],
)
def test_settings_that_cannot_be(given, error, reason):
    with pytest.raises(error, match=re.escape(reason)):
        run_server({"echo": {}}, given)


def test_the_flags():
    args = _parser().parse_args(["serve", "--tls-self-signed", "--tls-port", "0"])
    assert serve_settings(args, {})[1] == {"tls_self_signed": True, "tls_port": 0}
    assert serve_settings(_parser().parse_args(["serve"]), {})[1] == {}


async def test_the_server_says_where_and_whom_to_trust(tmp_path):
    command = ["-m", "duplex", "serve", "--agent", "echo", "--port", "0", "--tls-self-signed", "--tls-port", "0"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, env={"DUPLEX_HOME": str(tmp_path / "a home"), "PATH": "/usr/bin:/bin"}, stdout=-1
    )
    try:
        plain, secure, trust = [(await asyncio.wait_for(process.stdout.readline(), 60)).decode() for _ in range(3)]
        assert plain.startswith("duplex serves echo at ws://127.0.0.1:")
        found = re.match(r"duplex serves echo at wss(://127\.0\.0\.1:\d+) ", secure)
        named = re.match(r"export SSL_CERT_FILE='(.*)'  # ", trust)
        assert found and named and Path(named[1]).parent == tmp_path / "a home" / "tls"
        async with aiohttp.ClientSession() as http:
            known = ssl.create_default_context(cafile=named[1])
            async with http.get(f"https{found[1]}/health", ssl=known) as response:
                assert (await response.json())["status"] == "ok"
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 20) == 0
