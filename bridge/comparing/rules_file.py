"""The rules file: TOML in, rules out, every fault told with the rule it is in and what to do about it."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar

from bridge.comparing.paths import DOCUMENTED, VERDICT, can_exist, well_formed
from bridge.comparing.rules import EXCUSES_BY_ITSELF, MAY_EXCUSE, Does, Rule, Rules
from bridge.comparing.values import OWN_EXCUSES, Kind
from bridge.wording import suggest, word_unknown

Word = TypeVar("Word", bound=StrEnum)

_TABLES = frozenset({"fields", "rule"})
_TEXTS = ("id", "path", "owner", "reason")
_LIMITS = ("amount", "seconds")
_KEYS = (*_TEXTS, "does", "expires", "kinds", "organization", *_LIMITS)


def read_rules(text: str, organizations: Collection[str] | None = None) -> tuple[Rules, list[str]]:
    """Return the rules of a file that are sound, and every fault of the others; `organizations` None: any may be named.

    That a rule has expired is no fault: it excuses nothing any more, and `Rule.expires` tells.
    """
    try:
        content = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        return Rules(), [f"is not TOML: {error}"]
    faults = [f"{key}: {word_unknown(key, _TABLES)}" for key in sorted(content.keys() - _TABLES)]
    undocumented = tuple(_read_fields(content.get("fields", {}), faults))
    tables = content.get("rule", [])
    if not isinstance(tables, list):
        return Rules((), undocumented), [*faults, "rule: write each rule as a [[rule]] of its own"]
    rules: dict[str, Rule] = {}
    for position, table in enumerate(tables):
        reading = _Reading(table, position, undocumented, organizations)
        rule = reading.read()
        if rule is not None and rule.id in rules:
            reading.fault("id", "another rule has it already; give each rule its own")
        faults += reading.faults
        if rule is not None:
            rules.setdefault(rule.id, rule)
    return Rules(tuple(rules.values()), undocumented), faults


def _read_fields(table: Any, faults: list[str]) -> Iterator[str]:
    """Yield the declared fields."""
    if not isinstance(table, dict) or table.keys() - {"undocumented"}:
        faults.append('fields: holds nothing but undocumented = ["invoice.caseNumber", …]')
        return
    names = table.get("undocumented", [])
    for name in names if isinstance(names, list) else [names]:
        if isinstance(name, str) and well_formed(name, wildcards=False):
            yield name
        else:
            faults.append(f'fields: undocumented: {_quote(name)} is no path; write one such as "invoice.caseNumber"')


@dataclass(slots=True)
class _Reading:
    """One `[[rule]]` being read."""

    table: Any
    position: int
    undocumented: tuple[str, ...]
    organizations: Collection[str] | None
    faults: list[str] = field(default_factory=list)

    def fault(self, key: str, message: str) -> None:
        """Note a fault under the rule's id, or its position."""
        name = self.table.get("id") if isinstance(self.table, dict) else None
        rule = f'rule "{name}"' if isinstance(name, str) and name.strip() else f"rule {self.position + 1}"
        self.faults.append(f"{rule}: {key}: {message}")

    def read(self) -> Rule | None:
        """Return the rule; None when there is a fault in it."""
        if not isinstance(self.table, dict):
            self.fault("rule", "write it as a [[rule]] with its keys below")
            return None
        for key in sorted(self.table.keys() - set(_KEYS)):
            self.fault(key, word_unknown(key, _KEYS))
        texts = {key: self._text(key) for key in _TEXTS}
        does, expires = self._word("does", self.table.get("does"), Does), self._date()
        kinds = self._kinds(does)
        limits = self._limits(does)
        self._check_path(texts["path"], kinds)
        organization = self._organization()
        if texts["id"] in OWN_EXCUSES:
            self.fault("id", "the bridge uses this word itself; choose another one")
        if self.faults or does is None or expires is None:
            return None
        return Rule(
            id=texts["id"],
            path=texts["path"],
            does=does,
            owner=texts["owner"],
            reason=texts["reason"],
            expires=expires,
            kinds=kinds,
            organization=organization,
            amount=limits["amount"],
            seconds=limits["seconds"],
        )

    def _text(self, key: str) -> str:
        value = self.table.get(key)
        if isinstance(value, str) and value.strip():
            return value.strip()
        self.fault(key, "is missing; every rule needs it" if value is None else "must be a text, and not empty")
        return ""

    def _word(self, key: str, value: Any, words: type[Word]) -> Word | None:
        try:
            return words(value)
        except ValueError:
            known = ", ".join(words)
            problem = "is missing" if value is None else f"{_quote(value)} is none"
            self.fault(key, f"{problem}; write one of {known}")
            return None

    def _date(self) -> date | None:
        value = self.table.get("expires")
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        self.fault("expires", "must be a date without quotes, such as 2027-03-31: the last day on which the rule holds")
        return None

    def _kinds(self, does: Does | None) -> frozenset[Kind]:
        named = self.table.get("kinds")
        if named is None:
            return EXCUSES_BY_ITSELF[does] if does is not None else frozenset()
        if not isinstance(named, list) or not named:
            self.fault("kinds", f"must be a list of one or more of {', '.join(Kind)}")
            return frozenset()
        kinds = {self._word("kinds", name, Kind) for name in named} - {None}
        beyond = kinds - MAY_EXCUSE[does] if does is not None else set()
        if beyond:
            self.fault("kinds", f'does = "{does}" cannot excuse {", ".join(sorted(map(str, beyond)))}; remove it')
        return frozenset(kind for kind in kinds if kind is not None)

    def _limits(self, does: Does | None) -> dict[str, Decimal | None]:
        limits = {key: self._limit(key) for key in _LIMITS}
        given = [key for key in _LIMITS if key in self.table]
        if does is Does.TOLERANCE and len(given) != 1:
            self.fault("does", "a tolerance needs either amount = 0.01 or seconds = 60, whichever the field holds")
        elif does is not None and does is not Does.TOLERANCE and given:
            self.fault(given[0], 'only does = "tolerance" takes it; remove it')
        return limits

    def _limit(self, key: str) -> Decimal | None:
        value = self.table.get(key)
        if value is None:
            return None
        try:
            limit = Decimal(value) if isinstance(value, int | str | Decimal) and not isinstance(value, bool) else None
        except InvalidOperation:
            limit = None
        if limit is not None and limit.is_finite() and limit > 0:
            return limit
        self.fault(key, "must be a number above 0")
        return None

    def _check_path(self, path: str, kinds: Collection[Kind]) -> None:
        if not path:
            return
        if not well_formed(path, wildcards=True):
            self.fault("path", f'{_quote(path)} is no path; write one such as "invoice.ledgerref" or "*.message"')
        elif not can_exist(path, self.undocumented):
            known = [*DOCUMENTED, *self.undocumented]
            self.fault(
                "path",
                f"{_quote(path)} cannot exist: no reply has such a field{suggest(path, known)}; correct it, or "
                "declare the field under [fields] undocumented",
            )
        elif path.endswith(f".{VERDICT}") and Kind.VERDICT not in kinds:
            self.fault("kinds", 'a verdict is only excused by kinds = ["verdict"]; add it, or remove the rule')

    def _organization(self) -> str:
        value = self.table.get("organization", "")
        if not isinstance(value, str) or (self.organizations is not None and value and value not in self.organizations):
            self.fault("organization", f"{_quote(value)} is no [[organization]] of the configuration; write its id")
            return ""
        return value


def _quote(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else _TYPES.get(type(value), "a date")


_TYPES: dict[type, str] = {
    bool: "a boolean",
    int: "a number",
    Decimal: "a number",
    list: "a list",
    dict: "a table",
}
