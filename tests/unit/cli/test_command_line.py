"""What every command has in common: help, usage, exit codes, and how fast it starts."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.testing

import bridge.__main__
from bridge import __version__
from bridge.cli import app
from bridge.errors import SettingsFault

Run = Callable[..., Any]
COMMANDS = (
    ("serve",),
    ("sandbox",),
    ("demo",),
    ("check",),
    ("translate",),
    ("batches",),
    ("batches", "list"),
    ("batches", "show"),
    ("batches", "settle"),
    ("creditors",),
    ("creditors", "list"),
    ("unknown",),
    ("unknown", "list"),
    ("ledger",),
    ("xref",),
    ("xref", "find"),
    ("xref", "rebuild"),
    ("xref", "import"),
)
HEAVY = ("aiohttp", "pydantic", "marshmallow", "rich.console", "bridge.app", "bridge.sandbox", "msgspec")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help(command: tuple[str, ...]) -> None:
    """Every command says what it does and explains each of its options."""
    result = typer.testing.CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output
    assert "\x1b" not in result.output
    assert "╭" not in result.output


def test_sandbox_help_tells_limits(run: Run) -> None:
    """The sandbox's help says that it proves nothing about the vendor; --limits prints everything it does not know."""
    assert "proves the bridge, not" in run("sandbox", "--help").out
    limits = run("sandbox", "--limits")
    assert limits.code == 0
    assert "Assumed, because nobody outside the vendor can see it" in limits.out


def test_version(run: Run) -> None:
    """--version prints one line."""
    ran = run("--version")
    assert (ran.code, ran.out) == (0, f"bridge {__version__}\n")


@pytest.mark.parametrize("arguments", [("frobnicate",), ("serve",), ("check",), ("batches", "show"), ("ledger", "--x")])
def test_usage(run: Run, arguments: tuple[str, ...]) -> None:
    """A wrong command line is told on stderr, with exit code 2."""
    ran = run(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert "Error" in ran.err


def test_a_terminal_without_arrows_gets_escapes(tmp_path: Path) -> None:
    """What its character set lacks is spelt; the command does its work all the same."""
    program = (
        "from bridge.cli.screen import Screen; import bridge.__main__ as m; m.app = lambda **_: Screen().say('å → b')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", f"{program}; raise SystemExit(m.main([]))"],
        capture_output=True,
        env={"PYTHONIOENCODING": "iso-8859-1", "PATH": ""},
        cwd=tmp_path,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"\xe5 \\u2192 b\n", b"")


def test_no_command(run: Run) -> None:
    """Without a command, the help is shown."""
    ran = run()
    assert "demo" in ran.out + ran.err
    assert ran.code == 2


@pytest.mark.parametrize(
    "command",
    [
        ("serve",),
        ("check",),
        ("ledger",),
        ("batches", "list"),
        ("batches", "show", "b"),
        ("batches", "settle", "b", "--accepted", "--by", "n", "--because", "t"),
        ("creditors", "list"),
        ("unknown", "list"),
        ("translate", "-"),
    ],
)
def test_config_from_environment(
    run: Run, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """BRIDGE_CONFIG stands for --config everywhere; a file that is not there is named, without a traceback."""
    monkeypatch.setenv("BRIDGE_CONFIG", str(tmp_path / "nowhere.toml"))
    ran = run(*command)
    assert ran.code == 1
    assert "nowhere.toml" in ran.out + ran.err
    assert "Traceback" not in ran.err


def test_operator_errors(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A fault the operator must see is one message on stderr."""
    assert _end_with(monkeypatch, SettingsFault("a.toml: server.port: must be a number")) == 1
    assert capsys.readouterr().err == "bridge: a.toml: server.port: must be a number\n"


@pytest.mark.parametrize(
    ("raised", "code"),
    [(KeyboardInterrupt(), 130), (SystemExit(3), 3), (SystemExit(None), 0), (SystemExit("text"), 1), (None, 0)],
)
def test_exit_codes(monkeypatch: pytest.MonkeyPatch, raised: BaseException | None, code: int) -> None:
    """However a command ends, there is a number for it."""
    assert _end_with(monkeypatch, raised) == code


def _end_with(monkeypatch: pytest.MonkeyPatch, raised: BaseException | None) -> int:
    def command(**_: object) -> None:
        if raised is not None:
            raise raised

    monkeypatch.setattr(bridge.__main__, "app", command)
    return bridge.__main__.main([])


def test_imports_stay_light() -> None:
    """Importing the command line pulls in none of what only the commands need."""
    code = f"import sys, bridge.__main__; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("flag", ["--version", "--help"])
def test_starts_at_once(flag: str) -> None:
    """Version and help answer within 0.4 seconds; the fastest of five, because the machine may be busy."""
    assert min(_measure_seconds(flag) for _ in range(5)) < 0.4


def _measure_seconds(flag: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "bridge", flag], capture_output=True, check=True)
    return time.perf_counter() - began
