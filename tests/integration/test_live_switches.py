"""Switches and guardrails on a running bridge, with a legacy host beside it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from bridge.app import Bridge, open_bridge
from bridge.journal import SetSwitch
from bridge.journal.opening import open_office
from bridge.listener import make_runner
from bridge.modes import Mode, Switch
from bridge.settings import load_settings

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
WORD = ("--actor", "Kari", "--reason", "ticket 12")
LEGACY_SAYS = {"statuscode": 0, "errors": [], "responses": [], "host": "legacy"}
NEVER = {"behaviour": {"finish_after_seconds": 86_000}}
OBEYED_SECONDS = 1.0

Invoice = Callable[..., dict[str, Any]]


@pytest.fixture
async def legacy_url() -> AsyncIterator[str]:
    """A legacy host that answers everything alike."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response(LEGACY_SAYS)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at guardrails as often as a test needs it."""
    monkeypatch.setattr("bridge.housekeeping.GUARD_EVERY_SECONDS", 0.05)


def tables(legacy_url: str, first_mode: str = "legacy", more: str = "") -> str:
    return f'[legacy]\nbase_url = "{legacy_url}"\n[cutover]\nfirst_mode = "{first_mode}"\n{more}'


async def run_command(config: Path, *words: str) -> None:
    """Run a command as a process of its own, and wait for its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge", *words, "--config", str(config), stdout=-3, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()


async def switch(url: str, mode: Mode, other: Mode | None = None, percent: float = 0.0) -> None:
    """Switch as an operator does, beside the bridge."""
    office = open_office(url, base=Path("/"))
    try:
        newest = [one for one in await office.switches() if one.organization == ORG_A]
        wanted = Switch(ORG_A, mode, other, percent, at=time.time(), actor="Kari", reason="test")
        await office.write(SetSwitch(wanted, newest[0].number if newest else 0))
    finally:
        await office.close()


def current(bridge: Bridge) -> Switch:
    return bridge.steering.switchboard.current(ORG_A)


async def history(bridge: Bridge) -> list[Switch]:
    return list(await bridge.steering.switchboard._books.switch_history(ORG_A))


async def seconds_until(condition: Callable[[], Any], limit: float = 10.0) -> float:
    """Wait until something asked over HTTP comes true; return how long that took."""
    began = time.monotonic()
    while not await condition():
        assert time.monotonic() - began < limit, "it never came true"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


# --- switches ------------------------------------------------------------------------------------------------------


async def test_a_switch_by_another_process_is_obeyed_within_a_second(
    open_world: Any, legacy_url: str, invoice: Invoice
) -> None:
    """To the legacy host and back, on SQLite, where processes tell each other nothing; and nobody restarts."""
    async with open_world(more=tables(legacy_url, "modern")) as world:
        names = iter(range(1000))

        async def is_legacy() -> bool:
            name = str(next(names))
            reply = await world.post({"batchid": name, "invoice": [invoice(name)]})
            return reply.body == LEGACY_SAYS

        assert not await is_legacy()
        config = world.folder / "bridge.toml"
        await run_command(config, "mode", "set", ORG_A, "legacy", *WORD)
        assert await seconds_until(is_legacy) < OBEYED_SECONDS

        async def is_modern() -> bool:
            return not await is_legacy()

        await run_command(config, "mode", "set", ORG_A, "modern", *WORD)
        assert await seconds_until(is_modern) < OBEYED_SECONDS
        assert [(one.mode, one.actor, one.reason) for one in await history(world.bridge)] == [
            (Mode.LEGACY, "Kari", "ticket 12"),
            (Mode.MODERN, "Kari", "ticket 12"),
        ]


async def test_every_replica_obeys_within_a_second(
    open_world: Any, legacy_url: str, invoice: Invoice, postgres_url: str
) -> None:
    """Two replicas over PostgreSQL; both hear of it, whoever is asked next."""
    async with open_world(more=tables(legacy_url, "modern")) as world, AsyncExitStack() as stack:
        settings = load_settings(world.folder / "bridge.toml", {"BRIDGE__STORAGE__URL": postgres_url})
        urls = []
        for _ in range(2):
            bridge = await stack.enter_async_context(open_bridge(settings))
            runner = make_runner(bridge)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}/webapi/api/Batch")
        session = await stack.enter_async_context(aiohttp.ClientSession(headers={"Authorization": "Bearer token1"}))
        names = iter(range(1000))

        async def ask(url: str) -> Any:
            name = str(next(names))
            async with session.post(url, json={"batchid": name, "invoice": [invoice(name)]}) as response:
                return await response.json()

        async def both_are_legacy() -> bool:
            return [await ask(url) for url in urls] == [LEGACY_SAYS] * 2

        assert not await both_are_legacy()
        await switch(postgres_url, Mode.LEGACY)
        assert await seconds_until(both_are_legacy) < OBEYED_SECONDS


async def test_a_start_obeys_from_the_first_request_on(open_world: Any, legacy_url: str, invoice: Invoice) -> None:
    """What was switched while no bridge ran is known before the first caller is answered."""
    async with open_world(more=tables(legacy_url, "modern")) as world:
        url = f"sqlite:///{world.folder}/bridge.db"
    await switch(url, Mode.LEGACY)
    async with open_world(more=tables(legacy_url, "modern")) as world:
        assert (await world.post({"invoice": [invoice("1")]})).body == LEGACY_SAYS
        figures = await (await world.session.get(world.url + "/metrics")).text()
    assert f'bridge_mode_percent{{mode="legacy",organization="{ORG_A}"}} 100.0' in figures


# --- guardrails ----------------------------------------------------------------------------------------------------


async def until_switched(world: Any, wait_until: Any, mode: Mode) -> Switch:
    await wait_until(lambda: current(world.bridge).mode is mode)
    return current(world.bridge)


async def test_refused_rows_bring_an_organization_back(
    open_world: Any, legacy_url: str, invoice: Invoice, wait_until: Any
) -> None:
    """To shadow, where it came from; the record says which numbers did it, and it happens once."""
    budgets = "[guardrails]\nrefused_percent = 20\nmin_rows = 10\n"
    async with open_world(more=tables(legacy_url, more=budgets)) as world:
        url = f"sqlite:///{world.folder}/bridge.db"
        await switch(url, Mode.SHADOW)
        await switch(url, Mode.MODERN)
        await until_switched(world, wait_until, Mode.MODERN)
        rows = [invoice(str(number), **({"dueDate": "x"} if number < 3 else {})) for number in range(9)]
        assert (await world.post({"batchid": "few", "invoice": rows})).code == 1
        await wait_until(lambda: world.bridge.steering.observatory._counts == {})
        assert current(world.bridge).mode is Mode.MODERN
        with capture_logs() as logs:
            await world.post({"batchid": "enough", "invoice": [invoice("10"), invoice("11", dueDate="x")]})
            await until_switched(world, wait_until, Mode.SHADOW)
        assert (await world.post({"batchid": "next", "invoice": [invoice("12")]})).body == LEGACY_SAYS
        trips = [entry for entry in logs if entry["event"] == "guardrail_tripped"]
        last = (await history(world.bridge))[-1]
        assert (len(await history(world.bridge)), len(trips), last.actor) == (3, 1, "guardrail")
        assert last.reason.startswith("refused 4 of 11 rows (36.4 %) in ")
        assert last.reason.endswith("; budget 20 %")
        figures = await (await world.session.get(world.url + "/metrics")).text()
        assert f'bridge_guardrail_trips_total{{organization="{ORG_A}"}} 1.0' in figures


async def test_what_was_refused_before_a_switch_is_not_held_against_it(
    open_world: Any, legacy_url: str, invoice: Invoice, wait_until: Any
) -> None:
    """Switched on again, the organization has its whole budget; a guardrail does not trip for old numbers."""
    budgets = "[guardrails]\nrefused_percent = 0\nmin_rows = 2\n"
    async with open_world(more=tables(legacy_url, more=budgets)) as world:
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
        assert len(await history(world.bridge)) == 3


async def test_answers_that_do_not_come_bring_an_organization_back(
    open_world: Any, legacy_url: str, invoice: Invoice, wait_until: Any
) -> None:
    """Batches that are still open beyond the budget count, whatever their callers were told meanwhile."""
    budgets = "[guardrails]\np95_seconds = 0.4\n"
    async with open_world(more=tables(legacy_url, more=budgets), hold_seconds=0.05) as world:
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
    open_world: Any, legacy_url: str, invoice: Invoice, wait_until: Any
) -> None:
    """A full bridge answers 503; its callers' faults do not count."""
    budgets = "[guardrails]\nerrors = 1\n"
    async with open_world(more=tables(legacy_url, more=budgets), hold_seconds=0, max_open_batches=1) as world:
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


async def test_without_a_budget_nothing_happens(
    open_world: Any, legacy_url: str, invoice: Invoice, wait_until: Any
) -> None:
    """However much is refused; what was seen is kept."""
    async with open_world(more=tables(legacy_url)) as world:
        await switch(f"sqlite:///{world.folder}/bridge.db", Mode.MODERN)
        await until_switched(world, wait_until, Mode.MODERN)
        rows = [invoice(f"{number}", dueDate="x") for number in range(50)]
        assert (await world.post({"batchid": "b", "invoice": rows})).code == 2
        await wait_until(lambda: world.bridge.steering.observatory._counts == {})
        seen = await world.books.observations(ORG_A, 0.0, ["answered"])
        assert [(one.subject, one.count) for one in seen] == [(("refused", "1"), 50)]
        assert current(world.bridge).mode is Mode.MODERN
