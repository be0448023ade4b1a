"""The bridge is stopped with work in every state, and opened again on the same journal."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.batch import CallState
from bridge.sandbox import Running, SandboxOptions, running

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ROOT = Path(__file__).resolve().parents[2]
Invoice = Callable[..., dict[str, Any]]
QUICK = {"request_timeout_seconds": 0.3, "settle_seconds": 0.2}
NEVER: dict[str, object] = {"behaviour": {"finish_after_seconds": 86_000}}


@pytest.fixture
async def sandbox() -> AsyncIterator[Running]:
    """A modern system that outlives the bridge, and wakes up whatever still sleeps at the end."""
    end = asyncio.Event()

    async def sleep(seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(end.wait(), seconds)

    async with running(SandboxOptions(port=0, sleep=sleep)) as sandbox:
        yield sandbox
        end.set()


def finish_all(sandbox: Running) -> None:
    """Let every modern batch come to its end."""
    for batch in list(sandbox.state.account(ORG_A).batches):
        sandbox.stand_in.tick(batch, at_least=batch.created_at + 86_400)


async def states(world: Any, batch_id: str) -> set[CallState]:
    """Return the states of a batch's calls."""
    return {call.state for call in (await world.books.load(batch_id)).calls}


async def reach(world: Any, batch_id: str, state: CallState) -> None:
    """Wait until a call of the batch is in this state."""
    async with asyncio.timeout(10):
        while state not in await states(world, batch_id):  # noqa: ASYNC110 - the journal rings no bell
            await asyncio.sleep(0.002)


async def ids_of(world: Any, batch_id: str) -> tuple[dict[Any, str], list[str]]:
    """Return the unique id of each row, and the keys of the calls."""
    stored = await world.books.load(batch_id)
    return {row.address: row.unique_id for row in stored.rows}, [call.id for call in stored.calls]


SCENES: dict[str, tuple[dict[str, Any], CallState]] = {
    "planned": (
        {"fault": [{"operation": "writes", "kind": "fail", "status": 503, "retry_after_seconds": 60}]},
        CallState.PLANNED,
    ),
    "submitting, never accepted": (
        {"fault": [{"operation": "writes", "kind": "slow", "seconds": 30}]},
        CallState.SUBMITTING,
    ),
    "submitting, accepted": (
        {"fault": [{"operation": "writes", "kind": "slow", "seconds": 30, "when": "after"}]},
        CallState.SUBMITTING,
    ),
    "submitted": (NEVER, CallState.SUBMITTED),
    "in doubt, accepted": (
        {
            "fault": [
                {"operation": "writes", "kind": "reset", "when": "after"},
                {"operation": "reads", "kind": "fail", "status": 500},
            ]
        },
        CallState.IN_DOUBT,
    ),
    "in doubt, never accepted": (
        {"fault": [{"operation": "writes", "kind": "reset"}, {"operation": "reads", "kind": "fail", "status": 500}]},
        CallState.IN_DOUBT,
    ),
}


@pytest.mark.parametrize("scene", SCENES)
async def test_a_batch_stopped_in_any_state_comes_to_its_end(
    open_world: Any, sandbox: Running, invoice: Invoice, scene: str
) -> None:
    """After the restart everything is final, nothing doubled; unique ids and keys are those of before."""
    script, state = SCENES[scene]
    batch = {
        "batchid": "b",
        "invoice": [invoice("1", uniqueSourceInvoiceId=None), invoice("2"), invoice("3", dueDate="x")],
        "payment": [{"invoiceNumber": "1", "amount": 4}, {"invoiceNumber": "3", "amount": 4}],
        "action": [{"ledgerref": "erp-2", "actiontype": 1}],
    }
    sandbox.play(script)
    async with open_world(sandbox=sandbox, hold_seconds=0.05, **QUICK | {"request_timeout_seconds": 1}) as world:
        batch_id = (await world.post(batch)).headers["x-bridge-batch"]
        await reach(world, batch_id, state)
        before, keys = await ids_of(world, batch_id)
    sandbox.play({})
    finish_all(sandbox)
    async with open_world(sandbox=sandbox, **QUICK) as world:
        reply = await world.post(batch)
        assert reply.headers["x-bridge-batch"] == batch_id
        assert reply.headers["x-bridge-replay"] == "true"
        assert set(reply.errors) == {("invoice", 2), ("payment", 1)}
        assert "invoice 2" in reply.errors["payment", 1]
        assert set(reply.states.values()) == {"OK", "REFUSED"}
        after, more_keys = await ids_of(world, batch_id)
        assert (after, more_keys[: len(keys)]) == (before, keys)
        assert sorted(world.accepted("invoices").values()) == [1, 1]
        assert [claim.paid for claim in sandbox.state.account(ORG_A).invoices] == [4, 0]
        assert (await world.ledger()).final == 6


async def test_a_finished_batch_is_replayed_after_a_restart(
    open_world: Any, sandbox: Running, invoice: Invoice
) -> None:
    """The very same reply, without asking the modern system anything."""
    batch = {"batchid": "b", "invoice": [invoice("1"), invoice("2", dueDate="x")]}
    async with open_world(sandbox=sandbox) as world:
        first = await world.post(batch)
    asked = sandbox.requests.total
    async with open_world(sandbox=sandbox) as world:
        again = await world.post(batch)
        assert again.body == first.body
        assert again.headers["x-bridge-replay"] == "true"
    assert sandbox.requests.total == asked


