"""GET /webapi/api/Batch in modes: answered by one system or the other, or by both together."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest

from bridge.modes import Mode
from bridge.passthrough.line import Pool

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ORG_B = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
CREDITOR_A, CREDITOR_B = "984842252", "971274190"
HEADERS = {"Authorization": "Basic ZXJwMjpwYXNzMg=="}


def wire(data: Any) -> bytes:
    body = json.dumps(data).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


class Books:
    """What a legacy host tells: settlements by growing numbers, those after `lastsettlementid`."""

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self.ids = list(ids)
        self.asked: list[str] = []
        self.as_numbers = False

    def answer(self, arrived: Any) -> bytes:
        query = dict(
            one.split("=") for one in arrived.line.split(b" ")[1].decode().partition("?")[2].split("&") if "=" in one
        )
        self.asked.append(query.get("lastsettlementid", ""))
        after = int(query.get("lastsettlementid") or 0)
        settlements = [
            {"creditorid": CREDITOR_B, "SettlementId": one if self.as_numbers else str(one), "amount": 1.10}
            for one in self.ids
            if one > after
        ]
        creditors = [{"idnumber": one, "lastsettlementid": "x"} for one in (CREDITOR_A, CREDITOR_B)]
        cases = [{"creditorid": CREDITOR_B, "ledgerref": "L-1", "amount": 12345678901234567890.25}]
        return wire({"batchid": None, "creditor": creditors, "case": cases, "settlement": settlements})


async def ask(crossed: Any, query: str = "") -> Any:
    """Ask as ERP-2, which has organizations A and B."""
    url = f"{crossed.world.url}/webapi/api/Batch?senderid=ERP-2{query}"
    async with crossed.world.session.get(url, headers=HEADERS) as response:
        body = json.loads(await response.read(), parse_float=Decimal)
        assert response.status == 200, body
        return body


def ids(body: Any) -> list[str]:
    """Return the settlement ids of an answer, whatever their field is called."""
    return [str(value) for one in body["settlement"] for key, value in one.items() if key.lower() == "settlementid"]


def settle(crossed: Any, organization: str, count: int) -> None:
    """Have the modern system settle something of an organization."""
    crossed.world.sandbox.plant_settlements(organization, *[{"settlementDate": "2026-01-01"}] * count)
    crossed.world.bridge.readback.forget(organization)


async def test_a_legacy_sender_is_answered_by_the_legacy_host(open_crossing: Any) -> None:
    """Its question passes as it is, whatever it asks."""
    books = Books([1])
    async with open_crossing() as crossed:
        crossed.host.behave = books.answer
        assert ids(await ask(crossed)) == ["1"]
        assert ids(await ask(crossed, "&lastsettlementid=1&batchid=B")) == []
        assert books.asked == ["", "1"]


async def test_a_modern_sender_is_answered_by_the_bridge(open_crossing: Any, batch: Any) -> None:
    """The legacy host hears of it only when it asks about a batch that the bridge does not know."""
    books = Books([1])
    async with open_crossing() as crossed:
        crossed.host.behave = books.answer
        await crossed.switch(ORG_A, Mode.MODERN)
        await crossed.switch(ORG_B, Mode.MODERN)
        assert ids(await ask(crossed)) == []
        assert books.asked == []
        await crossed.world.post(batch("B-1"), bearer="", **HEADERS, senderid="ERP-2")
        assert (await ask(crossed, "&batchid=B-1"))["statuscode"] == 0
        assert books.asked == []
        assert "settlement" in await ask(crossed, "&batchid=B-0")
        assert books.asked == [""]


async def test_a_sender_that_was_never_with_the_legacy_host_is_not_answered_by_it(open_crossing: Any) -> None:
    """It knows none of its batches."""
    books = Books([1])
    async with open_crossing(first_mode="modern") as crossed:
        crossed.host.behave = books.answer
        url = f"{crossed.world.url}/webapi/api/Batch?senderid=ERP-2&batchid=B-0"
        async with crossed.world.session.get(url, headers=HEADERS) as response:
            assert response.status == 404
        assert books.asked == []


async def test_a_creditor_is_answered_for_by_its_mode(open_crossing: Any) -> None:
    """An unknown one by the legacy host, while the sender has a mode there."""
    books = Books([1])
    async with open_crossing() as crossed:
        crossed.host.behave = books.answer
        await crossed.switch(ORG_A, Mode.MODERN)
        assert ids(await ask(crossed, f"&creditorid={CREDITOR_A}")) == []
        assert books.asked == []
        assert ids(await ask(crossed, f"&creditorid={CREDITOR_B}")) == ["1"]
        assert ids(await ask(crossed, "&creditorid=000")) == ["1"]


async def test_both_answer_as_one(open_crossing: Any) -> None:
    """Each creditor once, by whoever answers for it; every case; every number digit for digit."""
    async with open_crossing() as crossed:
        crossed.host.behave = Books([41, 42]).answer
        await crossed.switch(ORG_A, Mode.MODERN)
        settle(crossed, ORG_A, 1)
        body = await ask(crossed)

    assert [one["idnumber"] for one in body["creditor"]] == [CREDITOR_A, CREDITOR_B]
    assert {one["lastsettlementid"] for one in body["creditor"]} == {max(ids(body))}
    assert body["case"] == [{"creditorid": CREDITOR_B, "ledgerref": "L-1", "amount": Decimal("1.2345678901234567e+19")}]
    assert len(set(ids(body))) == 3
    assert all(len(one) == 12 for one in ids(body))


@pytest.mark.parametrize("as_numbers", [False, True])
async def test_who_keeps_the_highest_id_gets_each_settlement_once(open_crossing: Any, as_numbers: bool) -> None:
    """Of both systems, from the mark it brought from the legacy host, through every mode, to the modern system."""
    books = Books([40, 41])
    books.as_numbers = as_numbers
    mark = ""

    async def poll(crossed: Any) -> int:
        nonlocal mark
        body = await ask(crossed, f"&lastsettlementid={mark}")
        mark = max([mark, *ids(body)], key=lambda one: int(one or 0))
        return len(body["settlement"])

    async with open_crossing() as crossed:
        crossed.host.behave = books.answer
        assert await poll(crossed) == 2
        assert mark == "41"
        await crossed.switch(ORG_A, Mode.MODERN)
        assert await poll(crossed) == 0
        books.ids += [42, 43]
        settle(crossed, ORG_A, 2)
        assert await poll(crossed) == 4
        assert await poll(crossed) == 0
        books.ids.append(44)
        assert await poll(crossed) == 1
        settle(crossed, ORG_A, 1)
        assert await poll(crossed) == 1
        await crossed.switch(ORG_B, Mode.MODERN)
        assert await poll(crossed) == 0
        settle(crossed, ORG_B, 1)
        assert await poll(crossed) == 1
        assert await poll(crossed) == 0


async def test_what_a_caller_had_before_both_answered_is_not_told_again(open_crossing: Any) -> None:
    """Its last mark of the legacy host is remembered, also while nothing comes after it there."""
    books = Books(range(1, 42))
    async with open_crossing() as crossed:
        crossed.host.behave = books.answer
        await crossed.switch(ORG_A, Mode.MODERN)
        settle(crossed, ORG_A, 1)
        first = ids(await ask(crossed, "&lastsettlementid=41"))
        assert len(first) == 1
        assert ids(await ask(crossed, f"&lastsettlementid={first[0]}")) == []
        books.ids.append(42)
        assert len(ids(await ask(crossed, f"&lastsettlementid={first[0]}"))) == 1
        assert books.asked == ["41", "41", "41"]


async def test_a_mark_that_comes_after_modern_numbers_is_not_forgotten(open_crossing: Any) -> None:
    """Modern settlements that were numbered first, for another question, do not bring back what the caller has had.

    Nor is that waited for: whatever comes later is told at once.
    """
    books = Books(range(1, 42))
    async with open_crossing() as crossed:
        crossed.host.behave = books.answer
        await crossed.switch(ORG_A, Mode.MODERN)
        settle(crossed, ORG_A, 2)
        assert len(ids(await ask(crossed, f"&creditorid={CREDITOR_A}"))) == 2
        first = ids(await ask(crossed, "&lastsettlementid=41"))
        assert len(first) == 2
        assert ids(await ask(crossed, f"&lastsettlementid={first[-1]}")) == []
        books.ids.append(42)
        settle(crossed, ORG_A, 1)
        assert len(ids(await ask(crossed, f"&lastsettlementid={first[-1]}"))) == 2
        assert books.asked == ["41", "41", "41"]


async def test_a_mark_of_the_legacy_host_is_none_of_our_numbers(open_crossing: Any) -> None:
    """Whoever comes over with 98123 has not had the first 98,123 settlements of the modern system."""
    async with open_crossing() as crossed:
        await crossed.switch(ORG_A, Mode.MODERN)
        await crossed.switch(ORG_B, Mode.MODERN)
        settle(crossed, ORG_A, 2)
        body = await ask(crossed, "&lastsettlementid=98123")
        assert len(ids(body)) == 2
        assert ids(await ask(crossed, f"&lastsettlementid={max(ids(body))}")) == []


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",
        wire([]),
        wire({"settlement": {}}),
        wire({"settlement": [{"amount": 1}]}),
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{",
    ],
)
async def test_half_an_answer_is_none(open_crossing: Any, answer: bytes) -> None:
    """Never a silently shorter list."""
    async with open_crossing() as crossed:
        crossed.host.behave = lambda _: answer
        await crossed.switch(ORG_A, Mode.MODERN)
        async with crossed.world.session.get(
            f"{crossed.world.url}/webapi/api/Batch?senderid=ERP-2", headers=HEADERS
        ) as response:
            assert response.status == 502
            assert (await response.json())["statuscode"] == 2


async def get(crossed: Any, query: str, **headers: str) -> Any:
    """Ask, and return status and body."""
    url = f"{crossed.world.url}/webapi/api/Batch?{query}"
    async with crossed.world.session.get(url, headers=headers or HEADERS) as response:
        return response.status, await response.json()


UNREACHED = "the legacy host could not be reached: send the same request again later"


async def test_a_host_that_takes_no_connection_has_got_nothing(open_crossing: Any, monkeypatch: Any) -> None:
    """504, as for one that is silent; but nobody need wonder what it did with the question."""

    async def fail(*_: Any) -> None:
        raise TimeoutError

    async with open_crossing() as crossed:
        await crossed.switch(ORG_A, Mode.MODERN)
        monkeypatch.setattr(Pool, "connect", fail)
        status, body = await get(crossed, "senderid=ERP-2")
    assert (status, body["errors"][0]["message"]) == (504, UNREACHED)


async def test_a_legacy_host_that_is_away_fails_what_it_has_a_part_in(open_crossing: Any) -> None:
    """Silent: 504, gone: 502; a creditor of the bridge's is told of all the same."""

    async def wait(_: Any) -> bytes:
        await asyncio.sleep(20)
        return b""

    async with open_crossing(legacy="request_timeout_seconds = 0.2") as crossed:
        crossed.host.behave = wait
        await crossed.switch(ORG_A, Mode.MODERN)
        assert (await get(crossed, "senderid=ERP-2"))[0] == 504
        crossed.host.go_away()
        status, body = await get(crossed, "senderid=ERP-2")
        assert (status, body["errors"][0]["message"]) == (502, UNREACHED)
        assert (await get(crossed, f"senderid=ERP-2&creditorid={CREDITOR_A}"))[0] == 200


