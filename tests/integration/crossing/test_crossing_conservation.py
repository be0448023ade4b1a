"""Whatever the modes, every row of a batch is answered exactly once, and goes to one system."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.modes import Mode

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ORG_B = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
CREDITORS = ("984842252", "971274190", "000000000", None)
ERP_2 = {"bearer": "", "Authorization": "Basic ZXJwMjpwYXNzMg==", "senderid": "ERP-2"}

switches = st.tuples(
    st.sampled_from((ORG_A, ORG_B)),
    st.sampled_from(tuple(Mode)),
    st.one_of(st.none(), st.tuples(st.sampled_from(tuple(Mode)), st.integers(1, 99))),
)
shapes = st.lists(st.sampled_from(CREDITORS), max_size=6)
steps = st.lists(st.one_of(switches, st.tuples(shapes, st.integers(0, 3))), min_size=2, max_size=12)


def addresses(batch: dict[str, Any]) -> list[tuple[str, int]]:
    return [(name, index) for name in ("creditor", "invoice") for index, _ in enumerate(batch.get(name, ()))]


async def test_a_divided_batch_is_answered_as_one(open_crossing: Any, invoice: Any) -> None:
    """Organization A modern, B with the legacy host: each gets its own rows, the caller one answer."""
    rows = [invoice("1", creditorid=CREDITORS[0]), invoice("2", creditorid=CREDITORS[1])]
    async with open_crossing() as crossed:
        await crossed.switch(ORG_A, Mode.MODERN)
        reply = await crossed.world.post({"batchid": "B-1", "invoice": rows}, **ERP_2)
        assert reply.states == {("invoice", 0): "OK", ("invoice", 1): "OK"}
        assert [one["invoiceNumber"] for one in crossed.host.arrived[0].batch["invoice"]] == ["2"]
        assert crossed.modern == ["erp-1"]
        again = await crossed.world.post({"batchid": "B-1", "invoice": rows}, **ERP_2)
        assert again.body == reply.body
        assert len(crossed.host.arrived) == 1


async def test_a_divided_batch_that_comes_again_brings_its_credentials(open_crossing: Any, invoice: Any) -> None:
    """Whatever the modes are by then: its legacy half may still wait for them, after a restart."""
    rows = [invoice("1", creditorid=CREDITORS[0]), invoice("2", creditorid=CREDITORS[1])]
    batch = {"batchid": "B-1", "invoice": rows, "offline": True}
    async with open_crossing() as crossed:
        await crossed.switch(ORG_A, Mode.MODERN)
        crossed.host.behave = lambda _: b"HTTP/1.1 503 Away\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n"
        await crossed.world.post(batch, **ERP_2)
        keyring = crossed.world.bridge.pipeline._keyring
        for modes in (Mode.LEGACY, Mode.MODERN):
            keyring._brought.clear()
            await crossed.switch(ORG_A, modes)
            await crossed.switch(ORG_B, modes)
            await crossed.world.post(batch, **ERP_2)
            assert list(keyring._brought.values()) == [ERP_2["Authorization"]]


@pytest.mark.no_cover  # to count so many steps takes longer than to take them
def test_every_row_is_answered_exactly_once(open_crossing: Any, invoice: Any) -> None:
    """Through any sequence of switches, percentages, batches, resends and restarts: each row is in one system, once."""
    numbers = itertools.count()

    async def carry_out(plan: list[Any]) -> None:
        async with open_crossing() as crossed:
            await play(crossed, invoice, next(numbers), plan)

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(plan=steps)
    def run(plan: list[Any]) -> None:
        asyncio.run(carry_out(plan))

    run()


async def play(crossed: Any, invoice: Any, number: int, plan: list[Any]) -> None:
    """Carry out one drawn sequence."""
    sent: dict[str, dict[str, Any]] = {}
    first_way: dict[str, list[tuple[str, int]]] = {}
    for one in plan:
        if isinstance(one[0], str):
            organization, mode, rest = one
            other, percent = rest or (None, 0)
            await crossed.switch(organization, mode, other=other, percent=percent)
            continue
        shape, name = one
        batchid = f"{number}-{name}"
        rows = [
            invoice(f"{batchid}-{index}", **({"creditorid": each} if each else {})) for index, each in enumerate(shape)
        ]
        batch = sent.setdefault(batchid, {"batchid": batchid, "invoice": rows})
        reply = await crossed.world.post(batch, **ERP_2)
        assert reply.status == 200, reply.body
        lines = [*reply.body["errors"], *reply.body["responses"]]
        answered = Counter((line["objectname"], line["objectindex"]) for line in lines)
        assert answered == Counter(addresses(batch))
        assert first_way.setdefault(batchid, sorted(reply.states.items())) == sorted(reply.states.items())
    there = Counter(
        row["invoiceNumber"]
        for arrived in {one.batchid: one for one in crossed.host.arrived}.values()
        for row in arrived.batch["invoice"]
    )
    here = Counter(one.removeprefix("erp-") for one in crossed.modern)
    assert not there.keys() & here.keys()
    assert max(here.values(), default=1) == 1
