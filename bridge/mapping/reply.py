"""`reply.toml`: the words of the folded reply, and how the legacy host's own answers are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bridge.batch import Verdict
from bridge.mapping.assumed import Assumption
from bridge.mapping.document import Evidence, Strict, Text

HostVerdict = Literal["accepted", "refused", "in doubt"]
"""What a row of the legacy host is taken for; one in doubt waits for an operator."""


class ReplyCodes(Strict):
    """`[codes]`: the number that sums up a whole batch."""

    all_accepted: int
    some_refused: int
    all_refused: int
    some_pending: int


class ReplyTexts(Strict):
    """`[texts]`: the word that stands beside one row."""

    accepted: Text
    pending: Text


class HostPart(Strict):
    """`[legacy_host]`: what the legacy host's own answer means for a row, where both systems share a batch."""

    evidence: Evidence = "assumed"
    note: str = "no page says how the legacy host lists a row that is pending, or none of its rows"
    pending: HostVerdict = "accepted"
    both: HostVerdict = "refused"
    unmentioned: HostVerdict = "refused"
    unmentioned_in_success: HostVerdict = "accepted"


class ReplyDocument(Strict):
    """`reply.toml`: the words of the folded reply."""

    evidence: Evidence
    source: str = ""
    note: str = ""
    codes: ReplyCodes
    texts: ReplyTexts
    legacy_host: HostPart = HostPart()


@dataclass(frozen=True, slots=True)
class ReplyTable:
    """The words of the folded reply."""

    all_accepted: int
    some_refused: int
    all_refused: int
    some_pending: int
    accepted: str
    pending: str
    host_pending: Verdict = Verdict.ACCEPTED
    """What an answer of the legacy host means for a row it calls pending; `PENDING` here leaves the row in doubt."""
    host_both: Verdict = Verdict.REFUSED
    """The same for a row that it lists as refused and as accepted."""
    host_unmentioned: Verdict = Verdict.REFUSED
    """The same for a row that it does not list at all."""
    host_unmentioned_in_success: Verdict = Verdict.ACCEPTED
    """The same where its statuscode is `all_accepted`, and it lists no error."""


def read_reply(document: ReplyDocument) -> ReplyTable:
    """Return the words of `reply.toml` as the rest of the program knows them."""
    host = document.legacy_host
    return ReplyTable(
        **document.codes.model_dump(),
        **document.texts.model_dump(),
        host_pending=_VERDICTS[host.pending],
        host_both=_VERDICTS[host.both],
        host_unmentioned=_VERDICTS[host.unmentioned],
        host_unmentioned_in_success=_VERDICTS[host.unmentioned_in_success],
    )


_VERDICTS = {"accepted": Verdict.ACCEPTED, "refused": Verdict.REFUSED, "in doubt": Verdict.PENDING}


def list_assumed_reply(document: ReplyDocument, file: str) -> list[Assumption]:
    """Return the assumptions of `reply.toml`."""
    host = document.legacy_host
    found = []
    if document.evidence == "assumed":
        found.append(Assumption(file, "codes, texts", document.note))
    if host.evidence == "assumed":
        readings = host.model_dump(exclude={"evidence", "note"})
        found.append(Assumption(file, f"legacy_host: {', '.join(readings)}", host.note))
    return found
