"""The legacy host's part of an answer that both systems give: its creditors, cases and settlements, as it wrote them.

Only two things are changed in it. Its settlements go by numbers of ours, in one line with those of the modern system,
so that one mark serves for both; and its creditors say how far that line has been told
(docs/decisions/0009-settlement-numbers-of-our-own.md).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from bridge.errors import NoAnswer
from bridge.journal import Journal, NumberedSettlement, RegisterSettlements
from bridge.mapping.reading import ReadProfile
from bridge.readback.marks import Mark
from bridge.readback.settling import Bodies, Foreign, Numbered

Entry = dict[str, msgspec.Raw]
NOT_UNDERSTOOD = (
    "the legacy host's answer could not be read, and half an answer is none: send the same call with a creditorid, or "
    "again later"
)
NO_ID = (
    "a settlement in the legacy host's answer has no settlement id, so it cannot be told exactly once: send the same "
    "call with a creditorid"
)
HAD = "0001-01-01"
"""In place of the day of a settlement that a caller has had from the legacy host before both systems answered it."""
NUMBER = "number"
"""The source of reading mappings that holds a settlement's number."""
LISTS = ("creditor", "case", "settlement")
_decode_top = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw] | None).decode
_decode_entry = msgspec.json.Decoder(Entry).decode
_decode_scalar = msgspec.json.Decoder(str | int | None).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Half:
    """What the legacy host answers for of one question."""

    name: str
    """Under which its settlements are numbered."""
    ask: Callable[[str], Awaitable[bytes]]
    """Returns its answer to the same question with another `lastsettlementid`; an empty one: with none."""
    organizations: frozenset[str]
    """Those that the bridge answers for as well."""
    is_ours: Callable[[str], bool]
    """Tells whether the bridge answers for a creditor."""


class Counterpart:
    """The legacy host's part of one answer."""

    def __init__(self, journal: Journal, half: Half, mark: Mark, reading: ReadProfile) -> None:
        self.half = half
        self._journal = journal
        self._mark = mark
        rules = reading.settlement.rules
        self._id_fields = {
            rule.target.lower() for rule in rules if any(path[0].name == NUMBER for path in rule.sources)
        }
        self._creditors: list[Entry] = []
        self._cases: list[msgspec.Raw] = []
        self._settlements: dict[str, tuple[Entry, str]] = {}
        """By its own id: a settlement, and the field that holds the id."""

    @property
    def cases(self) -> list[msgspec.Raw]:
        """Return its cases as they are written."""
        return self._cases

    async def fetch(self) -> Foreign:
        """Ask the legacy host, and have every settlement numbered before anybody hears of it."""
        known = await self._known()
        asked = self._mark.text if self._mark.is_foreign else last_before(self._had_before(known), self._mark.number)
        self._read(await self.half.ask(asked))
        numbered = {one.settlement_id for one in known}
        await self._register([one for one in sort_ids(self._settlements) if one not in numbered])
        had = frozenset(one.settlement_id for one in known if self._mark.is_foreign or self._had_first(one))
        return Foreign(self.half.name, Bodies(dict.fromkeys(self._settlements, b"")), had - self._settlements.keys())

    async def _known(self) -> list[NumberedSettlement]:
        """Return what is numbered already, the caller's own mark included: it has had that."""
        known = await self._journal.settlements_after([self.half.name], 0)
        if self._mark.is_foreign and all(one.settlement_id != self._mark.text for one in known):
            await self._register([self._mark.text], HAD)
            known = await self._journal.settlements_after([self.half.name], 0)
        return known

    def _had_before(self, known: Sequence[NumberedSettlement]) -> list[NumberedSettlement]:
        """Return what is numbered, marks that callers have brought first."""
        return [replace(one, number=0) if self._had_first(one) else one for one in known]

    def _had_first(self, one: NumberedSettlement) -> bool:
        """Tell of a mark that a caller has brought: whoever has one of our numbers had it, however late it came here.

        The modern system's settlements may have been numbered before, for another question or at the same moment.
        """
        return one.settled_on == HAD and self._mark.number > 0

    async def _register(self, ids: Sequence[str], settled_on: str = "") -> None:
        if ids:
            await self._journal.write(RegisterSettlements(self.half.name, [(one, settled_on) for one in ids]))

    # --- reading ---------------------------------------------------------------------------------------------------

    def _read(self, body: bytes) -> None:
        try:
            top = {name.lower(): raw for name, raw in _decode_top(body).items()}
            creditors, cases, settlements = (_decode_list(top.get(name, b"null")) or [] for name in LISTS)
            self._creditors = [_decode_entry(raw) for raw in creditors]
            self._cases = cases
            entries = [_decode_entry(raw) for raw in settlements]
            found = [(self._find_id(entry), entry) for entry in entries]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
            raise NoAnswer(NOT_UNDERSTOOD, status=502) from fault
        self._settlements = {ident: (entry, field) for (field, ident), entry in found}

    def _find_id(self, entry: Entry) -> tuple[str, str]:
        """Return the field that holds a settlement's id, and the id."""
        for field, raw in entry.items():
            if field.lower() in self._id_fields and (ident := _text(raw)):
                return field, ident
        raise NoAnswer(NO_ID, status=502)

    # --- writing ---------------------------------------------------------------------------------------------------

    def write_creditors(self, mark: str | None) -> Iterator[bytes]:
        """Yield the creditors that the legacy host answers for, each led by a comma, with the mark of both systems."""
        for entry in self._creditors:
            fields = {name.lower(): name for name in entry}
            if "idnumber" in fields and self.half.is_ours(_text(entry[fields["idnumber"]])):
                continue
            if "lastsettlementid" in fields:
                entry[fields["lastsettlementid"]] = msgspec.Raw(_encode(mark))
            yield b"," + _encode(entry)

    def write_settlement(self, one: Numbered) -> bytes:
        """Return a settlement under its number, led by a comma; a number where the legacy host writes numbers."""
        entry, field = self._settlements[one.settlement_id]
        number = self._mark.write(one.number)
        is_text = bytes(entry[field])[:1] == b'"'
        entry[field] = msgspec.Raw(_encode(number if is_text or number is None else int(number)))
        return b"," + _encode(entry)


def last_before(known: Sequence[NumberedSettlement], number: int) -> str:
    """Return the highest id that a caller has had who has got to `number`, so that none with a higher one precedes it.

    Ids that are numbers are compared as such; of others the one that was numbered last. Empty: it has had none.
    """
    had = [one.settlement_id for one in known if one.number <= number]
    if not had or not all(map(_is_number, had)):
        return had[-1] if had else ""
    ahead = [int(one.settlement_id) for one in known if one.number > number and _is_number(one.settlement_id)]
    before = [one for one in had if not ahead or int(one) < min(ahead)]
    return max(before, key=int, default="")


def sort_ids(ids: Iterable[str]) -> list[str]:
    """Return ids in the order in which the legacy host counts: numbers by their value, others as they came."""
    found = list(ids)
    return sorted(found, key=int) if all(map(_is_number, found)) else found


def _is_number(ident: str) -> bool:
    return ident.isascii() and ident.isdigit()


def _text(raw: msgspec.Raw) -> str:
    try:
        value = _decode_scalar(raw)
    except msgspec.MsgspecError:
        return ""
    return "" if value is None else str(value).strip()
