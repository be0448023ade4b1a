"""`bridge creditors list` and `bridge unknown list`, on what senders have sent."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.journal import Change, CountUnknown, SeeCreditor
from bridge.journal.opening import open_journal

Run = Callable[..., Any]
ORG = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
OTHER = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
NOON = 1_700_049_600.0
NASTY = '9"\n[[sender]]'


def write(folder: Path, *changes: Change) -> None:
    async def run() -> None:
        journal = await open_journal("sqlite:///journal.db", base=folder)
        if changes:
            await journal.write(*changes)
        await journal.close()

    asyncio.run(run())


@pytest.fixture
def seen(configure: Callable[..., Path]) -> Path:
    """A register with a known creditor, one onboarded since, another sender's, and two that nobody knows."""
    config = configure(
        more=f"""
[[organization]]
id = "{OTHER}"
creditors = ["971274190"]
client_id = "fjellheim"
client_secret = "demo"

[[sender]]
id = "ERP-2"
organizations = ["{OTHER}"]
bearer = "other"
"""
    )
    fields = ("fullname", "idnumber")
    write(
        config.parent,
        SeeCreditor("ERP-1", "984842252", True, fields, NOON),
        SeeCreditor("ERP-2", "971274190", False, fields, NOON),
        SeeCreditor("ERP-1", "971274190", False, fields, NOON),
        SeeCreditor("ERP-1", "999888777", False, fields, NOON),
        SeeCreditor("ERP-1", "999888777", False, fields, NOON + 60),
        SeeCreditor("ERP-9", NASTY, False, fields, NOON),
    )
    return config


def test_creditors(run: Run, seen: Path) -> None:
    """Each creditor is one line: whose, whether it is known, when it was seen, which fields it had."""
    ran = run("creditors", "list", "-c", seen)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert any(
        line.split()[:3] == ["ERP-1", "984842252", "yes"] and line.endswith("fullname, idnumber") for line in lines
    )
    assert any(line.split()[:5] == ["ERP-2", "971274190", "not", "when", "last"] for line in lines)
    (unknown,) = [line for line in lines if line.split()[:3] == ["ERP-1", "999888777", "no"]]
    assert "2023-11-15 12:00:00  2023-11-15 12:01:00" in unknown
    assert 'creditors = ["999888777"]' in lines


def test_creditors_json(run: Run, seen: Path) -> None:
    """Scripts get what was so when it was last seen, and what the configuration says now."""
    creditors = run("creditors", "list", "-c", seen, "--json").json
    assert creditors[2] == {
        "sender": "ERP-1",
        "idnumber": "999888777",
        "known": False,
        "fields": ["fullname", "idnumber"],
        "first_seen": "2023-11-15T12:00:00+00:00",
        "last_seen": "2023-11-15T12:01:00+00:00",
        "configured": False,
        "organizations": [],
    }
    states = {(one["sender"], one["idnumber"]): (one["known"], one["configured"]) for one in creditors}
    assert states["ERP-1", "984842252"] == (True, True)
    assert states["ERP-2", "971274190"] == (False, True)
    assert states["ERP-1", "971274190"] == (False, False)
    assert states["ERP-9", NASTY] == (False, False)


def test_paste(run: Run, seen: Path) -> None:
    """What is to be pasted is TOML and holds each unknown creditor once, whatever an ERP calls it."""
    ran = run("creditors", "list", "-c", seen, "--paste")
    pasted = tomllib.loads(ran.out)
    assert [one["creditors"] for one in pasted["organization"]] == [["999888777"], [NASTY]]
    assert pasted.keys() == {"organization"}


def test_paste_names_the_organization_that_has_it(run: Run, seen: Path) -> None:
    """A creditor of an organization that the sender may not write to needs no second organization."""
    ran = run("creditors", "list", "-c", seen, "--paste")
    assert '# creditor "971274190" belongs to an organization here' in ran.out
    assert f'#   "{OTHER}"' in ran.out


def test_pasting_makes_it_known(run: Run, seen: Path) -> None:
    """The block, filled in and its id given to the sender, is what the configuration lacked."""
    new = "9f8e7d6c-5b4a-4c3d-8e2f-1a0b9c8d7e6f"
    block = run("creditors", "list", "-c", seen, "--paste").out.partition('# creditor "9\\"')[0]
    filled = block.replace('id = ""\n', f'id = "{new}"\n', 1).replace('client_id = ""', 'client_id = "c"')
    filled = filled.replace('{ env = "" }', '"demo"')
    text = seen.read_text().replace(f'organizations = ["{ORG}"]', f'organizations = ["{ORG}", "{new}"]')
    seen.write_text(text + filled)
    creditors = run("creditors", "list", "-c", seen, "--json").json
    assert {one["idnumber"] for one in creditors if not one["configured"]} == {"971274190", NASTY}


def test_unknown(run: Run, config: Path) -> None:
    """Unknown fields are counted by sender and object, the most frequent first."""
    write(
        config.parent,
        CountUnknown("ERP-1", "invoice", {"hat": 1, "shoeSize": 2}, NOON),
        CountUnknown("ERP-1", "invoice", {"shoeSize": 3}, NOON + 60),
    )
    ran = run("unknown", "list", "-c", config)
    first, second = ran.out.splitlines()[1:3]
    assert first.split() == ["ERP-1", "invoice", "5", "2023-11-15", "12:01:00", "shoeSize"]
    assert second.split()[-1] == "hat"
    assert "another profile" in ran.out
    assert run("unknown", "list", "-c", config, "--json").json[0] == {
        "sender": "ERP-1",
        "objectname": "invoice",
        "field": "shoeSize",
        "count": 5,
        "last_seen": "2023-11-15T12:01:00+00:00",
    }


def test_nothing_seen(run: Run, config: Path) -> None:
    """Empty registers say so; nothing is to be pasted."""
    write(config.parent)
    assert run("creditors", "list", "-c", config).out == "No sender has mentioned a creditor yet.\n"
    assert run("creditors", "list", "-c", config, "--paste").out == ""
    assert run("unknown", "list", "-c", config).out.startswith("No sender has sent a field")


def test_nothing_to_paste(run: Run, config: Path) -> None:
    """Where every creditor is known there is nothing to configure."""
    write(config.parent, SeeCreditor("ERP-1", "984842252", True, (), NOON))
    assert "[[organization]]" not in run("creditors", "list", "-c", config).out
