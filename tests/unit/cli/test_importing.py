"""`bridge xref import` and `rebuild` when they cannot go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import importing, rebuilding
from bridge.journal.opening import open_journal

Run = Callable[..., Any]
ORG = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


@pytest.fixture
def claims(tmp_path: Path) -> Path:
    path = tmp_path / "claims.csv"
    path.write_text("ledgerref\nL-1\n")
    return path


def test_an_interrupted_import_says_that_nothing_is_lost(
    run: Run, config: Path, claims: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C leaves what is imported; the same command may be given again."""

    async def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(importing, "_teach", interrupt)
    ran = run("xref", "import", claims, "-c", config, "--organization", ORG)
    assert ran.code == 130
    assert "Interrupted: nothing is lost; import the same file again" in ran.out


def test_an_interrupted_rebuild_says_that_it_goes_on(run: Run, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With how far it came."""

    async def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rebuilding, "_rebuild", interrupt)
    ran = run("xref", "rebuild", ORG, "-c", config)
    assert ran.code == 130
    assert "Interrupted after 0 claims: run the same command again" in ran.out


@pytest.mark.parametrize(
    "command", [("find", "L-1"), ("rebuild", ORG), ("import", "claims.csv", "--organization", ORG)]
)
def test_without_a_journal_there_is_nothing_to_teach(
    run: Run, config: Path, claims: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says how to get one."""
    monkeypatch.chdir(claims.parent)
    ran = run("xref", *command, "-c", config)
    assert ran.code == 1
    assert "start the bridge once" in ran.err


def test_a_modern_system_that_cannot_be_reached_is_told(run: Run, configure: Callable[..., Path]) -> None:
    """Whose claims, how far, and that the next run goes on."""
    config = configure(more='[modern]\nbase_url = "http://127.0.0.1:9"\ntoken_url = "http://127.0.0.1:9/token"\n')

    async def create() -> None:
        await (await open_journal("sqlite:///journal.db", base=config.parent)).close()

    asyncio.run(create())
    ran = run("xref", "rebuild", ORG, "-c", config)
    assert ran.code == 1
    assert f"bridge: {ORG}: stopped after 0 claims: the token service did not answer" in ran.err
    assert "run the same command again, and it goes on where it stopped" in ran.err
