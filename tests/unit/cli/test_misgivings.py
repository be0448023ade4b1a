"""`bridge mode set` towards modern: what speaks against it is told, and it is done all the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import misgivings
from bridge.journal import Change, Observation, Observe, SetSwitch
from bridge.journal.opening import open_journal
from bridge.modes import Mode, Switch
from bridge.steering.observing import Topic

ORG = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
WORD = ("--actor", "Kari", "--reason", "ticket 12")
LEGACY = '\n[legacy]\nbase_url = "https://legacy.example"\n'
SHADOW = SetSwitch(Switch(ORG, Mode.SHADOW, at=1.0, actor="Ola"), 0)
Run = Callable[..., Any]
Configure = Callable[..., Path]


def write(config: Path, *changes: Change) -> None:
    async def run() -> None:
        journal = await open_journal("sqlite:///journal.db", base=config.parent)
        await journal.write(*changes)
        await journal.close()

    asyncio.run(run())


def see(config: Path, *seen: tuple[Topic, tuple[str, ...], int]) -> None:
    """Have the bridge seen something today."""
    write(config, Observe([Observation(ORG, time.time() - 60, *one) for one in seen]))


def mode_of(run: Run, config: Path) -> Any:
    return run("mode", "show", ORG, "--json", "-c", config).json[0]["mode"]


PAIRS = (Topic.PAIR, ("compared",), 5)
NOT_READY = (
    PAIRS,
    (Topic.COMPARED, ("same",), 7),
    (Topic.DIFFERENCE, ("invoice.x", "value", "different", "", ""), 2),
)
GO = (PAIRS, (Topic.COMPARED, ("same",), 7))
EASY = "\n[readiness]\nmin_rows = 1\nmin_days = 1\n"


@pytest.fixture
def shadowed(configure: Configure) -> Path:
    """An organization in shadow."""
    config = configure(more=LEGACY + EASY)
    write(config, SHADOW)
    return config


@pytest.mark.parametrize("arguments", [("modern",), ("shadow", "--percent", "25", "--to", "modern")])
def test_a_switch_that_is_not_ready_is_made_and_warned_about(
    run: Run, shadowed: Path, arguments: tuple[str, ...]
) -> None:
    """With the first reasons, and the command that has all of them; the history says nothing of it."""
    see(shadowed, *NOT_READY)
    ran = run("mode", "set", ORG, *arguments, *WORD, "-c", shadowed)
    assert (ran.code, ran.err) == (0, "")
    assert "NO-GO: `bridge ready` has 1 reason against it. It was switched all the same" in ran.out
    assert "\n- Without excuse: 2 differences in 1 field.\n" in ran.out
    assert ran.out.endswith(f"bridge ready {ORG}\n")
    *_, last = run("mode", "history", "--json", "-c", shadowed).json
    assert "modern" in {last["after"]["mode"], last["after"]["to"]}
    assert last["reason"] == "ticket 12"


@pytest.mark.parametrize(("most", "begins"), [(3, ["NO-GO: `", "- Withou", "With det"]), (0, ["NO-GO: `", "With det"])])
def test_scripts_are_warned_as_well(
    run: Run, shadowed: Path, monkeypatch: pytest.MonkeyPatch, most: int, begins: list[str]
) -> None:
    """Of many reasons the first are among the warnings."""
    monkeypatch.setattr(misgivings, "MOST_REASONS", most)
    see(shadowed, *NOT_READY)
    warnings = run("mode", "set", ORG, "modern", *WORD, "--json", "-c", shadowed).json["warnings"]
    assert [one[:8] for one in warnings] == begins


@pytest.mark.parametrize(
    ("seen", "goal"), [(GO, "modern"), ((), "modern"), (NOT_READY, "legacy"), (NOT_READY, "shadow")]
)
def test_nobody_is_warned_without_need(run: Run, shadowed: Path, seen: tuple[Any, ...], goal: str) -> None:
    """Neither on a GO, nor where nothing was ever seen, nor on a way that does not lead to modern."""
    if seen:
        see(shadowed, *seen)
    out = run("mode", "set", ORG, goal, *WORD, "-c", shadowed).out
    assert "NO-GO" not in out
    assert "bridge ready" not in out


def test_going_back_a_part_is_not_warned_about(run: Run, shadowed: Path) -> None:
    """A smaller percentage is a way back."""
    see(shadowed, *NOT_READY)
    for percent, warned in (("50", True), ("20", False), ("30", True)):
        ran = run("mode", "set", ORG, "shadow", "--percent", percent, "--to", "modern", *WORD, "-c", shadowed)
        assert ("NO-GO" in ran.out) == warned, percent


@pytest.mark.parametrize("more", ["", LEGACY])
def test_readiness_is_not_looked_for_where_it_has_no_meaning(
    run: Run, configure: Configure, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    """Without a legacy host not even the journal is asked; where nothing was seen no report is made."""
    config = configure(more=more)
    write(config, SHADOW)

    def fail(*_: Any) -> None:
        raise AssertionError("looked for")

    monkeypatch.setattr(misgivings, "make_report" if more else "read_books", fail)
    assert "looked for" not in run("mode", "set", ORG, "modern", *WORD, "-c", config).out
    assert mode_of(run, config) == "modern"


def test_a_report_that_cannot_be_made_does_not_fail_the_switch(
    run: Run, configure: Configure, shadowed: Path, tmp_path: Path
) -> None:
    """It is said why, and what to do."""
    see(shadowed, *NOT_READY)
    configure(more=LEGACY + EASY + '\n[cutover]\ndifferences = "gone.toml"\n')
    ran = run("mode", "set", ORG, "modern", *WORD, "-c", shadowed)
    assert (ran.code, ran.err) == (0, "")
    assert "Whether it is ready could not be found out (" in ran.out
    assert "gone.toml" in ran.out
    assert "Put that right; then: bridge ready ORG" in ran.out
    assert mode_of(run, shadowed) == "modern"
