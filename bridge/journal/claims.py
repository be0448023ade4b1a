"""What makes two records one claim: the same in every store, decided here and nowhere else.

A payment goes where the cross-reference says, so records are joined only where they must speak of one claim, and a
doubt keeps them apart: a reader then sees both. Within an organization, two records are one claim when

1. they share the invoiceId; or
2. they share the unique id, and no two invoiceIds are known among all records that share it; or
3. one of them has neither id (it was imported, say), they share the invoice number and the case, nothing they say
   differs, and no other record fits as well; or
4. one of them has neither id, they share the invoice number, and it says nothing that the other does not say.

A shared invoice number alone is not enough: two creditors of one organization may both have an invoice 1001, and a
wrongly joined claim would withdraw the wrong case. Nor is an invoice number with a ledgerref, for the same reason: such
a record is dropped when it teaches nothing (rule 4), and kept apart when it would. One without an invoice number is
joined with its equal at most, and one that names no invoice at all is not kept.

An invoice number that more than `ALIKE` records have joins nothing: nobody can look at all that may fit as well.

What is joined is completed: a newer value replaces an older one, an empty value never replaces a known one. Of older
records with different values, the one with an invoiceId is heard first, then the one known longest: nothing depends on
the order in which a store finds them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from bridge.journal.records import Claim

COLUMNS = (
    "organization, invoice_id, invoice_number, unique_source_invoice_id, ledgerref, case_number, case_id, batch_id,"
    " objectindex, modern_batch"
)
"""The columns of a claim, in the order of its fields."""

KINDS = {
    "invoiceId": "invoice_id",
    "invoiceNumber": "invoice_number",
    "uniqueSourceInvoiceId": "unique_source_invoice_id",
    "caseNumber": "case_number",
}
"""The names a claim goes by, and their columns; `ledgerref` is found in more than one."""

CLAIMS_AT_ONCE = 1000
"""How many claims to teach in one write beside a running bridge: the store is then held for less than 100 ms."""
ALIKE = 100
"""How many records of one invoice number, or unique id, are looked at; a more common number says nothing.

A store looks up one more by number, which tells that there are too many. Of a unique id it also looks up all without an
invoiceId, where that may matter: what is left out then are further invoices, and two are reason enough to join none."""

Known = tuple[int, Claim]
"""A claim in the store, and its number there."""
_Name = tuple[str, str, str]
_NAMELESS = "nameless"

bind_claim: Callable[[Claim], tuple[Any, ...]] = attrgetter(*Claim.__dataclass_fields__)
"""Return the columns of a claim."""


def names_invoice(claim: Claim) -> bool:
    """Tell whether a record says which invoice it speaks of; what speaks of a case alone is no claim."""
    return bool(claim.invoice_id or claim.unique_source_invoice_id or claim.invoice_number or claim.ledgerref)


def is_nameless(claim: Claim) -> bool:
    """Tell whether a record has neither the modern system's id nor the unique id, only names that may not be unique."""
    return not claim.invoice_id and not claim.unique_source_invoice_id


def merge_claims(newer: Claim, older: Claim) -> Claim:
    """Return two records as one: what the newer does not know, the older tells."""
    pairs = zip(bind_claim(newer), bind_claim(older), strict=True)
    return Claim(*(old if new in {"", -1} else new for new, old in pairs))


def covers(fuller: Claim, other: Claim) -> bool:
    """Tell whether a record says everything that another one says."""
    pairs = zip(bind_claim(fuller), bind_claim(other), strict=True)
    return all(theirs in {"", -1, ours} for ours, theirs in pairs)


@dataclass(slots=True)
class Round:
    """What one look at the store allows to write; `later` are claims that must be looked up again after it."""

    new: list[Claim] = field(default_factory=list)
    kept: list[Known] = field(default_factory=list)
    """Records in the place of those in `gone`."""
    gone: list[int] = field(default_factory=list)
    later: list[Claim] = field(default_factory=list)

    def join(self, claim: Claim, kin: Sequence[Known]) -> Claim:
        """Put a claim in the place of the records it is one with; return it completed by them."""
        if not kin:
            self.new.append(claim)
            return claim
        whole = _complete(claim, kin)
        self.gone += [number for number, _ in kin]
        self.kept.append((kin[0][0], whole))
        return whole


def judge_round(claims: Sequence[Claim], known: Mapping[int, Sequence[Known]]) -> Round:
    """Decide about claims in their order; `known` are the records that each (by its place) may be one with.

    The round ends before a claim that may be one with what it has written: that one must be looked up again.
    """
    work = Round()
    names, touched = set[_Name](), set[int]()
    for place, claim in enumerate(claims):
        found = known.get(place, ())
        if _meets(claim, names) or not touched.isdisjoint(number for number, _ in found):
            work.later = list(claims[place:])
            break
        touched.update(number for number, _ in found)
        kin = find_kin(claim, found) if found else []
        if kin is None:
            continue
        whole = work.join(claim, kin)
        names.update(_names(whole))
        if whole.invoice_number != claim.invoice_number:  # it has a name now that nobody looked up
            work.later = [whole, *claims[place + 1 :]]
            break
    return work


