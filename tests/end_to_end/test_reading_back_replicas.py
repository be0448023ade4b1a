"""A connector that meets now this replica and now that: each settlement once, what was posted at once, under load."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
Invoice = Callable[..., dict[str, Any]]


async def read(site: Any, bridge: Any, **query: str) -> dict[str, Any]:
    """Read back from one replica."""
    headers = {"Authorization": "Bearer token1"}
    async with site.session.get(bridge.url + "/webapi/api/Batch", params=query, headers=headers) as response:
        assert response.status == 200, await response.text()
        answer: dict[str, Any] = await response.json()
        return answer


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
async def test_each_settlement_is_read_once_whichever_replica_answers(open_site: Any) -> None:
    """Settlements of few dates appear all the time, in any order; three connectors poll two replicas."""
    async with open_site(replicas=2) as site:
        site.sandbox.plant_claims(ORG_A, 20)
        done = asyncio.Event()
        dates = itertools.cycle(["2024-03-02", "2024-03-01", "2024-03-03"])

        async def plant() -> None:
            for number in range(60):
                site.sandbox.plant_settlements(
                    ORG_A, {"invoiceNumber": f"P-{number % 20 + 1}", "settlementDate": next(dates)}
                )
                await asyncio.sleep(0.02)
            done.set()

        async def connector(first: int) -> Counter[str]:
            got: Counter[str] = Counter()
            mark, quiet = "", 0
            turn = first
            while len(got) < 60 and quiet < 200:
                finished, turn = done.is_set(), turn + 1
                answer = await read(site, site.bridges[turn % 2], lastsettlementid=mark)
                numbers = [one["settlementId"] for one in answer["settlement"]]
                got.update(numbers)
                mark = max([mark, *numbers])
                quiet = quiet + 1 if finished and not numbers else 0
            return got

        planting = asyncio.create_task(plant())
        counts = await asyncio.gather(*(connector(number) for number in range(3)))
        await planting
        assert [sorted(got.values()) for got in counts] == [[1] * 60] * 3
        assert len({frozenset(got) for got in counts}) == 1


async def test_what_was_posted_is_read_back_after_a_restart(site: Any, invoice: Invoice) -> None:
    """The round trip through real processes: claim, cross-reference and batch outlive the process."""
    posted = await site.post({"batchid": "b", "invoice": [invoice("1")]})
    assert posted.states == {("invoice", 0): "OK"}
    before = await read(site, site.bridge, ledgerref="erp-1")
    assert [case["ledgerref"] for case in before["case"]] == ["erp-1"]
    site.bridge.kill()
    await site.restart()
    assert await read(site, site.bridge, ledgerref="erp-1") == before
    assert await read(site, site.bridge, batchid="b") == posted.body
