"""Two answers to one batch, row by row: what differs, what of it is excused, and what made it so."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass, field
from datetime import date

from bridge.batch import WHOLE_BATCH, Address
from bridge.comparing.aligning import ABSENT, Found, Walk, show
from bridge.comparing.paths import BODY, ENTRIES, ROW, STATUS, STATUSCODE, VERDICT
from bridge.comparing.references import References
from bridge.comparing.replies import ERRORS, RESPONSES, Entry, Reply, member, read_reply
from bridge.comparing.rules import Does, Rules
from bridge.comparing.values import NOISE, NOT_PREDICTED, Answer, Bucket, Comparison, Difference, Kind

SLICE_ROWS = 50
Steps = Generator[None, None, Comparison]
"""A comparison in slices: each step does one."""
Origin = Callable[[str, str, str], str]
"""(objectname or `batch` or `http`, field, what the bridge says there) → what made it say so."""


def no_origin(_objectname: str, _field: str, _said: str) -> str:
    """Know nothing about origins."""
    return ""


def no_organization(_address: Address | None) -> str:
    """Know nothing about organizations."""
    return ""


@dataclass(frozen=True, slots=True)
class Judge:
    """By what differences are judged. One pair needs its own `organization_of` and `unsure`; the rest may be shared."""

    rules: Rules = field(default_factory=Rules)
    origin: Origin = no_origin
    organization_of: Callable[[Address | None], str] = no_organization
    """A row's organization; of None, that of the batch as a whole."""
    on: date = date.min
    """Rules that expired before this day excuse nothing."""
    unsure: frozenset[Address] = frozenset()
    """Rows whose outcome the bridge could not predict."""
    noise: Collection[tuple[str, str]] = ()
    """(organization, path) of fields that legacy answers disagree about among themselves."""
    references: References = field(default_factory=References)

    def weigh(self, found: Found, address: Address | None, said: str) -> Difference | None:
        """Return the difference, with its bucket, excuse and origin; None for equal values that may be equal."""
        organization = self.organization_of(address)
        bucket, excuse = self._judge(found, address, organization)
        if bucket is Bucket.SAME:
            return None
        kind = found.kind or Kind.VALUE
        place, _, name = found.path.partition(".")
        origin = self.origin(place, name, said)
        return Difference(found.path, kind, address, show(found.legacy), show(found.bridge), bucket, excuse, origin)

    def _judge(self, found: Found, address: Address | None, organization: str) -> tuple[Bucket, str]:
        if found.kind is None:
            return self._judge_equal(found, address, organization)
        if self._cannot_tell(found, address):
            return Bucket.EXCUSED, NOT_PREDICTED
        expired = ""
        for rule in self.rules.about(found.path):
            if not rule.is_about(found.kind, organization) or not rule.tolerates(found):
                continue
            if rule.expires < self.on:
                expired = expired or f"expired: {rule.id}"
            elif rule.does is Does.REFERENCE and not self._agree(rule.id, organization, found):
                return Bucket.DIFFERENT, f"breached: {rule.id}"
            else:
                return Bucket.EXCUSED, rule.id
        if found.kind is Kind.VALUE and (organization, found.path) in self.noise:
            return Bucket.EXCUSED, NOISE
        return Bucket.DIFFERENT, expired

    def _judge_equal(self, found: Found, address: Address | None, organization: str) -> tuple[Bucket, str]:
        """Judge two equal values: one of them may belong to another one by a rule for references."""
        for rule in self.rules.about(found.path) if address not in self.unsure else ():
            pairs = rule.does is Does.REFERENCE and rule.expires >= self.on
            if pairs and rule.is_about(Kind.VALUE, organization) and not self._agree(rule.id, organization, found):
                return Bucket.DIFFERENT, f"breached: {rule.id}"
        return Bucket.SAME, ""

    def _agree(self, rule: str, organization: str, found: Found) -> bool:
        return self.references.agree(rule, organization, show(found.legacy), show(found.bridge))

    def _cannot_tell(self, found: Found, address: Address | None) -> bool:
        if address is None:  # the number that sums all rows up follows from rows nobody can tell
            return bool(self.unsure) and found.path == STATUSCODE and found.kind is Kind.VALUE
        return address in self.unsure and not found.path.endswith(f".{ROW}")


def compare(legacy: Answer, bridge: Answer, judge: Judge) -> Comparison:
    """Hold the legacy answer to a batch against the bridge's."""
    steps = compare_by_steps(legacy, bridge, judge)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            comparison: Comparison = end.value
            return comparison


def compare_by_steps(legacy: Answer, bridge: Answer, judge: Judge) -> Steps:
    """Do the same in slices of about a millisecond, for whoever has an event loop to keep going."""
    return _Pair(judge).compare(legacy, bridge)


