"""What holds whatever is asked, and in whatever order things happen."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import CallerError

SAME_FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)

OWNERS = {
    "ERP-1": {"3"},
    "ERP-2": {"3", "7"},
    "ERP-3": {"9"},
}
"""The first sign of each organization a sender may read; everything in that organization is named by it."""
NAMES = ["case", "cust", "erp", "F", "set"]
OF = {"a": ["984842252", "971274190"], "b": ["914594685"]}
"""The creditors of two organizations."""
CREDITORS = ["984842252", "971274190", "914594685", "0"]

values = st.one_of(
    st.just(""),
    st.builds("{}{}-{}".format, st.sampled_from("379"), st.sampled_from(NAMES), st.integers(0, 2)),
    st.sampled_from(["1", "2", "17", "x"]),
)
questions = st.fixed_dictionaries(
    {},
    optional={
        "creditorid": st.sampled_from([*CREDITORS, ""]),
        "customerref": values,
        "ledgerref": values,
        "includeclosed": st.booleans(),
        "lastsettlementid": values,
        "remittancedate": st.sampled_from(["", "2024-03-01", "2024-03-02"]),
        "languagecode": st.sampled_from(["", "en"]),
    },
)


def fill(place: Any, organizations: list[str]) -> None:
    """Give every organization claims and settlements of its own, under names that show whose they are."""
    for organization in organizations:
        mark = organization[0]
        place.lists.cases_of[organization] = [
            {
                "caseId": f"{mark}case-{n}",
                "caseNumber": n,  # the same in every organization
                "closedAt": "2024-01-01" if n == 2 else None,
                "creditorNumber": OF["a"][n % 2] if mark == "3" else "",
                "invoices": [{"invoiceId": f"{mark}i-{n}", "uniqueSourceInvoiceId": f"{mark}erp-{n}", "owner": mark}],
                "debtors": [{"customerNumber": f"{mark}cust-{n}"}],
                "owner": mark,
            }
            for n in range(3)
        ]
        place.lists.invoices_of[organization] = [
            {"id": f"{mark}i-{n}", "invoiceNumber": f"{mark}F-{n}", "collectionCaseNumber": str(n), "owner": mark}
            for n in range(4)
        ]
        place.lists.settlements_of[organization] = [
            {
                "settlementId": f"{mark}set-{n}",
                "settlementDate": f"2024-03-0{n + 1}",
                "caseNumber": str(n),
                "owner": mark,
            }
            for n in range(3)
        ]


@given(
    asked=st.lists(st.tuples(st.sampled_from(sorted(OWNERS)), questions), min_size=1, max_size=6), ignores=st.booleans()
)
@SAME_FIXTURES
async def test_a_sender_never_sees_what_is_not_its_own(make_place: Any, asked: Any, ignores: bool) -> None:
    """By any combination of parameters, one after another or at once, with a warm cache or a cold one."""
    place = make_place()
    fill(
        place,
        [
            "3fa85f64-5717-4562-b3fc-2c963f66afa6",
            "7c9e6679-7425-40de-944b-e07fc1f90ae7",
            "9b2d1f3e-0a51-4c5b-8a57-6c1f5d2f7c11",
        ],
    )
    place.lists.ignores_filters = ignores

    answers = await asyncio.gather(
        *(place.ask(sender, **question) for sender, question in asked), return_exceptions=True
    )

    for (sender, question), answer in zip(asked, answers, strict=True):
        if isinstance(answer, BaseException):
            assert isinstance(answer, CallerError)
            continue
        for entry in answer["case"]:
            assert entry["invoice"].get("owner", entry["case"].get("owner")) in OWNERS[sender]
            assert entry["case"].get("owner", entry["invoice"].get("owner")) in OWNERS[sender]
            assert entry["creditor"]["organization"][0] in OWNERS[sender]
        assert {one["settlement"]["owner"] for one in answer["settlement"]} <= OWNERS[sender]
        if creditorid := question.get("creditorid"):
            unknown = {None} if question.get("customerref") or question.get("ledgerref") else set()
            assert {one["creditor"]["idnumber"] for one in answer["settlement"]} <= {creditorid} | unknown
        assert {one["creditor"]["organization"][0] for one in answer["creditor"]} <= OWNERS[sender]
        strangers = {"3", "7", "9"} - OWNERS[sender]
        text = json.dumps(answer, default=str)
        assert not any(f"{mark}{name}-" in text for mark in strangers for name in NAMES), question


steps = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), st.sampled_from("ab"), st.integers(0, 3)),
        st.tuples(st.just("poll"), st.integers(0, 1), st.booleans()),
        st.tuples(st.just("scan"), st.integers(0, 1), st.just(0)),
        st.tuples(st.just("hide"), st.sampled_from("ab"), st.integers(0, 3)),
        st.tuples(st.just("show"), st.just(0), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 40), st.just(0)),
    ),
    max_size=40,
)


class Connector:
    """Keeps the highest settlement id it was told and asks again, now this replica and now that."""

    def __init__(self, replicas: list[Any], organizations: dict[str, str], creditorid: str = "") -> None:
        self._replicas = replicas
        self._lists = replicas[0].lists
        self._organizations = organizations
        self._hidden: list[tuple[str, dict[str, Any]]] = []
        self._names = iter(range(9999, 0, -1))  # they run against the order of arrival
        self._creditorid = creditorid
        self.got: Counter[str] = Counter()
        self.mark = ""

    @property
    def everything(self) -> Counter[str]:
        return Counter(one["settlementId"] for shelf in self._lists.settlements_of.values() for one in shelf)

    def arrive(self, where: str, place: int) -> None:
        shelf = self._lists.settlements_of.setdefault(self._organizations[where], [])
        name = next(self._names)
        entry = {"settlementId": f"s{name}", "settlementDate": f"2024-03-0{name % 2 + 1}"}
        shelf.insert(place % (len(shelf) + 1), entry)

    async def poll(self, number: int, twice: bool) -> None:
        asking = [self._replicas[number].ask("ERP-2", lastsettlementid=self.mark, creditorid=self._creditorid)]
        if twice:  # the other replica scans at the same time, for somebody else
            asking.append(self._replicas[1 - number].ask("ERP-2"))
        answer, *_ = await asyncio.gather(*asking)
        self.got.update(one["settlement"]["settlementId"] for one in answer["settlement"])
        numbers = [one["number"] for one in answer["settlement"]]
        assert numbers == sorted(set(numbers))
        self.mark = max([self.mark, *numbers])
        told_to = answer["creditor"][0]["creditor"]["lastsettlementid"] or ""
        assert not numbers or (told_to >= numbers[-1] if self._creditorid else told_to == numbers[-1])

    async def scan(self, number: int, _: int) -> None:
        """Have somebody else ask, after the organizations changed."""
        for organization in self._organizations.values():
            self._replicas[number].readback.forget(organization)
        await self._replicas[number].ask("ERP-2")

    def hide(self, where: str, place: int) -> None:
        if shelf := self._lists.settlements_of.get(self._organizations[where]):
            self._hidden.append((self._organizations[where], shelf.pop(place % len(shelf))))

    def show(self, _: int, __: int) -> None:
        for organization, entry in self._hidden:
            self._lists.settlements_of[organization].insert(0, entry)
        self._hidden.clear()

    def wait(self, seconds: float, _: int = 0) -> None:
        """Let time pass; no list is late for as long as `settle_seconds`."""
        for replica in self._replicas:
            replica.now[0] += min(seconds, 0.5) if self._hidden else seconds


class Household(Connector):
    """One connector for each creditor; settlements do not say whose they are, their cases do."""

    def __init__(self, replicas: list[Any], organizations: dict[str, str]) -> None:
        super().__init__(replicas, organizations)
        self.members = {creditor: Connector(replicas, organizations, creditor) for creditor in OF["a"] + OF["b"]}
        self.due: dict[str, Counter[str]] = {creditor: Counter() for creditor in self.members}

    def arrive(self, where: str, place: int) -> None:
        organization = self._organizations[where]
        name = next(self._names)
        creditor = OF[where][name % 3 % len(OF[where])]
        case = {"caseId": f"c{name}", "caseNumber": name, "creditorNumber": creditor}
        closed = {"closedAt": "2024-02-02"} if name % 2 else {}
        self._lists.cases_of.setdefault(organization, []).insert(0, case | closed)
        shelf = self._lists.settlements_of.setdefault(organization, [])
        shelf.insert(place % (len(shelf) + 1), {"settlementId": f"s{name}", "caseNumber": str(name)})
        self.due[creditor][f"s{name}"] += 1

    async def poll(self, number: int, twice: bool) -> None:
        for place, member in enumerate(self.members.values()):
            await member.poll((number + place) % 2, twice)


async def _live_through(connector: Connector, replicas: list[Any], steps: Any, between: Any) -> None:
    """Let things happen, some of them between two pages, and have everything told in the end."""
    arrivals = iter(between)

    def between_pages(kind: str, organization: str, page: int) -> None:
        if kind == "settlements" and (arrival := next(arrivals, None)):
            connector.arrive(*arrival)

    replicas[0].lists.on_page = between_pages
    for name, first, second in steps:
        if (doing := getattr(connector, name)(first, second)) is not None:
            await doing
    connector.show(0, 0)
    replicas[0].lists.on_page = None
    for number in (0, 1):
        connector.wait(31)
        await connector.poll(number, False)


@given(steps=steps, between=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), max_size=10))
@SAME_FIXTURES
async def test_a_connector_that_keeps_the_highest_id_gets_each_settlement_once(
    make_place: Any, org_a: str, org_b: str, steps: Any, between: Any
) -> None:
    """Settlements arrive at any time, between two pages too, out of order, on one date; two replicas scan at once.

    A list may leave a settlement out for a while that it has shown before.
    """
    replicas = [make_place()]
    replicas.append(make_place(replicas[0].lists, replicas[0].journal))
    connector = Connector(replicas, {"a": org_a, "b": org_b})
    await _live_through(connector, replicas, steps, between)

    assert connector.got == connector.everything


@given(steps=steps, between=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), max_size=10))
@SAME_FIXTURES
async def test_connectors_that_ask_by_creditor_get_each_settlement_once_together(
    make_place: Any, org_a: str, org_b: str, steps: Any, between: Any
) -> None:
    """Each gets those of its creditor's cases, open or closed; those of others do not hold up its mark."""
    replicas = [make_place()]
    replicas.append(make_place(replicas[0].lists, replicas[0].journal))
    household = Household(replicas, {"a": org_a, "b": org_b})
    await _live_through(household, replicas, steps, between)

    assert {creditor: member.got for creditor, member in household.members.items()} == household.due
