"""Who says which way rows go, introduced to each other: the switches, what is counted under them, the guardrails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bridge.journal import Journal
from bridge.metrics import Metrics
from bridge.settings import Settings
from bridge.steering.guardrails import Allowance, Guardrails, allow
from bridge.steering.observing import Observatory
from bridge.steering.scores import OpenBatch, Scores
from bridge.steering.switchboard import SETTLE_SECONDS, Switchboard


@dataclass(frozen=True, slots=True)
class Steering:
    """Whom the rest of the bridge asks and tells; `switchboard` and `observatory` are to be run."""

    switchboard: Switchboard
    observatory: Observatory
    scores: Scores
    guardrails: Guardrails


def make_steering(
    settings: Settings,
    journal: Journal,
    metrics: Metrics,
    open_batches: Callable[[], Iterable[OpenBatch]],
    *,
    clock: Callable[[], float],
) -> Steering:
    """Put them together; `open_batches` returns those that are worked here."""
    switchboard = _make_switchboard(settings, journal, metrics)
    observatory = Observatory(journal, clock=clock)
    allowances = {one.id: allow(settings.guardrails, one.guardrails) for one in settings.organizations}
    scores = Scores(observatory, switchboard, _answer_budgets(allowances))
    guardrails = Guardrails(
        journal,
        switchboard,
        allowances,
        clock=clock,
        look_around=lambda now: scores.look_at(open_batches(), now),
        note_trip=metrics.guardrail_tripped,
    )
    return Steering(switchboard, observatory, scores, guardrails)


def _make_switchboard(settings: Settings, journal: Journal, metrics: Metrics) -> Switchboard:
    switchboard = Switchboard(
        journal,
        [one.id for one in settings.organizations],
        settings.cutover.first_mode,
        has_legacy_host=settings.legacy.base_url is not None,
        clock=time.monotonic,
        show=metrics.mode_set,
        settle_seconds=0.0 if settings.storage.url.startswith("sqlite:") else SETTLE_SECONDS,
    )
    metrics.watch_switches(lambda: switchboard.age_seconds)
    return switchboard


def _answer_budgets(allowances: dict[str, Allowance]) -> dict[str, float]:
    """Return how many seconds answers may take, by organization."""
    return {one: each.p95_seconds for one, each in allowances.items() if each.p95_seconds is not None}
