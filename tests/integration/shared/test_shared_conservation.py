"""However the rows of a batch are divided: each is answered once, by its own system, which holds it once."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

ORG_A, ORG_B = "3fa85f64-5717-4562-b3fc-2c963f66afa6", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
CREDITORS = {ORG_A: "984842252", ORG_B: "971274190"}
ORDER = ["creditor", "invoice", "payment", "action"]
BATCHES = 25
"""Per seed."""
FAULTS: list[dict[str, Any]] = [
    {"operation": "writes", "kind": "reset", "when": "after", "times": 1},
    {"operation": "writes", "kind": "fail", "status": 503, "retry_after_seconds": 0, "times": 2},
    {"operation": "invoices", "kind": "refuse", "where": {"invoiceNumber": "BAD-*"}, "text": "no"},
]
Place = tuple[str, int]


class Case:
    """One batch, where its rows go, and what is expected of them."""

    def __init__(self, chance: random.Random, tag: str, invoice: Callable[..., dict[str, Any]]) -> None:
        self.rows: dict[str, list[Any]] = {name: [] for name in ORDER}
        self.legacy: dict[Place, str] = {}
        self.expected: dict[Place, str] = {}
        self.sent: list[Place] = []
        self.unique_ids: Counter[str] = Counter()
        for number in range(chance.randrange(1, 9)):
            self._add(chance, f"{tag}-{number}", invoice)

    def _add(self, chance: random.Random, name: str, invoice: Callable[..., dict[str, Any]]) -> None:
        organization = chance.choice([ORG_A, ORG_B])
        kind = chance.choice(ORDER[:3])
        place = (kind, len(self.rows[kind]))
        if chance.random() < 0.5:
            row: Any = chance.choice([{"n": name}, {"n": name, "wrong": "no"}, {"n": name, "amount": 1.10, "x": "ø"}])
            self.legacy[place] = chance.choice([organization, ""])
            self.sent.append(place)
            self.expected[place] = "REFUSED" if "wrong" in row else "OK"
        else:
            row, self.expected[place] = self._ours(chance, kind, name, CREDITORS[organization], invoice)
        self.rows[kind].append(row)

    def _ours(
        self, chance: random.Random, kind: str, name: str, creditor: str, invoice: Callable[..., dict[str, Any]]
    ) -> tuple[dict[str, Any], str]:
        if kind == "creditor":
            return {"idnumber": creditor}, "OK"
        if kind == "payment":
            return {"creditorid": creditor, "invoiceNumber": f"nowhere-{name}", "amount": 1}, "REFUSED"
        number = chance.choice([name, f"BAD-{name}", "spoilt"])
        row = invoice(number, creditorid=creditor, uniqueSourceInvoiceId=f"u-{name}")
        if number == "spoilt":
            return row | {"dueDate": "never"}, "REFUSED"
        self.unique_ids[f"u-{name}"] += number == name
        return row, "OK" if number == name else "REFUSED"


def busy(*_: Any) -> web.Response:
    return web.json_response(None, status=503, headers={"Retry-After": "0.01"})


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.chaos) for seed in range(2, 9))])
async def test_every_row_is_answered_once_by_its_own_system(
    open_shared: Any, host: Any, post: Any, invoice: Any, seed: int
) -> None:
    """In request order, again alike; the host has each of its rows once, the modern side none of them."""
    chance = random.Random(seed)
    held: Counter[str] = Counter()
    async with open_shared(request_timeout_seconds=0.5, settle_seconds=0.3) as world:
        for number in range(BATCHES):
            case = Case(chance, f"{seed}-{number}", invoice)
            world.sandbox.play({"fault": [one for one in FAULTS[:2] if chance.random() < 0.2] + FAULTS[2:]})
            host.script += [busy] * chance.choice([0, 0, 0, 1, 2]) if case.sent else []
            batch = {"batchid": str(number)} | dict(chance.sample(sorted(case.rows.items()), 4))
            callers = await asyncio.gather(*(post(world, batch, case.legacy) for _ in range(chance.choice([1, 1, 2]))))
            told, story = callers[0], f"seed {seed}, batch {number}"
            assert told.states == case.expected, story
            for lines in (told.body["errors"], told.body["responses"]):
                places = [(ORDER.index(line["objectname"]), line["objectindex"]) for line in lines]
                assert places == sorted(set(places)), story
            again = await post(world, batch, {})
            assert {one.raw for one in (*callers, again)} == {told.raw}, story
            held += case.unique_ids
            assert world.accepted("invoices") + world.accepted("invoices", ORG_B) == +held, story
            if case.sent:
                arrived = [row for name in ORDER for row in host.bodies[-1][name]]
                assert arrived == [case.rows[name][at] for name in ORDER for kind, at in case.sent if kind == name], (
                    story
                )
        assert set(host.taken.values()) <= {1}
        assert not any("wrong" in json.loads(row) for row in host.taken)
        assert (await world.ledger()).pending == 0
