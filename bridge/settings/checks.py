"""Look across tables: what one alone cannot tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge.errors import UnknownProfile
from bridge.settings.cutover_checks import find_cutover_disagreements
from bridge.settings.faults import Fault
from bridge.settings.model import Settings
from bridge.settings.sources import is_loopback

Table = Mapping[str, Any]
AUTHENTICATION = ("basic", "bearer", "jwt", "anonymous")


def find_disagreements(document: Table, folder: Path) -> Iterator[Fault]:
    """Yield what does not fit together; reads the document as written, so that no other fault hides one of these.

    Relative paths are relative to `folder`.
    """
    organizations, senders = _tables(document, "organization"), _tables(document, "sender")
    yield from _missing_tables(document)
    yield from _duplicates("organization", _spell_ids(organizations, lower=True))
    yield from _duplicates("sender", _spell_ids(senders))
    yield from _contested_creditors(organizations)
    yield from _unknown_organizations(organizations, senders)
    yield from _unguarded_senders(senders, _host(document))
    yield from find_cutover_disagreements(document, organizations, folder)


def require_profiles(settings: Settings, known: Collection[str]) -> None:
    """Raise UnknownProfile unless every sender speaks a profile that the mappings folder holds."""
    remedy = f"in {settings.mappings.folder}, only {', '.join(sorted(known))}; correct it, or add the folder"
    faults = [
        f"sender[{index}].profile ({sender.id}): there is no profile {sender.profile} {remedy}"
        for index, sender in enumerate(settings.senders)
        if sender.profile not in known
    ]
    if faults:
        raise UnknownProfile("\n".join(faults))


def _tables(document: Table, name: str) -> list[Table]:
    """Return an array of tables, its malformed entries as empty ones so that positions stay true."""
    found = document.get(name, [])
    return [entry if isinstance(entry, dict) else {} for entry in found] if isinstance(found, list) else []


def _spell_ids(tables: Sequence[Table], *, lower: bool = False) -> list[str]:
    """Return the ids as they are compared; empty where there is none."""
    ids = [str(table.get("id", "")).strip() for table in tables]
    return [spelt.lower() for spelt in ids] if lower else ids


def _missing_tables(document: Table) -> Iterator[Fault]:
    """A bridge without a sender or an organization has nothing to do."""
    for name in ("organization", "sender"):
        if document.get(name, []) == []:
            yield Fault(name, f"there is none; add a [[{name}]] table")


def _duplicates(name: str, ids: Sequence[str]) -> Iterator[Fault]:
    """An id may stand once."""
    for spelt, count in Counter(filter(None, ids)).items():
        if count > 1:
            places = " and ".join(f"{name}[{index}]" for index, other in enumerate(ids) if other == spelt)
            yield Fault(f"{name}.id", f"{spelt} stands in {places}; give each {name} an id of its own")


def _contested_creditors(organizations: Sequence[Table]) -> Iterator[Fault]:
    """A creditor belongs to one organization."""
    owners: dict[str, list[int]] = {}
    for index, organization in enumerate(organizations):
        for creditor in sorted({str(each).strip() for each in _list(organization, "creditors")}):
            owners.setdefault(creditor, []).append(index)
    for creditor, indexes in owners.items():
        if len(indexes) > 1:
            places = " and ".join(f"organization[{index}]" for index in indexes)
            yield Fault(
                "organization.creditors", f"{creditor} is claimed by {places}; leave it with the one that owns it"
            )


def _unknown_organizations(organizations: Sequence[Table], senders: Sequence[Table]) -> Iterator[Fault]:
    """A sender writes to organizations of this file only."""
    known = set(_spell_ids(organizations, lower=True))
    for index, sender in enumerate(senders):
        for position, wanted in enumerate(_list(sender, "organizations")):
            if str(wanted).strip().lower() not in known:
                key = f"sender[{index}].organizations[{position}]"
                yield Fault(
                    key, f"{wanted} is no organization of this file; add an [[organization]] table or correct the id"
                )


def _unguarded_senders(senders: Sequence[Table], host: str) -> Iterator[Fault]:
    """Each sender has a way to show who it is; going without is for this machine only."""
    for index, sender in enumerate(senders):
        if all(sender.get(way, False) is False for way in AUTHENTICATION):
            yield Fault(f"sender[{index}]", "has no way to show who it is; add basic, bearer or jwt")
        if sender.get("anonymous") is True and not is_loopback(host):
            remedy = "set server.host to 127.0.0.1, or give the sender credentials and remove anonymous"
            yield Fault(
                f"sender[{index}].anonymous", f"is allowed only while server.host is a loopback address; {remedy}"
            )


def _list(table: Table, name: str) -> list[Any]:
    """Return a list of the table, or an empty one."""
    found = table.get(name, [])
    return found if isinstance(found, list) else []


def _host(document: Table) -> str:
    """Return the host the bridge will listen on."""
    server = document.get("server", {})
    return str(server.get("host", "127.0.0.1")) if isinstance(server, dict) else "127.0.0.1"
