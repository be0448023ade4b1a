"""Evidence of an organization that may go, to be spoiled by tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from bridge.comparing import Does, Kind, Rule, Rules
from bridge.journal import Observation, Sample
from bridge.modes import Mode, Switch
from bridge.readiness import Evidence, Part, Terms, Window
from bridge.steering.observing import Topic

ORG = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ON = date(2026, 11, 20)
WINDOW = Window(ON, 14)
PARTS = [
    Part("autocollect", "invoice", 'operation "create_invoices"'),
    Part("autocollect", "invoice", 'carry "vat"'),
    Part("autocollect", "action", 'table "actions" code "9"', refuses=True),
]


def observe(topic: Topic, *subject: str, count: int = 1, day: int = 1) -> Observation:
    """Return what was seen on a day of the window, counted from 1."""
    return Observation(ORG, WINDOW.since + (day - 1) * 86_400 + 3600, topic, subject, count)


def make_rule(name: str, path: str = "invoice.ledgerref", expires: date = date(2027, 6, 30)) -> Rule:
    return Rule(name, path, Does.IGNORE, "kari", "known", expires, frozenset({Kind.VALUE}))


@pytest.fixture
def terms() -> Terms:
    return Terms(min_rows=1000, min_days=5, expiry_days=14, left_out_percent=5)


@pytest.fixture
def seen() -> Callable[..., Observation]:
    return observe


@pytest.fixture
def rule() -> Callable[..., Rule]:
    return make_rule


@pytest.fixture
def good() -> Evidence:
    """Five days of traffic, all the same, every part exercised."""
    compared = [observe(Topic.COMPARED, "same", count=300, day=day) for day in range(3, 8)]
    pairs = [observe(Topic.PAIR, "compared", count=30, day=day) for day in range(3, 8)]
    used = [
        observe(Topic.RULE, part.profile, part.objectname, part.name, count=9) for part in PARTS if not part.refuses
    ]
    return Evidence(
        organization=ORG,
        name="Nordlys Energi AS",
        window=WINDOW,
        current=Switch(ORG, Mode.SHADOW, number=1, at=WINDOW.since, actor="kari", reason="look"),
        observations=[*compared, *pairs, *used],
        parts=PARTS,
    )


@pytest.fixture
def spoil(good: Evidence) -> Callable[..., Evidence]:
    """Return the good evidence with more observations, and other parts replaced."""

    def spoilt(*observations: Observation, **parts: Any) -> Evidence:
        return replace(good, observations=[*good.observations, *observations], **parts)

    return spoilt


@pytest.fixture
def sample() -> Callable[..., Sample]:
    def make(path: str, kind: str = "value", legacy: str = '"a"', bridge: str = '"b"', **more: Any) -> Sample:
        return Sample(ORG, path, kind, WINDOW.since + 90_000, "ERP-1", more.get("address"), legacy, bridge)

    return make


@pytest.fixture
def rules() -> Callable[..., Rules]:
    return lambda *found: Rules(tuple(found))