class _Pair:
    """One comparison on its way."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._equal_too = judge.rules.pairs(judge.on)
        self._differences: list[Difference] = []

    def compare(self, legacy: Answer, bridge: Answer) -> Steps:
        left = read_reply(legacy)
        yield
        right = read_reply(bridge)
        yield
        whole = self._compare_whole(legacy, bridge, left, right)
        there, here = left or Reply(), right or Reply()
        rows = {}
        for address in (*there.rows, *(address for address in here.rows if address not in there.rows)):
            rows[address] = self._compare_row(address, there.rows.get(address, ()), here.rows.get(address, ()))
            if len(rows) % SLICE_ROWS == 0:
                yield
        return Comparison(rows, tuple(self._differences), whole, frozenset(self._judge.unsure & rows.keys()))

    # --- the batch as a whole ------------------------------------------------------------------------------------

    def _compare_whole(self, legacy: Answer, bridge: Answer, left: Reply | None, right: Reply | None) -> Bucket:
        walk = Walk(WHOLE_BATCH, self._equal_too)
        walk.values(STATUS, legacy.status, bridge.status)
        if left is not None and right is not None:
            walk.members(WHOLE_BATCH, left.fields, right.fields)
        elif left is not right:
            walk.note(BODY, Kind.TYPE, _describe(left), _describe(right))
        elif legacy.body != bridge.body:
            walk.note(BODY, Kind.VALUE, _describe(left), _describe(right))
        said, said_here = (left.whole if left else []), (right.whole if right else [])
        refused, refused_here = _is_refusal(legacy, said), _is_refusal(bridge, said_here)
        if refused == refused_here:
            self._compare_entries(walk, WHOLE_BATCH, said, said_here)
        else:
            legacy_word, bridge_word = _decided(said, refused), _decided(said_here, refused_here)
            walk.note(f"{WHOLE_BATCH}.{VERDICT}", Kind.VERDICT, legacy_word, bridge_word)
        return self._settle(walk, None, said_here)

    # --- rows ------------------------------------------------------------------------------------------------------

    def _compare_row(self, address: Address, legacy: Sequence[Entry], bridge: Sequence[Entry]) -> Bucket:
        walk = Walk(address.objectname, self._equal_too)
        if legacy and bridge and {listed for listed, _ in legacy} != {listed for listed, _ in bridge}:
            path = f"{address.objectname}.{VERDICT}"
            walk.note(path, Kind.VERDICT, _quote(legacy), _quote(bridge))
        else:
            self._compare_entries(walk, address.objectname, legacy, bridge)
        bucket = self._settle(walk, address, bridge)
        unsure = bucket is Bucket.SAME and address in self._judge.unsure
        return Bucket.EXCUSED if unsure else bucket

    @staticmethod
    def _compare_entries(walk: Walk, place: str, legacy: Sequence[Entry], bridge: Sequence[Entry]) -> None:
        """Compare what is said in one or more entries of one row, or of the batch."""
        if not legacy and not bridge:
            return
        if not bridge:
            walk.note(f"{place}.{ROW}", Kind.MISSING, _all_of(legacy), ABSENT)
        elif not legacy:
            walk.note(f"{place}.{ROW}", Kind.EXTRA, ABSENT, _all_of(bridge))
        elif len(legacy) == len(bridge) == 1:
            walk.members(place, legacy[0][1], bridge[0][1])
        else:
            for listed in (ERRORS, RESPONSES):
                left = [entry for name, entry in legacy if name == listed]
                right = [entry for name, entry in bridge if name == listed]
                walk.values(f"{place}.{ENTRIES}", len(left), len(right))
                for one, other in zip(left, right, strict=False):
                    walk.members(place, one, other)

    def _settle(self, walk: Walk, address: Address | None, bridge: Sequence[Entry]) -> Bucket:
        """Judge what was found in one row, or in the batch as a whole."""
        bucket = Bucket.SAME
        for found in (*walk.equal, *walk.found):
            difference = self._judge.weigh(found, address, _say(found, bridge))
            if difference is not None:
                self._differences.append(difference)
                if bucket is not Bucket.DIFFERENT:
                    bucket = difference.bucket
        return bucket


def _is_refusal(answer: Answer, said_of_all: Sequence[Entry]) -> bool:
    """Tell whether a batch was refused as a whole."""
    return not 200 <= answer.status < 300 or bool(said_of_all)


def _say(found: Found, bridge: Sequence[Entry]) -> str:
    """Return the words of the bridge that a difference is about."""
    if bridge and found.path.endswith(f".{VERDICT}"):
        said = member(bridge[0][1], "message" if bridge[0][0] == ERRORS else "status_statuscode")
    else:
        said = found.bridge
    return said if isinstance(said, str) else str(said) if isinstance(said, int) else ""


def _quote(entries: Sequence[Entry]) -> str:
    """Return how a row was decided, and in which words."""
    refusals = [str(member(entry, "message")) for listed, entry in entries if listed == ERRORS]
    taken = [str(member(entry, "status_statuscode")) for listed, entry in entries if listed == RESPONSES]
    return "; ".join([*(f"refused: {text}" for text in refusals), *(f"taken: {text}" for text in taken)])


def _decided(said_of_all: Sequence[Entry], refused: bool) -> str:
    return _quote(said_of_all) or ("refused" if refused else "taken")


def _all_of(entries: Sequence[Entry]) -> object:
    said = [{listed: entry} for listed, entry in entries]
    return said[0] if len(said) == 1 else said


def _describe(reply: Reply | None) -> str:
    return "not a JSON object" if reply is None else "a JSON object"
