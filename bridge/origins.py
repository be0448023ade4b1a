"""Which rule of a profile makes the bridge say what it says: from a field of the reply to a line of a mapping file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from bridge.mapping.document import LookUp, ObjectDocument
from bridge.mapping.profiles import Profile
from bridge.mapping.rules import spell_out_rules
from bridge.mapping.tables import describe_code

ROUTING = "the configuration: [[organization]] creditors"
NO_RULE = "no mapping rule: the bridge itself, or the modern system"
NOT_MADE = "no mapping rule makes it"
"""Of a field that the reply of the bridge does not have."""
PLACES = 2000
"""How many answers are remembered; messages that repeat are many, and quote little."""
_MOST_LABELS = 3
_TELLING = frozenset({"message", "statuscode", "status_statuscode", "verdict"})
"""Fields whose words matter; those of others would only fill the memory."""
_OF_BATCHES = frozenset({"errors", "responses", "message", "verdict", "row", "entries"})

_NUMBER = re.compile(r"\[[0-9]+\]")
_REFUSED_CODE = re.compile(r"code (\S+) is refused: ")
_UNROUTED = re.compile(r"needed to tell whose row|.* is not (a creditor this sender|configured for this sender)")


def trace_origins(profile: Profile) -> Callable[[str, str, str], str]:
    """Return what names the rule behind (objectname, field of the reply, what the bridge says there)."""
    find = lru_cache(maxsize=PLACES)(_Origins(profile).find)

    def trace(objectname: str, field: str, said: str) -> str:
        return find(objectname, field, said if field in _TELLING else "")

    return trace


class _Origins:
    """The rules of one profile, by what they make the bridge say."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._reply_file = profile.label("reply.toml")

    def find(self, objectname: str, field: str, said: str) -> str:
        if objectname == "batch":
            return self._find_code(said) if field == "statuscode" else NO_RULE if field in _OF_BATCHES else NOT_MADE
        mapping = self._profile.objects.get(objectname)
        if mapping is None:
            return NO_RULE
        if field == "ledgerref":
            return f"{self._profile.label(f'{objectname}.toml')}: reply_reference"
        if field in {"message", "verdict", "status_statuscode"}:
            return self._find_text(said) or self._find_faults(objectname, mapping.document, said)
        return NOT_MADE

    def _find_code(self, said: str) -> str:
        codes = ("all_accepted", "some_refused", "all_refused", "some_pending")
        found = next((name for name in codes if str(getattr(self._profile.reply, name)) == said), "")
        return f"{self._reply_file}: [codes] {found}".rstrip()

    def _find_text(self, said: str) -> str:
        found = next((name for name in ("accepted", "pending") if getattr(self._profile.reply, name) == said), "")
        return f"{self._reply_file}: [texts] {found}" if found else ""

    def _find_faults(self, objectname: str, document: ObjectDocument, message: str) -> str:
        """Name the rule behind each fault of a message, the first few of them."""
        file = self._profile.label(f"{objectname}.toml")
        labels: dict[str, None] = {}
        for fault in message.split("; "):
            field, colon, expected = fault.partition(": ")
            if colon and _UNROUTED.match(expected):
                labels[ROUTING] = None
            elif colon and (rule := _find_rule(document, _NUMBER.sub("[]", field), expected)):
                labels[f"{file}: {rule}"] = None
        return "; ".join(list(labels)[:_MOST_LABELS]) or NO_RULE


def _find_rule(document: ObjectDocument, field: str, expected: str) -> str:
    """Return the key of the rule that wants a field to be otherwise; empty where no rule speaks of it."""
    declared = document.fields.get(field)
    if expected == "unknown field":
        return 'unknown = "reject"'
    if declared is None and not any(name.startswith((f"{field}.", f"{field}[]")) for name in document.fields):
        return ""
    if expected.startswith(("required to find ", "names several invoices")):
        return "[reference]"
    if expected == "required":
        return _find_demand(document, field)
    if expected.startswith(("code ", "its code ")):
        return _find_table(document, field, expected)
    by_type = f"[fields] {field} = {declared}" if declared else f"[fields] {field}"
    return next(_rules_of(document, field), by_type) if expected.startswith("expected ") else by_type


def _find_demand(document: ObjectDocument, field: str) -> str:
    if any(field in part.fields for part in document.require):
        return f"require {field}"
    if document.choose is not None and document.choose.field == field:
        return f"[choose] {field}"
    return next(_rules_of(document, field), f"[fields] {field}")


def _find_table(document: ObjectDocument, field: str, expected: str) -> str:
    """Return the row of the code table that refuses a code, or the table that has no row for it."""
    tables = [
        step.table
        for _, rule in spell_out_rules(document)
        if field in rule.source
        for step in rule.transform
        if isinstance(step, LookUp)
    ]
    if document.choose is not None and document.choose.field == field:
        tables.insert(0, document.choose.table)
    if not tables:
        return f"[fields] {field}"
    refused = _REFUSED_CODE.match(expected)
    return describe_code(tables[0], refused[1]) if refused else f'table "{tables[0]}", unmapped'


def _rules_of(document: ObjectDocument, field: str) -> Iterator[str]:
    return (key for key, rule in spell_out_rules(document) if field in rule.source)
