"""Guardrails on a running bridge: what brings an organization back, on whose figures, and that it is done once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.app import Bridge
from bridge.errors import CannotTakeNow
from bridge.modes import Mode, Switch

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ORG_B = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
NEVER = {"behaviour": {"finish_after_seconds": 86_000}}

Invoice = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at guardrails as often as a test needs it."""
    monkeypatch.setattr("bridge.workshop.housekeeping.GUARD_EVERY_SECONDS", 0.05)


def current(bridge: Bridge, organization: str = ORG_A) -> Switch:
    return bridge.steering.switchboard.current(organization)


async def history(world: Any) -> list[Switch]:
    return list(await world.books.switch_history(ORG_A))


async def until_switched(world: Any, wait_until: Any, mode: Mode) -> Switch:
    await wait_until(lambda: current(world.bridge).mode is mode)
    return current(world.bridge)


@pytest.fixture
def until_answered(seconds_until: Any) -> Any:
    """Wait until so many rows of an organization are written down by their verdict."""

    async def wait(world: Any, counts: dict[str, int], organization: str = ORG_A) -> None:
        async def are_seen() -> bool:
            seen = await world.books.observations(organization, 0.0, ["answered"])
            return {one.subject[0]: one.count for one in seen} == counts

        await seconds_until(are_seen)

    return wait


async def test_refused_rows_bring_an_organization_back(
    open_world: Any, tables: Any, switch: Any, invoice: Invoice, wait_until: Any, until_answered: Any, legacy_says: Any
) -> None:
    """To shadow, where it came from; the record says which numbers did it, and it happens once."""
    budgets = "[guardrails]\nrefused_percent = 20\nmin_rows = 10\n"
    async with open_world(more=tables(more=budgets)) as world:
        url = f"sqlite:///{world.folder}/bridge.db"
        await switch(url, Mode.SHADOW)
        await switch(url, Mode.MODERN)
        await until_switched(world, wait_until, Mode.MODERN)
        rows = [invoice(str(number), **({"dueDate": "x"} if number < 3 else {})) for number in range(9)]
        assert (await world.post({"batchid": "few", "invoice": rows})).code == 1
        await until_answered(world, {"accepted": 6, "refused": 3})
        assert current(world.bridge).mode is Mode.MODERN
        with capture_logs() as logs:
            await world.post({"batchid": "enough", "invoice": [invoice("10"), invoice("11", dueDate="x")]})
            await until_switched(world, wait_until, Mode.SHADOW)
        assert (await world.post({"batchid": "next", "invoice": [invoice("12")]})).body == legacy_says
        trips = [entry for entry in logs if entry["event"] == "guardrail_tripped"]
        last = (await history(world))[-1]
        assert (len(await history(world)), len(trips), last.actor) == (3, 1, "guardrail")
        assert last.reason.startswith("refused 4 of 11 rows (36.4 %) in ")
        assert last.reason.endswith("; budget 20 %")
        figures = await (await world.session.get(world.url + "/metrics")).text()
        assert f'bridge_guardrail_trips_total{{organization="{ORG_A}"}} 1.0' in figures


async def test_replicas_count_together_and_switch_back_once(
    open_world: Any, tables: Any, switch: Any, invoice: Invoice, postgres_url: str, wait_until: Any, two_replicas: Any
) -> None:
    """Neither has seen enough by itself; whoever finds the budget broken switches, and the other one obeys."""
    budgets = "[guardrails]\nrefused_percent = 20\nmin_rows = 10\n"
    async with (
        open_world(more=tables(more=budgets)) as world,
        two_replicas(world) as replicas,
    ):
        await switch(postgres_url, Mode.MODERN)
        await wait_until(lambda: all(one.current.mode is Mode.MODERN for one in replicas))
        for name, replica in enumerate(replicas):
            rows = [invoice(f"{name}-{number}", **({"dueDate": "x"} if number < 2 else {})) for number in range(6)]
            assert (await replica.ask({"batchid": str(name), "invoice": rows}))["statuscode"] == 1
        await wait_until(lambda: all(one.current.mode is Mode.LEGACY for one in replicas))
        _, back = replicas[0].bridge.steering.switchboard.history(ORG_A)[1:]
        assert (back.actor, back.reason[:33]) == ("guardrail", "refused 4 of 12 rows (33.3 %) in ")


async def test_what_was_refused_before_a_switch_is_not_held_against_it(
    open_world: Any, tables: Any, switch: Any, invoice: Invoice, wait_until: Any
) -> None:
    """Switched on again, the organization has its whole budget; a guardrail does not trip for old numbers."""
    budgets = "[guardrails]\nrefused_percent = 0\nmin_rows = 2\n"
    async with open_world(more=tables(more=budgets)) as world:
        url = f"sqlite:///{world.folder}/bridge.db"
        await switch(url, Mode.MODERN)
        await until_switched(world, wait_until, Mode.MODERN)
        await world.post({"batchid": "b", "invoice": [invoice("1", dueDate="x"), invoice("2", dueDate="x")]})
        await until_switched(world, wait_until, Mode.LEGACY)
        await switch(url, Mode.MODERN)
        await until_switched(world, wait_until, Mode.MODERN)
        assert (await world.post({"batchid": "c", "invoice": [invoice("3"), invoice("4")]})).code == 0
        await asyncio.sleep(0.3)  # some looks long: nothing is to happen, and nothing rings
        assert current(world.bridge).mode is Mode.MODERN
        assert len(await history(world)) == 3