async def test_questions_that_cannot_be_read_are_refused_by_whoever_answers(open_crossing: Any) -> None:
    """The bridge, as soon as it has a part in the answer."""
    async with open_crossing() as crossed:
        crossed.host.behave = Books().answer
        assert (await get(crossed, "senderid=ERP-2&includeclosed=perhaps"))[0] == 200
        await crossed.switch(ORG_A, Mode.MODERN)
        assert (await get(crossed, "senderid=ERP-2&includeclosed=perhaps"))[0] == 400


async def test_a_sender_that_came_back_to_the_legacy_host_is_answered_there(open_crossing: Any) -> None:
    """With the bridge's batches still known by their batchid."""
    books = Books([1])
    async with open_crossing() as crossed:
        crossed.host.behave = books.answer
        await crossed.switch(ORG_A, Mode.MODERN)
        await crossed.world.post({"batchid": "B-1"}, bearer="token1")
        await crossed.switch(ORG_A, Mode.LEGACY)
        assert (await get(crossed, "batchid=B-1", Authorization="Bearer token1"))[1]["statuscode"] == 0
        assert books.asked == []
        assert (await get(crossed, "", Authorization="Bearer token1"))[1]["settlement"]


async def test_questions_of_strangers_pass_where_the_operator_says_so(open_crossing: Any) -> None:
    """As their batches do."""
    async with open_crossing(first_mode="modern", cutover="pass_strangers = true") as crossed:
        crossed.host.behave = Books([1]).answer
        assert (await get(crossed, "senderid=NOBODY", Authorization="Bearer x"))[0] == 200
        assert (await get(crossed, "senderid=ERP-1", Authorization="Bearer x"))[0] == 401
