"""The settings of the bridge to the shadow target: complete, and without anything that leads to production."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bridge.errors import CannotTakeNow, ChangedContent, SettingsFault
from bridge.pipeline import Answer, Ticket
from bridge.senders import Sender
from bridge.settings import Settings
from bridge.settings.sources import Sources
from bridge.shadowing import ShadowTarget, shadow_settings

STAGING = "https://staging.example/collection/v1"


def uuid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def make_settings(organizations: list[dict[str, Any]], senders: list[dict[str, Any]], **more: Any) -> Settings:
    document: dict[str, Any] = {
        "server": {},
        "storage": {"url": "sqlite:///production-journal.db"},
        "modern": {
            "base_url": "https://production.example/collection/v1",
            "token_url": "https://production.example/token",
            "webhook_secrets": ["production-hook-secret"],
        },
        "mappings": {"folder": "mappings"},
        "reading": {},
        "legacy": {"base_url": "https://production-legacy.example"},
        "cutover": {"first_mode": "shadow"},
        "shadow": {"base_url": STAGING, "token_url": "https://staging.example/token"},
        "recording": {"key": "production-recording-key"},
        "readiness": {},
        "guardrails": {"errors": 3},
        "organization": organizations,
        "sender": senders,
    }
    return Settings.model_validate(document | more, context=Sources(Path("/somewhere"), {}))


def organization(number: int, stand_in: int | None = None) -> dict[str, Any]:
    one: dict[str, Any] = {
        "id": uuid(number),
        "name": f"Organization {number}",
        "creditors": [f"creditor-{number}"],
        "client_id": f"production-client-{number}",
        "client_secret": f"production-secret-{number}",
        "webhook_secrets": [f"production-hook-{number}"],
        "guardrails": {"errors": 1},
    }
    if stand_in is not None:
        one["shadow"] = {"id": uuid(stand_in), "client_id": f"staging-{stand_in}", "client_secret": "staging-secret"}
    return one


def sender(name: str, *organizations: int) -> dict[str, Any]:
    return {"id": name, "organizations": [uuid(one) for one in organizations], "bearer": f"token-{name}"}


def texts(value: object) -> Iterator[str]:
    """Yield every text in settings, secrets opened."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from texts(inner)
    elif value is not None:
        yield str(value)


stand_ins = st.lists(st.none() | st.integers(1000, 1003), min_size=1, max_size=6)


@given(stand_ins, st.data())
def test_nothing_that_leads_to_production_survives(chosen: list[int | None], data: st.DataObject) -> None:
    """No address, id, credential or secret of production, whichever organizations have a stand-in."""
    numbers = range(len(chosen))
    members = st.lists(st.sampled_from(numbers), min_size=1, unique=True)
    senders = [sender(f"ERP-{n}", *data.draw(members)) for n in range(data.draw(st.integers(1, 4)))]
    settings = make_settings([organization(n, one) for n, one in zip(numbers, chosen, strict=True)], senders)
    there = shadow_settings(settings)
    found = set(texts(there.model_dump()))
    assert not {text for text in found if "production" in text}
    assert not found & {uuid(number) for number in numbers}
    assert there.modern.base_url == STAGING


@given(stand_ins, st.data())
def test_everyone_with_a_stand_in_is_led_there_and_nobody_else(chosen: list[int | None], data: st.DataObject) -> None:
    """Several organizations may share one, with all their creditors; senders without any are left out."""
    numbers = range(len(chosen))
    members = data.draw(st.lists(st.lists(st.sampled_from(numbers), min_size=1, unique=True), min_size=1, max_size=4))
    senders = [sender(f"ERP-{n}", *each) for n, each in enumerate(members)]
    there = shadow_settings(
        make_settings([organization(n, one) for n, one in zip(numbers, chosen, strict=True)], senders)
    )
    creditors = {one.id: set(one.creditors) for one in there.organizations}
    wanted: dict[str, set[str]] = {}
    for number, one in zip(numbers, chosen, strict=True):
        if one is not None:
            wanted.setdefault(uuid(one), set()).add(f"creditor-{number}")
    assert creditors == wanted
    led = {one.id: set(one.organizations) for one in there.senders}
    led_there = {
        f"ERP-{n}": {uuid(chosen[each] or 0) for each in whose if chosen[each]} for n, whose in enumerate(members)
    }
    assert led == {name: there for name, there in led_there.items() if there}


def test_the_shadow_of_the_shadow_is_none() -> None:
    """It writes for real, as a bridge in modern mode: no legacy host, no target of its own, no recording."""
    there = shadow_settings(make_settings([organization(0, 1000)], [sender("ERP", 0)]))
    assert (there.legacy.base_url, there.shadow.base_url, there.recording.key) == (None, None, None)
    assert there.cutover.first_mode == "modern"
    assert there.guardrails.errors is None
    assert there.senders[0].hold_seconds == 60


def test_without_a_target_there_are_no_settings_for_it() -> None:
    """The message says what to do."""
    with pytest.raises(SettingsFault, match=r"shadow\.base_url is not set"):
        shadow_settings(make_settings([organization(0, 1000)], [sender("ERP", 0)], shadow={}))


# --- its answers -----------------------------------------------------------------------------------------------------


class FakePipeline:
    """Answers, or does not."""

    def __init__(self, *, final: bool = True, fault: Exception | None = None) -> None:
        self.final = final
        self.fault = fault
        self.deadlines: list[float] = []

    async def take(self, sender: Sender, body: bytes) -> Ticket:
        if self.fault is not None:
            raise self.fault
        return Ticket(None, 0.0, False)  # type: ignore[arg-type]  # nobody looks

    async def redeem(self, ticket: Ticket) -> Answer:
        self.deadlines.append(ticket.deadline)
        return Answer(b'{"statuscode":0}', "id")

    async def is_final(self, ticket: Ticket) -> bool:
        return self.final


def target(pipeline: Any) -> ShadowTarget:
    clock = count(100.0)
    erp = Sender("ERP", "autocollect", (uuid(1000),), 60.0, "unique", 0.0)
    return ShadowTarget(pipeline, [erp], [uuid(0)], clock=lambda: next(clock))


async def test_a_final_answer_is_given_also_where_the_caller_wanted_none() -> None:
    """The deadline is the target's own, not that of the batch (`offline` has none)."""
    pipeline = FakePipeline()
    answer = await target(pipeline).answer("ERP", b"{}")
    assert answer is not None
    assert (answer.status, answer.body) == (200, b'{"statuscode":0}')
    assert pipeline.deadlines == [160.0]


@pytest.mark.parametrize(
    "pipeline",
    [None, FakePipeline(final=False), FakePipeline(fault=CannotTakeNow("full"))],
    ids=["away", "not final", "full"],
)
async def test_what_is_not_answered_in_time_is_no_answer(pipeline: Any) -> None:
    """Nor is what could not be taken, or went to a target that could not be opened."""
    assert await target(pipeline).answer("ERP", b"{}") is None
    assert await target(FakePipeline()).answer("SOMEBODY", b"{}") is None


async def test_a_refusal_of_the_whole_batch_is_an_answer() -> None:
    """It is what the caller would get."""
    answer = await target(FakePipeline(fault=ChangedContent("changed"))).answer("ERP", b"{}")
    assert answer is not None
    assert answer.status == ChangedContent.status
    assert b"changed" in answer.body


def test_it_serves_those_with_a_stand_in() -> None:
    """By their production ids."""
    assert target(None).serves(uuid(0))
    assert not target(None).serves(uuid(1000))
