"""Those who work batches, introduced to each other: from settings and sessions to the worker."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from bridge.calls.delivery import Delivery
from bridge.calls.dispatch import Dispatch
from bridge.calls.gates import Gates, GateTerms
from bridge.calls.keyring import Keyring
from bridge.calls.reconcile import Patience, Reconciler
from bridge.calls.refusals import Refusals
from bridge.calls.relay import Observer, Relay
from bridge.calls.submission import Submitter, Terms
from bridge.calls.verdicts import Judge
from bridge.claims.expecting import Expecting
from bridge.claims.references import References, teach_through
from bridge.journal import Journal
from bridge.journal.patient import PatientJournal
from bridge.modern.client import ModernClient
from bridge.modern.tokens import Access
from bridge.modern.waiting import Waiter
from bridge.organizations import Directory
from bridge.reach import accesses, make_client
from bridge.settings import Settings
from bridge.workshop.completing import Completer
from bridge.workshop.work import Worker

HOST_BATCHES = 8
"""How many sub-batches are with the legacy host at a time."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What the crew stands on; `relay` is a session of `relay.open_relay_session`."""

    settings: Settings
    directory: Directory
    journal: Journal
    patient: PatientJournal
    session: aiohttp.ClientSession
    relay: aiohttp.ClientSession
    clock: Callable[[], float]
    new_id: Callable[[], str]
    chance: random.Random


@dataclass(frozen=True, slots=True)
class Crew:
    """Whom the rest of the bridge deals with."""

    client: ModernClient
    waiter: Waiter
    gates: Gates
    access: Callable[[str], Access]
    dispatch: Dispatch
    expecting: Expecting
    keyring: Keyring
    worker: Worker


def gather_crew(ground: Ground, observer: Observer = lambda _: None) -> Crew:
    """Introduce everyone; `observer` is shown every sub-batch that the legacy host has answered."""
    settings, jitter = ground.settings.modern, ground.chance.random
    client = make_client(ground.session, settings, clock=ground.clock, jitter=jitter)
    waiter = Waiter(
        client.glance,
        client.recent_batches,
        clock=time.monotonic,
        jitter=jitter,
        ceiling_seconds=settings.poll_ceiling_seconds,
    )
    gates = Gates(_gate_terms(ground.settings), clock=time.monotonic)
    access = accesses(ground.directory.organizations)
    dispatch = Dispatch(ground.patient, client, gates, access)
    expecting, keyring = Expecting(ground.journal), Keyring(ground.settings.senders)
    worker = Worker(
        ground.patient,
        _make_submitter(ground, client, waiter, dispatch, access),
        Completer(_make_references(ground, client, access), expecting),
        _make_delivery(ground, dispatch, keyring, observer),
        max_rows_per_call=settings.max_rows_per_call,
    )
    return Crew(client, waiter, gates, access, dispatch, expecting, keyring, worker)


def _make_submitter(
    ground: Ground, client: ModernClient, waiter: Waiter, dispatch: Dispatch, access: Callable[[str], Access]
) -> Submitter:
    settings = ground.settings.modern
    patience = Patience(settings.request_timeout_seconds, settings.settle_seconds)
    reconciler = Reconciler(client, ground.journal, patience, clock=ground.clock)
    return Submitter(
        ground.patient,
        dispatch,
        waiter,
        reconciler,
        Judge(reconciler, [word.casefold() for word in settings.duplicate_words]),
        Refusals(client, clock=ground.clock),
        access=access,
        terms=Terms(retry_seconds=settings.retry_hours * 3600),
        clock=ground.clock,
        new_id=ground.new_id,
        chance=ground.chance,
    )


def _make_references(ground: Ground, client: ModernClient, access: Callable[[str], Access]) -> References:
    settings = ground.settings.modern
    return References(
        ground.journal,
        client,
        access,
        teach=teach_through(ground.journal),
        settle_seconds=settings.settle_seconds,
        patience_seconds=settings.retry_hours * 3600,
    )


def _make_delivery(ground: Ground, dispatch: Dispatch, keyring: Keyring, observer: Observer) -> Delivery:
    relay = Relay(ground.relay, ground.settings.legacy.base_url, clock=ground.clock, observer=observer)
    return Delivery(
        ground.patient,
        relay,
        dispatch.traffic,
        keyring,
        Gates(_host_terms(ground.settings), clock=time.monotonic).of("the legacy host"),
        retry_seconds=ground.settings.modern.retry_hours * 3600,
        clock=ground.clock,
        new_id=ground.new_id,
        chance=ground.chance,
    )


def _host_terms(settings: Settings) -> GateTerms:
    modern = settings.modern
    return GateTerms(HOST_BATCHES, failures_to_break=modern.failures_to_break, break_seconds=modern.break_seconds)


def _gate_terms(settings: Settings) -> GateTerms:
    return GateTerms(
        concurrency=settings.modern.concurrency_per_organization,
        writes_per_second=settings.modern.writes_per_second,
        failures_to_break=settings.modern.failures_to_break,
        break_seconds=settings.modern.break_seconds,
    )
