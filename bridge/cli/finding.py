"""`bridge xref find`: everything the cross-reference knows of a claim, by whatever name somebody has in hand."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.batch import Address
from bridge.cli.journals import read_books
from bridge.cli.organizations import names_of
from bridge.cli.places import address_fields
from bridge.cli.screen import Screen, print_json, waiting
from bridge.cli.times import say_time, write_iso
from bridge.journal import Books, CaseEvent, Claim
from bridge.legacy.faults import name_safely
from bridge.settings import load_settings

MOST_CLAIMS = 100
"""How many claims are shown of one name."""
ELSEWHERE = (
    "Names are compared as a whole. It knows what came through the bridge, what webhooks told, what was read back",
    "and what was imported. Look elsewhere, or teach it:",
    "  bridge batches list     for the batch it came in: a row that was refused or is pending is no claim yet",
    "  bridge xref rebuild     reads every claim that the modern system lists for an organization",
    "  bridge xref import      takes a list of claims that were created on the legacy host",
)


@dataclass(frozen=True, slots=True)
class Found:
    """What goes by a name; `history` is that of a single claim's case."""

    claims: Sequence[Claim]
    more: bool
    """Whether there are more than are shown."""
    history: Sequence[CaseEvent]


def find(config: Path, name: str, *, as_json: bool) -> bool:
    """Show every claim that goes by a name; tell whether there is one."""
    settings = load_settings(config, os.environ)
    names = names_of(settings)
    found = read_books(settings, lambda books: _find(books, name.strip()))
    if as_json:
        print_json(_to_json(found, names))
    else:
        _write(Screen(), name, found, names)
    return bool(found.claims)


async def _find(books: Books, name: str) -> Found:
    claims = await books.find_claims(name, limit=MOST_CLAIMS + 1)
    if not claims and name.lower() != name:
        claims = await books.find_claims(
            name.lower(), limit=MOST_CLAIMS + 1
        )  # ids of the modern system, as Excel has them
    history: Sequence[CaseEvent] = ()
    if len(claims) == 1 and claims[0].case_id:
        told = await books.case_history(claims[0].organization, [claims[0].case_id])
        history = told.get(claims[0].case_id, ())
    return Found(claims[:MOST_CLAIMS], len(claims) > MOST_CLAIMS, history)


# --- showing -------------------------------------------------------------------------------------------------------


def _write(screen: Screen, name: str, found: Found, names: Mapping[str, str]) -> None:
    if not found.claims:
        screen.say(f"The cross-reference knows no claim by {name_safely(name)}.")
        for line in ELSEWHERE:
            screen.say(line)
        return
    for number, claim in enumerate(found.claims, 1):
        if len(found.claims) > 1:
            screen.heading(f"Claim {number} of {len(found.claims)}")
        screen.table(("name", "value"), _lines(claim, names))
    if found.more:
        screen.say(waiting(f"There are more than {MOST_CLAIMS}: look for a name that fewer claims share."))
    elif len({claim.organization for claim in found.claims}) > 1:
        screen.say(waiting("They belong to several organizations: claims of one name need not be one claim."))
    if found.history:
        screen.heading("What webhooks told about its case")
        screen.table(("at (UTC)", "event", "status", "changed"), [_line_of(event) for event in found.history])


def _lines(claim: Claim, names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what is known of a claim, one name a line; what is not known is a dash."""
    organization = names.get(claim.organization, "not configured any more")
    lines = [("organization", f"{claim.organization} ({organization})" if organization else claim.organization)]
    lines += [(name, name_safely(value) if value else "-") for name, value in _ids(claim).items()]
    batch = f"{claim.batch_id}, row {_row(claim)}: bridge batches show {claim.batch_id}" if claim.batch_id else "-"
    return [*lines, ("legacy batch", batch)]


def _ids(claim: Claim) -> dict[str, str]:
    return {**claim.names, "modern batch": claim.modern_batch}


def _row(claim: Claim) -> str:
    address = _address(claim)
    return f"{address.objectname}:{address.objectindex}" if address else "unknown"


def _address(claim: Claim) -> Address | None:
    return Address("invoice", claim.objectindex) if claim.batch_id and claim.objectindex >= 0 else None


def _line_of(event: CaseEvent) -> tuple[str, str, str, str]:
    return (
        say_time(event.at),
        event.kind,
        name_safely(event.status) or "-",
        ", ".join(map(name_safely, event.fields)) or "-",
    )


def _to_json(found: Found, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "claims": [_claim_json(claim, names) for claim in found.claims],
        "more": found.more,
        "history": [
            {"at": write_iso(event.at), "event": event.kind, "status": event.status, "fields": list(event.fields)}
            for event in found.history
        ],
    }


def _claim_json(claim: Claim, names: Mapping[str, str]) -> dict[str, Any]:
    ids = {name.replace("modern batch", "modernBatch"): value or None for name, value in _ids(claim).items()}
    address = _address(claim)
    return {
        "organization": claim.organization,
        "name": names.get(claim.organization),
        **ids,
        "batch": claim.batch_id or None,
        "row": address_fields(address) if address else None,
    }
