"""`bridge ready`: from a journal and a configuration to GO or NO-GO, for people, for scripts, and as a page."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.journal import CountUnknown, KeepSamples, Observation, Observe, Sample, SeeCreditor, SetSwitch
from bridge.journal.opening import open_journal
from bridge.mapping import load_profile
from bridge.mapping.examples import list_parts, list_refusals
from bridge.modes import Mode, Switch
from bridge.steering.observing import Topic

Run = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[3]
ORG = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
AT = "2024-11-20"
NOON = datetime(2024, 11, 20, 12, tzinfo=UTC).timestamp()
SHADOW = SetSwitch(Switch(ORG, Mode.SHADOW, at=NOON - 9 * 86_400, actor="kari", reason="look"), 0)


def fill(folder: Path, *changes: Any) -> None:
    async def write() -> None:
        journal = await open_journal("sqlite:///journal.db", base=folder)
        await journal.write(*changes)
        await journal.close()

    asyncio.run(write())


def see(topic: Topic, *subject: str, count: int = 1, days_ago: int = 0) -> Observe:
    return Observe([Observation(ORG, NOON - days_ago * 86_400, topic, subject, count)])


def good_traffic() -> list[Any]:
    """Return enough of everything for a GO, every part of the mapping files included."""
    traffic = [see(Topic.COMPARED, "same", count=400, days_ago=day) for day in range(5)]
    parts = [
        (name, part)
        for name, mapping in load_profile(ROOT / "mappings" / "autocollect").objects.items()
        for part in list_parts(mapping)
        if part not in set(list_refusals(mapping))
    ]
    return [SHADOW, *traffic, *(see(Topic.RULE, "autocollect", *part) for part in parts)]


def test_a_go(run: Run, config: Path) -> None:
    """Exit code 0, and nothing to complain about; an unknown creditor that was onboarded since is none."""
    fill(config.parent, *good_traffic(), SeeCreditor("ERP-1", "984842252", False, ("idnumber",), NOON))
    ran = run("ready", ORG, "-c", config, "--at", AT)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[0] == f"{ORG}, in mode shadow; 2024-11-07 to 2024-11-20 (UTC)"
    assert ran.out.endswith("\nGO: nothing speaks against it.\n")
    assert "blocks:" not in ran.out


def test_a_go_with_something_to_look_at(run: Run, config: Path) -> None:
    """It is said beside the verdict, which stays."""
    fill(config.parent, *good_traffic(), see(Topic.UNKNOWN, "autocollect", "invoice", "colour"))
    ran = run("ready", ORG, "-c", config, "--at", AT)
    assert ran.code == 0
    assert ran.out.endswith("\nGO: nothing blocks it; 1 thing to look at.\n")


def test_a_no_go(run: Run, config: Path) -> None:
    """Exit code 1; every reason with figures, details, and what to do; signs that a terminal obeys are shown as `?`."""
    fill(
        config.parent,
        *good_traffic(),
        *(see(Topic.DIFFERENCE, f"invoice.f{n:02}\x1b[31m", "value", "different", "", "a.toml: b") for n in range(12)),
        SeeCreditor("ERP-1", "999", False, ("idnumber",), NOON),
        SeeCreditor("gone", "888", False, ("idnumber",), NOON),
        CountUnknown("ERP-1", "invoice", {"colour": 3}, NOON),
        CountUnknown("gone", "invoice", {"shape": 3}, NOON),
    )
    ran = run("ready", ORG, "-c", config, "--at", AT)
    assert ran.code == 1
    assert "blocks: Without excuse: 12 differences in 12 fields." in ran.out
    assert "  - invoice.f00?[31m: 1 value ← a.toml: b" in ran.out
    assert "  - … 2 more: see --html or --json" in ran.out
    assert "creditor 999 of sender ERP-1" in ran.out
    assert "invoice.colour: 3 rows" in ran.out
    assert "888" not in ran.out
    assert "shape" not in ran.out
    assert "\x1b" not in ran.out
    assert ran.out.endswith("NO-GO: 2 reasons against it.\n")


def test_an_empty_journal_is_a_no_go(run: Run, config: Path) -> None:
    """There is nothing to tell from, and every part of the mapping files is idle; dropped fields are no part."""
    fill(config.parent, SHADOW)
    told = run("ready", ORG, "-c", config, "--at", AT, "--json").json
    assert told["verdict"] == "NO-GO"
    reasons = {reason["code"]: reason for reason in told["reasons"]}
    assert list(reasons) == ["too_little_traffic", "idle_parts"]
    assert not any("drop " in line for line in reasons["idle_parts"]["details"])
    assert any('operation "create_invoices"' in line for line in reasons["idle_parts"]["details"])
    assert any(each["refusing"] for each in told["coverage"])


def test_its_terms_are_settings(run: Run, configure: Callable[..., Path], tmp_path: Path) -> None:
    """What is asked for stands under [readiness]; what would excuse a difference, in the rules file."""
    rules = """