@pytest.mark.parametrize("accepted", [True, False])
async def test_a_correction_cut_off_is_found_or_parked(
    open_world: Any, sandbox: Running, invoice: Invoice, wait_until: Any, accepted: bool
) -> None:
    """The restart does not send it again: it is found by its key, or left for an operator."""
    batch = {"batchid": "b", "payment": [{"invoiceNumber": "1", "amount": 5, "type": "CREDIT"}]}
    async with open_world(sandbox=sandbox, hold_seconds=0.2, **QUICK | {"request_timeout_seconds": 1}) as world:
        await world.post({"batchid": "a", "invoice": [invoice("1")]})
        when = "after" if accepted else "before"
        sandbox.play({"fault": [{"operation": "corrections", "kind": "slow", "seconds": 30, "when": when}]})
        batch_id = (await world.post(batch)).headers["x-bridge-batch"]
        await reach(world, batch_id, CallState.SUBMITTING)
    sandbox.play({})
    async with open_world(sandbox=sandbox, hold_seconds=0.2, **QUICK) as world:
        await wait_until(lambda: not world.bridge.workshop._tasks)
        reply = await world.post(batch)
        assert reply.code == (0 if accepted else 3)
        assert (await world.ledger()).in_doubt == (0 if accepted else 1)
        assert len(world.writes("corrections")) == 1


async def test_results_of_journalled_corrections_still_reach_their_rows(
    open_world: Any, sandbox: Running, invoice: Invoice
) -> None:
    """Entries name corrections by invoice id alone, out of order, and one is refused: the restart changes nothing."""
    rows = [{"invoiceNumber": str(number), "amount": number, "type": "CREDIT"} for number in (1, 2, 3)]
    batch = {"batchid": "b", "payment": rows}
    async with open_world(sandbox=sandbox, hold_seconds=0.2, **QUICK) as world:
        await world.post({"batchid": "a", "invoice": [invoice(str(number)) for number in (1, 2, 3)]})
        refused = {"operation": "corrections", "kind": "refuse", "where": {"amount": "2"}, "text": "not this one"}
        turned = {"operation": "corrections", "kind": "reorder"}
        behaviour = {"entry_index": False, "finish_after_seconds": 86_000}
        sandbox.play({"behaviour": behaviour, "fault": [refused, turned]})
        batch_id = (await world.post(batch)).headers["x-bridge-batch"]
        await reach(world, batch_id, CallState.SUBMITTED)
    finish_all(sandbox)
    async with open_world(sandbox=sandbox, **QUICK) as world:
        reply = await world.post(batch)
        assert list(reply.states.values()).count("OK") == 2
        assert list(reply.errors) == [("payment", 1)]
        assert "not this one" in reply.errors["payment", 1]


async def test_actions_on_one_case_keep_their_order_across_a_restart(
    open_world: Any, sandbox: Running, invoice: Invoice
) -> None:
    """A resume whose pause was cut off waits for it after the restart as well."""
    batch = {"batchid": "b", "action": [{"ledgerref": "erp-1", "actiontype": 1}, {"ledgerref": "1", "actiontype": 2}]}
    async with open_world(sandbox=sandbox, hold_seconds=0.2, **QUICK) as world:
        await world.post({"batchid": "a", "invoice": [invoice("1")]})
        busy = {"operation": "pause", "kind": "fail", "status": 503, "retry_after_seconds": 60}
        sandbox.play({"fault": [busy]})
        batch_id = (await world.post(batch)).headers["x-bridge-batch"]
        await reach(world, batch_id, CallState.PLANNED)
    sandbox.play({"fault": [{"operation": "pause", "kind": "slow", "seconds": 0.1}]})
    async with open_world(sandbox=sandbox, **QUICK) as world:
        reply = await world.post(batch)
        assert (reply.code, reply.errors) == (0, {})
        assert sandbox.state.account(ORG_A).invoices[0].case.status == "OPEN"


async def test_a_batch_whose_operation_is_gone_does_not_stop_the_start(
    open_world: Any, sandbox: Running, invoice: Invoice, tmp_path: Path
) -> None:
    """A mapping that lost an operation leaves its open batches waiting; everything else works."""
    folder = tmp_path / "mappings"
    shutil.copytree(ROOT / "mappings" / "autocollect", folder / "autocollect")
    sandbox.play(NEVER)
    batch = {"batchid": "b", "invoice": [invoice("1")]}
    async with open_world(sandbox=sandbox, hold_seconds=0.1, mappings=folder) as world:
        await world.post(batch)
    for file in [*folder.glob("*/invoice.toml"), *folder.glob("*/invoice.examples.toml")]:
        file.write_text(file.read_text().replace("create_invoices", "open_claims"))
    sandbox.play({})
    async with open_world(sandbox=sandbox, mappings=folder) as world:
        waiting = await world.post(batch)
        assert waiting.status == 503
        assert "create_invoices" in waiting.errors["batch", 0]
        assert (await world.post({"batchid": "c", "invoice": [invoice("2")]})).code == 0
        assert (await world.ledger()).pending == 1
