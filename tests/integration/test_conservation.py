"""Whatever comes in, every row is answered once, and the modern side holds exactly the accepted ones."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

ORG_A, ORG_B = "3fa85f64-5717-4562-b3fc-2c963f66afa6", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
CREDITORS = {"984842252": ORG_A, "971274190": ORG_B}
ORDER = ["creditor", "invoice", "payment", "action"]
ERP_2 = "Basic ZXJwMjpwYXNzMg=="
Invoice = Callable[..., dict[str, Any]]

BATCHES = 25
"""Per seed."""

FAULTS: list[dict[str, Any]] = [
    {"operation": "writes", "kind": "reset", "when": "after", "times": 1},
    {"operation": "writes", "kind": "fail", "status": 503, "retry_after_seconds": 0, "times": 2},
    {"operation": "writes", "kind": "fail", "status": 401, "times": 1},
    {"operation": "writes", "kind": "garbage", "body": "truncated", "times": 1},
    {"operation": "writes", "kind": "reorder"},
    {"operation": "reads", "kind": "fail", "status": 503, "retry_after_seconds": 0, "times": 3},
    {"operation": "reads", "kind": "reset", "times": 1},
    {"operation": "invoices", "kind": "unmention", "share": 0.3},
]
ALWAYS: list[dict[str, Any]] = [
    {"operation": "invoices", "kind": "refuse", "where": {"invoiceNumber": "BAD-*"}, "text": "no"},
    {
        "operation": "invoices",
        "kind": "fail",
        "status": 422,
        "where": {"invoiceNumber": "POISON-*"},
        "tells_rows": False,
    },
    {"operation": "payments", "kind": "refuse", "where": {"description": "bad"}, "text": "no"},
]


@dataclass
class Case:
    """One batch, what is expected of each row, and what the modern side must hold afterwards."""

    rows: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in ORDER})
    expected: dict[tuple[str, int], str] = field(default_factory=dict)
    held: Counter[str] = field(default_factory=Counter)
    """Unique ids and, for corrections and actions, kinds, with the number of rows."""

    def add(self, name: str, row: Any, accepted: bool, holds: str = "") -> bool:
        self.expected[name, len(self.rows[name])] = "OK" if accepted else "REFUSED"
        self.rows[name].append(row)
        if accepted and holds:
            self.held[holds] += 1
        return accepted


def make_case(chance: random.Random, tag: str, invoice: Invoice) -> Case:
    """Make a batch of a sender with two organizations; every row that can be routed says whose it is."""
    case = Case()
    for _ in range(chance.choice([0, 0, 2, 3])):
        idnumber = chance.choice([*CREDITORS, "000", ""])
        case.add("creditor", {"idnumber": idnumber}, idnumber in CREDITORS)
    sent = [add_invoice(case, chance, f"{tag}-{index}", invoice) for index in range(chance.randrange(9))]
    for index in range(chance.randrange(6)):
        add_payment(case, chance, f"{tag}-p{index}", sent)
    for _ in range(chance.randrange(4)):
        add_action(case, chance, sent)
    return case


def add_invoice(case: Case, chance: random.Random, name: str, invoice: Invoice) -> tuple[dict[str, Any], bool]:
    creditor = chance.choice(list(CREDITORS))
    spoilt: dict[str, dict[str, object]] = {
        "invalid": {"dueDate": chance.choice(["x", "2024-13-01", 7.5, True])},
        "incomplete": {"originalInvoiceAmount": None},
        "unroutable": {"creditorid": "000"},
        "nobody's": {"creditorid": None} if len(case.rows["creditor"]) != 1 else {"creditorid": "000"},
        "rejected": {"invoiceNumber": f"BAD-{name}"},
        "poisonous": {"invoiceNumber": f"POISON-{name}"},
    }
    fault = chance.choice([*spoilt, *["good"] * 8])
    whose: dict[str, object] = {"creditorid": creditor, "ledgerref": f"L-{name}"}
    fields = whose | spoilt.get(fault, {})
    row = invoice(name, **fields)
    accepted = case.add("invoice", row, fault == "good", f"erp-{name}")
    return row | {"creditorid": creditor}, accepted


def add_payment(case: Case, chance: random.Random, name: str, sent: list[tuple[dict[str, Any], bool]]) -> None:
    row: dict[str, Any] = {"amount": 1, "uniqueSourcePaymentId": name, "creditorid": "984842252"}
    fault = chance.choice(["good"] * 5 + ["invalid", "rejected", "lost"])
    if not sent or fault == "lost":
        case.add("payment", row | {"invoiceNumber": f"nowhere-{name}"}, False)
        return
    target, held = chance.choice(sent)
    key = chance.choice(["uniqueSourceInvoiceId", "invoiceNumber", "ledgerref"])
    row |= {key: target[key], "creditorid": target["creditorid"]}
    row |= {"invalid": {"amount": "1,250"}, "rejected": {"description": "bad"}}.get(fault, {})
    if chance.random() < 0.3 and fault != "rejected":
        case.add("payment", row | {"type": "CREDIT"}, held and fault == "good", "corrections")
    else:
        case.add("payment", row, held and fault == "good", name)


def add_action(case: Case, chance: random.Random, sent: list[tuple[dict[str, Any], bool]]) -> None:
    code = chance.choice([1, 1, 1, 4, 99])
    if not sent:
        case.add("action", {"actiontype": code, "ledgerref": "nowhere", "creditorid": "984842252"}, False)
        return
    target, held = chance.choice(sent)
    name = chance.choice([target["ledgerref"], target["uniqueSourceInvoiceId"], target["invoiceNumber"]])
    row = {"actiontype": code, "ledgerref": name, "creditorid": target["creditorid"]}
    case.add("action", row, held and code == 1, "pause")


def expected_code(verdicts: set[str]) -> int:
    """Return the statuscode of a reply without pending rows."""
    if "REFUSED" not in verdicts:
        return 0
    return 2 if verdicts == {"REFUSED"} else 1


def held_now(world: Any) -> Counter[str]:
    """Return what the modern side accepted so far: by unique id, else by kind."""
    held: Counter[str] = Counter()
    for organization in (ORG_A, ORG_B):
        held += world.accepted("invoices", organization) + world.accepted("payments", organization)
        for kind in ("corrections", "pause"):
            held[kind] += world.accepted(kind, organization).total()
    return held


@pytest.mark.no_cover  # to count so many steps takes longer than to take them
@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.chaos) for seed in range(3, 9))])
async def test_every_row_is_answered_once_and_held_once(open_world: Any, invoice: Invoice, seed: int) -> None:
    """Errors and responses in request order, the right statuscode, nothing sent of refused rows, nothing doubled."""
    chance = random.Random(seed)
    async with open_world(request_timeout_seconds=0.5, settle_seconds=0.3) as world:
        expected_held: Counter[str] = Counter()
        for number in range(BATCHES):
            case = make_case(chance, f"{seed}-{number}", invoice)
            behaviour = {
                "failed_entry": chance.choice(["message", "errors-text", "errors-object"]),
                "entry_index": chance.random() < 0.5,
                "echo_source_ids": chance.random() < 0.5,
                "finish_after_seconds": chance.choice([0, 0.02]),
                "case_actions": chance.choice(["batch", "no-content"]),
            }
            faults = [fault for fault in FAULTS if chance.random() < 0.25]
            world.sandbox.play({"behaviour": behaviour, "fault": [*ALWAYS, *faults]})
            shuffled = dict(chance.sample(sorted(case.rows.items()), 4))
            reply = await world.post({"batchid": str(number)} | shuffled, senderid="ERP-2", Authorization=ERP_2)
            story = f"seed {seed}, batch {number}, faults {faults}"
            assert reply.states == case.expected, story
            for lines in (reply.body["errors"], reply.body["responses"]):
                places = [(ORDER.index(line["objectname"]), line["objectindex"]) for line in lines]
                assert places == sorted(set(places)), story
            assert len(reply.body["errors"]) + len(reply.body["responses"]) == len(case.expected), story
            assert reply.code == expected_code(set(case.expected.values())), story
            expected_held += case.held
            assert +held_now(world) == +expected_held, story
            again = await world.post({"batchid": str(number)} | shuffled, senderid="ERP-2", Authorization=ERP_2)
            assert again.body == reply.body
        assert (await world.ledger()).pending == 0


async def test_many_callers_at_once_do_not_disturb_each_other(open_world: Any, invoice: Invoice) -> None:
    """Thirty batches side by side, each posted twice, some answers lost: every row is answered and held once."""
    async with open_world(request_timeout_seconds=5, settle_seconds=0.3) as world:
        world.sandbox.play(
            {
                "fault": [
                    {"operation": "writes", "kind": "reset", "when": "after", "probability": 0.1},
                    {"operation": "writes", "kind": "fail", "status": 429, "retry_after_seconds": 0, "times": 5},
                ]
            }
        )

        def batch(number: int) -> dict[str, Any]:
            names = [f"{number}-{index}" for index in range(5)]
            payments = [{"invoiceNumber": name, "amount": 1, "uniqueSourcePaymentId": f"p-{name}"} for name in names]
            return {"batchid": str(number), "invoice": [invoice(name) for name in names], "payment": payments}

        replies = await asyncio.gather(*(world.post(batch(number // 2)) for number in range(60)))
        assert {reply.code for reply in replies} == {0}
        assert all(first.body == second.body for first, second in zip(replies[::2], replies[1::2], strict=True))
        for kind in ("invoices", "payments"):
            assert sorted(world.accepted(kind).values()) == [1] * 150
        assert (await world.ledger()).final == 300