[[rule]]
id = "ids"
path = "invoice.ledgerref"
does = "ignore"
owner = "kari"
reason = "each system has its own"
expires = 2024-12-10
"""
    (tmp_path / "rules.toml").write_text(rules, encoding="utf-8")
    more = "\n[readiness]\nmin_rows = 3000\nexpiry_days = 20\n\n[cutover]\ndifferences = 'rules.toml'\n"
    config = configure(more=more)
    fill(tmp_path, *good_traffic(), see(Topic.DIFFERENCE, "invoice.ledgerref", "value", "excused", "ids", ""))
    told = run("ready", ORG, "-c", config, "--at", AT, "--json").json
    assert [reason["code"] for reason in told["reasons"]] == ["too_little_traffic", "expiring_excuses"]
    assert told["terms"] == {"min_rows": 3000, "min_days": 5, "expiry_days": 20, "left_out_percent": 5.0}


def test_the_page(run: Run, config: Path, tmp_path: Path) -> None:
    """It is written in place of an older one, for its owner only, beside what is told; the same each time."""
    sample = Sample(ORG, "invoice.x", "value", NOON, "ERP-1", None, "<b>1</b>", "2")
    difference = see(Topic.DIFFERENCE, "invoice.x", "value", "different", "", "")
    fill(config.parent, *good_traffic(), difference, KeepSamples([sample]))
    page = tmp_path / "ready.html"
    ran = run("ready", ORG, "-c", config, "--at", AT, "--html", page)
    assert ran.code == 1
    assert f"The page is written: {page}" in ran.out
    first = page.read_bytes()
    assert b"&lt;b&gt;1&lt;/b&gt;" in first
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    run("ready", ORG, "-c", config, "--at", AT, "--html", page)
    assert page.read_bytes() == first


@pytest.mark.parametrize(("arguments", "code"), [(("--html", "nowhere/x.html"), 1), (("--days", "0"), 2)])
def test_what_cannot_be(run: Run, config: Path, arguments: tuple[str, str], code: int) -> None:
    """A page that cannot be written is told; so is a window of no days."""
    fill(config.parent, SHADOW)
    ran = run("ready", ORG, "-c", config, *arguments)
    assert ran.code == code
    assert arguments[0] in ran.err or arguments[1] in ran.err


def test_a_day_to_come_is_refused(run: Run, config: Path) -> None:
    """Nothing can have been seen on it; today, by UTC, is named instead."""
    fill(config.parent, *good_traffic())
    today = datetime.now(UTC).date()
    ran = run("ready", ORG, "-c", config, "--at", today + timedelta(days=2))
    assert (ran.code, ran.out) == (2, "")
    said = " ".join(ran.err.split())
    assert "--at" in said
    assert f"{today + timedelta(days=2)} is still to come; give today (20" in said
    assert "NO-GO" in run("ready", ORG, "-c", config, "--at", today).out