def next_size(part: Sequence[Claim], work: Round) -> int:
    """Return how many claims to look up at once after a round: fewer where they repeat one another."""
    return max(2, 2 * (len(part) - len(work.later)))


def find_kin(claim: Claim, known: Sequence[Known]) -> list[Known] | None:
    """Return the records that are one with a claim, the closest first; None when it teaches nothing."""
    known = sorted(_hear(claim, known), key=_distance)
    if is_nameless(claim):
        if any(covers(other, claim) for _, other in known):
            return None
        return _find_mates(claim, known)
    kin = _find_by_id(claim, known)
    whole = _complete(claim, kin)
    mates = _find_mates(whole, [each for each in known if each not in kin])
    if len(kin) == 1 and not mates and whole == kin[0][1]:
        return None
    return kin + mates


def _hear(claim: Claim, known: Sequence[Known]) -> Sequence[Known]:
    """Leave out, where too many have the claim's invoice number, what a store found by that number alone."""
    number = claim.invoice_number
    if not number or sum(other.invoice_number == number for _, other in known) <= ALIKE:
        return known
    return [each for each in known if _share_id(claim, each[1]) or _repeats(claim, each[1])]


def _distance(known: Known) -> tuple[bool, int]:
    number, claim = known
    return not claim.invoice_id, number


def _share_id(one: Claim, other: Claim) -> bool:
    return not set(_ids(one)).isdisjoint(_ids(other))


def _repeats(claim: Claim, other: Claim) -> bool:
    """Tell whether an imported record says again what another one said, which stores find however many there are."""
    return is_nameless(claim) and is_nameless(other) and claim.ledgerref == other.ledgerref and covers(other, claim)


def _complete(claim: Claim, kin: Sequence[Known]) -> Claim:
    for _, older in kin:
        claim = merge_claims(claim, older)
    return claim


def _find_by_id(claim: Claim, known: Sequence[Known]) -> list[Known]:
    """Rules 1 and 2."""
    by_invoice = [each for each in known if claim.invoice_id and each[1].invoice_id == claim.invoice_id]
    unique_id = claim.unique_source_invoice_id
    by_unique = [each for each in known if unique_id and each[1].unique_source_invoice_id == unique_id]
    invoice_ids = {claim.invoice_id, *(other.invoice_id for _, other in by_unique)} - {""}
    if len(invoice_ids) > 1:
        by_unique = [each for each in by_unique if each[1].invoice_id == claim.invoice_id]
    return list(dict.fromkeys(by_invoice + by_unique))


def _find_mates(claim: Claim, known: Sequence[Known]) -> list[Known]:
    """Rules 3 and 4, for a claim that none of the known covers."""
    covered = [
        each for each in known if is_nameless(each[1]) and _share_number(claim, each[1]) and covers(claim, each[1])
    ]
    mates = [each for each in known if each not in covered and _share_case(claim, each[1])]
    if len(mates) == 1 and (is_nameless(claim) or is_nameless(mates[0][1])):
        return mates + covered
    return covered


def _share_number(one: Claim, other: Claim) -> bool:
    if one.invoice_number:
        return one.invoice_number == other.invoice_number
    return not other.invoice_number and one.ledgerref == other.ledgerref


def _share_case(one: Claim, other: Claim) -> bool:
    """Tell whether two records name one invoice number and one case, and differ in nothing."""
    pairs = [
        (one.ledgerref, other.ledgerref),
        (one.case_number, other.case_number),
        (one.case_id, other.case_id),
        (one.invoice_number, other.invoice_number),
    ]
    if not one.invoice_number or any(ours != theirs and ours and theirs for ours, theirs in pairs):
        return False
    is_same_number = bool(one.case_number.strip("0")) and one.case_number == other.case_number  # 0 is no case
    return bool(other.invoice_number) and (is_same_number or (bool(one.case_id) and one.case_id == other.case_id))


def _names(claim: Claim) -> Iterator[_Name]:
    """Return what a later claim of the same round is told by that it may be one with this."""
    yield from _ids(claim)
    if claim.invoice_number:
        yield claim.organization, "number", claim.invoice_number
        if is_nameless(claim):
            yield claim.organization, _NAMELESS, claim.invoice_number
    elif is_nameless(claim):
        yield claim.organization, "ledgerref", claim.ledgerref


def _meets(claim: Claim, names: set[_Name]) -> bool:
    if is_nameless(claim):
        number = claim.invoice_number
        return (claim.organization, "number" if number else "ledgerref", number or claim.ledgerref) in names
    if (claim.organization, _NAMELESS, claim.invoice_number) in names:
        return True
    return not names.isdisjoint(_ids(claim))


def _ids(claim: Claim) -> Iterator[_Name]:
    if claim.invoice_id:
        yield claim.organization, "id", claim.invoice_id
    if claim.unique_source_invoice_id:
        yield claim.organization, "unique", claim.unique_source_invoice_id