async def test_answers_that_do_not_come_bring_an_organization_back(
    open_world: Any, tables: Any, switch: Any, invoice: Invoice, wait_until: Any
) -> None:
    """Batches that are still open beyond the budget count, whatever their callers were told meanwhile."""
    budgets = "[guardrails]\np95_seconds = 0.4\n"
    async with open_world(more=tables(more=budgets), hold_seconds=0.05) as world:
        world.sandbox.play(NEVER)
        await switch(f"sqlite:///{world.folder}/bridge.db", Mode.MODERN)
        await until_switched(world, wait_until, Mode.MODERN)
        for name in "abc":
            assert (await world.post({"batchid": name, "invoice": [invoice(name)]})).code == 3
        back = await until_switched(world, wait_until, Mode.LEGACY)
        assert back.reason.startswith("no answer within 0.4 s to 3 of 3 batches (100.0 %) in ")
        reply = await world.post({"batchid": "a", "invoice": [invoice("a")]})
        assert reply.code == 3, "it stays where it went first"


async def test_batches_that_cannot_be_taken_bring_an_organization_back(
    open_world: Any, tables: Any, switch: Any, invoice: Invoice, wait_until: Any
) -> None:
    """A full bridge answers 503; its callers' faults do not count."""
    budgets = "[guardrails]\nerrors = 1\n"
    async with open_world(more=tables(more=budgets), hold_seconds=0, max_open_batches=1) as world:
        world.sandbox.play(NEVER)
        await switch(f"sqlite:///{world.folder}/bridge.db", Mode.MODERN)
        await until_switched(world, wait_until, Mode.MODERN)
        assert (await world.post({"batchid": "1", "invoice": [invoice("1")]})).status == 200
        for _ in range(5):
            assert (await world.post({"batchid": "1", "invoice": [invoice("changed")]})).status == 422
        for _ in range(2):
            assert (await world.post({"batchid": "2", "invoice": [invoice("2")]})).status == 503
        back = await until_switched(world, wait_until, Mode.LEGACY)
        assert back.reason.startswith("2 batches not taken or not answered in ")


async def test_a_journal_that_cannot_be_asked_counts(
    open_world: Any, tables: Any, switch: Any, invoice: Invoice, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which way a batch went before is not known then, so it is not taken."""
    async with open_world(more=tables(more="[guardrails]\nerrors = 0\n")) as world:
        await switch(f"sqlite:///{world.folder}/bridge.db", Mode.MODERN)
        await until_switched(world, wait_until, Mode.MODERN)

        async def fail(*_: str) -> None:
            raise CannotTakeNow

        monkeypatch.setattr(world.bridge.crossing.passages, "knows", fail)
        assert (await world.post({"batchid": "1", "invoice": [invoice("1")]})).status == 503
        assert (await until_switched(world, wait_until, Mode.LEGACY)).reason.startswith("1 batches not taken or not")


async def test_refused_rows_count_for_the_organization_they_name(
    open_world: Any, tables: Any, switch: Any, invoice: Invoice, wait_until: Any, until_answered: Any
) -> None:
    """By their creditor, though they could not be read otherwise; one that nobody knows counts for nobody."""
    async with open_world(more=tables()) as world:
        for organization in (ORG_A, ORG_B):
            await switch(f"sqlite:///{world.folder}/bridge.db", Mode.MODERN, organization=organization)
            await wait_until(lambda one=organization: current(world.bridge, one).mode is Mode.MODERN)
        rows = [
            invoice("1", creditorid="984842252", dueDate="x"),
            invoice("2", creditorid="971274190", dueDate="x"),
            invoice("3", creditorid=" 971274190 ", originalInvoiceAmount="1,250"),
            invoice("4", creditorid=971274190, dueDate=None),
            invoice("5", creditorid="0"),
            invoice("6", creditorid="984842252"),
        ]
        headers = {"Authorization": "Basic ZXJwMjpwYXNzMg=="}
        assert (await world.post({"batchid": "b", "invoice": rows}, **headers)).code == 1
        await until_answered(world, {"accepted": 1, "refused": 1})
        await until_answered(world, {"refused": 3}, ORG_B)


async def test_without_a_budget_nothing_happens(
    open_world: Any, tables: Any, switch: Any, invoice: Invoice, wait_until: Any, until_answered: Any
) -> None:
    """However much is refused; what was seen is kept."""
    async with open_world(more=tables()) as world:
        await switch(f"sqlite:///{world.folder}/bridge.db", Mode.MODERN)
        await until_switched(world, wait_until, Mode.MODERN)
        rows = [invoice(f"{number}", dueDate="x") for number in range(50)]
        assert (await world.post({"batchid": "b", "invoice": rows})).code == 2
        await until_answered(world, {"refused": 50})
        assert current(world.bridge).mode is Mode.MODERN
