"""The command line: a mistake is one line and exit 2; flags and tables become settings."""

from __future__ import annotations

import subprocess
import sys
import types
from importlib.metadata import version
from pathlib import Path

import pytest

from duplex.cli import _parser, main, serve_settings
from duplex.config import ConfigError, read_toml
from duplex.session import AtCapacity, Unsupported


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUPLEX_HOME", str(tmp_path / "home"))


def settings(*argv: str) -> tuple[dict, dict]:
    args = _parser().parse_args(["serve", *argv])
    return serve_settings(args, read_toml(args.config) if args.config else {})


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list:
    """`duplex.server` replaced by one that notes what it was asked to serve, or raises what is put in."""
    asked: list = []
    server = types.ModuleType("duplex.server")

    def run_server(agents: dict, given: dict) -> int:
        if asked and isinstance(asked[0], BaseException):
            raise asked[0]
        asked.append((agents, given))
        return 0

    server.__dict__["run_server"] = run_server
    monkeypatch.setitem(sys.modules, "duplex.server", server)
    return asked


# --- serve ------------------------------------------------------------------------------------------------------------


def test_by_default_both_agents_are_served_with_their_own_defaults(served: list) -> None:
    assert main(["serve"]) == 0
    assert served == [({"native": {}, "cascade": {}}, {})]


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "d.toml"
    path.write_text('[server]\nport = 1\nkey = "k"\n[native]\nseats = 2\ncontext = 375\n[cascade]\npersona = "p"\n')
    agents, server = settings("--config", str(path), "--port", "9000", "--seats", "4", "--checkpoint", "moshiko")
    assert server == {"port": 9000, "key": "k"}
    assert agents["native"] == {"seats": 4, "context": 375, "checkpoint": "moshiko"}
    assert agents["cascade"] == {"persona": "p"}


def test_only_the_named_agents_are_served_a_foreign_one_too(tmp_path: Path) -> None:
    path = tmp_path / "d.toml"
    path.write_text('["my.agent:make"]\nsize = 3\n[cascade]\npersona = "unused"\n')
    agents, _ = settings("--config", str(path), "--agent", "echo", "--agent", "my.agent:make")
    assert agents == {"echo": {}, "my.agent:make": {"size": 3}}


@pytest.mark.parametrize(
    ("text", "argv", "message"),
    [
        ("[natives]\nseats = 2\n", [], r"no table \[natives\]; valid tables: server, native, cascade, echo, scripted"),
        ("native = 3\n", [], r"'native' must be a table, got 3"),
        ("", ["--agent", "echo", "--device", "cuda"], r"--device is for the native agent, which --agent leaves out"),
    ],
)
def test_a_setting_that_nobody_owns_is_refused(tmp_path: Path, text: str, argv: list[str], message: str) -> None:
    path = tmp_path / "d.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        settings("--config", str(path), *argv)


def test_talk_hands_its_flags_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list = []
    talk = types.ModuleType("duplex.clients.talk")
    talk.__dict__["run_talk"] = lambda **given: asked.append(given) or 0
    monkeypatch.setitem(sys.modules, "duplex.clients.talk", talk)
    assert main(["talk", "--agent", "cascade", "--input", "user.wav", "--key", "k"]) == 0
    assert asked[0].items() >= {"agent": "cascade", "input": Path("user.wav"), "output": None, "key": "k"}.items()
    assert asked[0]["url"] == "ws://127.0.0.1:8998"


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [ConfigError("two\n  lines"), Unsupported("no persona"), AtCapacity("full"), OSError(98, "Address already in use")],
)
def test_what_a_person_can_mend_is_one_line_and_exit_2(served: list, capsys, error: Exception) -> None:
    served.append(error)
    assert main(["serve"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err == f"duplex: {' '.join(str(error).split())}\n"


def test_a_defect_of_ours_is_not_dressed_up(served: list) -> None:
    served.append(ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError):
        main(["serve"])


def test_control_c_is_quiet(served: list, capsys) -> None:
    served.append(KeyboardInterrupt())
    assert main(["serve"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["weights", "where", "nope"], "no checkpoint 'nope'; known: nano, "),
        (["weights", "fetch", "nope"], "no checkpoint 'nope'; known: nano, "),
        (["weights", "where", "smollm2-135m"], "no SmolLM2-135M-Instruct.Q4_1.gguf (weights of SmolLM2"),
        (["serve", "--config", "/nowhere/d.toml"], "/nowhere/d.toml: no such file"),
    ],
)
def test_real_mistakes_as_a_user_sees_them(argv: list[str], message: str) -> None:
    done = subprocess.run([sys.executable, "-m", "duplex", *argv], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("duplex: ") and message in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("argv", [[], ["weights"], ["dance"], ["serve", "--port", "many"]])
def test_a_wrong_command_line_shows_usage_and_exits_2(argv: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2 and "usage: duplex" in capsys.readouterr().err


# --- weights and doctor -----------------------------------------------------------------------------------------------


def test_weights_where_prints_the_folder_and_nothing_else(capsys) -> None:
    assert main(["weights", "where", "nano"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert (Path(line) / "model.safetensors").exists()


def test_weights_fetch_verifies_what_is_there(capsys) -> None:
    assert main(["weights", "fetch", "nano"]) == 0
    assert Path(capsys.readouterr().out.strip()).name == "nano"


def test_weights_list_has_a_line_for_each_with_size_licence_and_presence(capsys) -> None:
    assert main(["weights", "list"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[1:]}
    assert "98 MB" in rows["smollm2-135m"] and "Apache-2.0" in rows["smollm2-135m"] and " no " in rows["smollm2-135m"]
    assert " yes " in rows["nano"]
    assert "about 15.8 GB" in rows["moshiko"]
    assert "unknown" in rows["personaplex"] and "NVIDIA Open Model License" in rows["personaplex"]


def test_doctor_reports_this_machine(capsys) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for word in ("CPU", "memory", "GPU", "sound", "nano", "moshiko", "duplex weights fetch"):
        assert word in out


def test_version(capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0 and capsys.readouterr().out == f"duplex {version('duplex')}\n"
