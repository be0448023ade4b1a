"""A shadow target: batches are really submitted, elsewhere and under another organization; production sees none."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import SettingsFault
from bridge.sandbox import Running, SandboxOptions, running

ORG_B = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
STAGING = "11111111-2222-4333-8444-555555555555"
CREDITOR_A, CREDITOR_B = "984842252", "971274190"

TARGET = """
[shadow]
base_url = "{base_url}"
token_url = "{token_url}"
storage_url = "sqlite:///{folder}/shadow.db"
answer_seconds = {answer_seconds}

[organization.shadow]
id = "{organization}"
client_id = "staging"
client_secret = "staging-secret"
"""
"""The last organization of the configuration, ORG_B, has a stand-in."""


@pytest.fixture
async def staging() -> AsyncIterator[Running]:
    """The system that the shadow writes to."""
    async with running(SandboxOptions(port=0)) as sandbox:
        yield sandbox


def lead_to(staging: Running, folder: Path, answer_seconds: float = 20) -> str:
    return TARGET.format(
        base_url=staging.base_url,
        token_url=staging.token_url,
        folder=folder,
        organization=STAGING,
        answer_seconds=answer_seconds,
    )


async def test_batches_are_submitted_to_the_target_and_nowhere_else(
    open_shadow: Any, invoice: Any, staging: Running, tmp_path: Path
) -> None:
    """Under the stand-in's id, with its credentials; the legacy host answers, production is not even asked."""
    async with open_shadow(more=lead_to(staging, tmp_path)) as shadowed:
        for number in range(3):
            batch = {"invoice": [invoice(str(number), creditorid=CREDITOR_B)]}
            assert (await shadowed.post(batch, "ERP-2"))[0] == 200
        assert await shadowed.watched(3, ORG_B) == {("compared",): 3}
        assert await shadowed.seen("compared", ORG_B) == {("same",): 3}
        assert sorted(staging.state.account(STAGING).tallies["invoices"].accepted) == ["erp-0", "erp-1", "erp-2"]
        assert {one.organization for one in staging.requests.newest() if one.organization} == {STAGING}
        assert shadowed.modern_requests == []
        assert (await shadowed.world.ledger()).accepted == 0


async def test_the_targets_verdict_is_compared_not_the_prediction(
    open_shadow: Any, invoice: Any, staging: Running, tmp_path: Path
) -> None:
    """What the modern system refuses is a difference of verdict, and what depends on old claims can be judged."""
    staging.play(
        {
            "fault": [
                {"kind": "refuse", "operation": "invoices", "where": {"invoiceNumber": "2"}, "text": "not this one"}
            ]
        }
    )
    async with open_shadow(more=lead_to(staging, tmp_path)) as shadowed:
        rows = [invoice(str(number), creditorid=CREDITOR_B) for number in range(4)]
        await shadowed.post({"invoice": rows}, "ERP-2")
        await shadowed.watched(1, ORG_B)
        assert await shadowed.seen("compared", ORG_B) == {("same",): 3, ("different",): 1}


async def test_an_organization_without_stand_in_is_predicted(
    open_shadow: Any, invoice: Any, staging: Running, tmp_path: Path
) -> None:
    """Nothing of it is sent to anybody."""
    async with open_shadow(more=lead_to(staging, tmp_path)) as shadowed:
        await shadowed.post({"invoice": [invoice("1", creditorid=CREDITOR_A)]}, "ERP-2")
        assert await shadowed.watched(1) == {("compared",): 1}
        assert staging.requests.newest() == []
        assert shadowed.modern_requests == []


async def test_a_hanging_target_holds_up_nobody(
    open_shadow: Any, invoice: Any, staging: Running, tmp_path: Path
) -> None:
    """Callers are answered, few batches wait for it, the rest is left out; also the stop does not wait."""
    staging.play({"fault": [{"kind": "slow", "operation": "token", "seconds": 600}]})
    async with open_shadow(more=lead_to(staging, tmp_path, answer_seconds=600)) as shadowed:
        for number in range(40):
            began = time.monotonic()
            batch = {"invoice": [invoice(str(number), creditorid=CREDITOR_B)]}
            assert (await shadowed.post(batch, "ERP-2"))[0] == 200
            assert time.monotonic() - began < 5
        assert (await shadowed.watched(32, ORG_B))["left_out",] == 32
        assert len(shadowed.world.bridge.lookout._watcher._questions) == 8
        began = time.monotonic()
    assert time.monotonic() - began < 20
    async with open_shadow() as shadowed:
        assert (await shadowed.seen("pair", ORG_B)) == {("left_out",): 40}


async def test_an_answer_that_is_not_final_in_time_is_left_out(
    open_shadow: Any, invoice: Any, staging: Running, tmp_path: Path
) -> None:
    """`PENDING` is no answer to be compared."""
    staging.play({"behaviour": {"finish_after_seconds": 600}})
    async with open_shadow(more=lead_to(staging, tmp_path, answer_seconds=0.3)) as shadowed:
        await shadowed.post({"invoice": [invoice("1", creditorid=CREDITOR_B)]}, "ERP-2")
        assert await shadowed.watched(1, ORG_B) == {("left_out",): 1}


async def test_a_target_whose_journal_is_away_keeps_nobody_from_starting(
    open_shadow: Any, invoice: Any, staging: Running, tmp_path: Path
) -> None:
    """What would go there is left out, and production goes on."""
    away = 'storage_url = "postgresql://nobody:secret@127.0.0.1:9/shadow"'
    more = lead_to(staging, tmp_path).replace(f'storage_url = "sqlite:///{tmp_path}/shadow.db"', away)
    async with open_shadow(more=more) as shadowed:
        assert (await shadowed.post({"invoice": [invoice("1", creditorid=CREDITOR_B)]}, "ERP-2"))[0] == 200
        assert await shadowed.watched(1, ORG_B) == {("left_out",): 1}


async def test_a_target_that_is_production_is_refused_at_the_start(open_shadow: Any, tmp_path: Path) -> None:
    """However its address is spelt: every shadowed batch would be written for real."""
    async with running(SandboxOptions(port=0)) as sandbox:
        more = lead_to(sandbox, tmp_path).replace(sandbox.base_url, sandbox.base_url + "/")
        with pytest.raises(SettingsFault, match=r"shadow\.base_url.*is modern\.base_url"):
            async with open_shadow(more=more, sandbox=sandbox):
                raise AssertionError("it has started")
