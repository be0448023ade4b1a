"""`bridge xref rebuild`: read an organization's claims from the modern system into the cross-reference."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from bridge.claims.rebuilding import Rebuilder, Step
from bridge.cli.organizations import find_organization
from bridge.cli.progress import Advance, show_progress
from bridge.cli.screen import Screen, good, waiting
from bridge.errors import BridgeError, ModernRefused, OperatorError
from bridge.journal.opening import open_office
from bridge.modern.catalogue import Catalogue
from bridge.organizations import Directory
from bridge.reach import access_of, make_client, open_session
from bridge.settings import OrganizationSettings, Settings, load_settings

GOES_ON = "run the same command again, and it goes on where it stopped"


@dataclass(slots=True)
class Sum:
    """What a reading brought so far, in this run."""

    read: int = 0
    new: int = 0
    left_out: int = 0
    in_all: int = 0
    """With what was read before it was cut off."""

    def add(self, step: Step) -> None:
        """Count a page."""
        self.read += step.read
        self.new += step.new
        self.left_out += step.left_out
        self.in_all = step.progress.claims


def rebuild(config: Path, typed: str, *, from_start: bool) -> None:
    """Read every case and invoice of an organization, from where an earlier reading was cut off."""
    settings = load_settings(config, os.environ)
    organization = find_organization(settings, typed, "ORG")
    began, total = time.monotonic(), Sum()
    try:
        asyncio.run(_rebuild(settings, organization, total, from_start=from_start))
    except BridgeError as failure:
        raise OperatorError(_explain(organization, total, failure)) from failure
    except KeyboardInterrupt:
        Screen().say(waiting(f"Interrupted after {total.read:,} claims: {GOES_ON}."))
        raise
    _conclude(Screen(), total, time.monotonic() - began)


async def _rebuild(settings: Settings, organization: OrganizationSettings, total: Sum, *, from_start: bool) -> None:
    access = next(access_of(one) for one in Directory(settings).organizations if one.id == organization.id)
    office = open_office(settings.storage.url, base=Path.cwd())
    try:
        async with open_session() as session:
            client = make_client(session, settings.modern, clock=time.time)
            rebuilder = Rebuilder(Catalogue(client.reader), office, access, clock=time.time)
            with show_progress(f"reading {organization.name or organization.id}", "claims") as advance:
                await _read(rebuilder, total, advance, from_start=from_start)
    finally:
        await office.close()


async def _read(rebuilder: Rebuilder, total: Sum, advance: Advance, *, from_start: bool) -> None:
    screen = Screen()  # opened beside a bar, it writes above it
    unfinished = None if from_start else await rebuilder.unfinished()
    if unfinished is not None:
        screen.say(f"Going on where an earlier reading stopped, after {unfinished.claims:,} claims.")
    async with aclosing(rebuilder.run(unfinished)) as steps:
        async for step in steps:
            if step.began_anew:
                screen.say(waiting("The modern system does not know that place any more: reading from the start."))
            total.add(step)
            advance(step.read)


def _conclude(screen: Screen, total: Sum, seconds: float) -> None:
    earlier = f" ({total.in_all:,} with what was read before)" if total.in_all != total.read else ""
    rate = total.read / max(seconds, 0.001)
    count = "one claim" if total.read == 1 else f"{total.read:,} claims"
    screen.say(good(f"{count} read{earlier}, {total.new:,} of them new, in {seconds:.1f} s: {rate:,.0f}/s"))
    if total.left_out:
        screen.say(waiting(f"{total.left_out:,} entries name no invoice by an id, and were left out."))


def _explain(organization: OrganizationSettings, total: Sum, failure: BridgeError) -> str:
    """Say who, how far, why, and what to do."""
    who = f"{organization.id} ({organization.name})" if organization.name else organization.id
    said = f"{who}: stopped after {total.read:,} claims: {failure}"
    if isinstance(failure, ModernRefused) and failure.status in {400, 401, 403, 404}:
        return f"{said}; correct the [[organization]] or [modern] in the configuration, then {GOES_ON}"
    return f"{said}; {GOES_ON}"
