"""Where two answers can differ: the fields of the documented reply, and what a rules file declares beyond them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from bridge.batch import OBJECTNAMES, WHOLE_BATCH

STATUS, BODY = "http.status", "http.body"
STATUSCODE = "batch.statuscode"
ROW, VERDICT, ENTRIES = "row", "verdict", "entries"
"""Of a row: that it is there at all, whether it is refused, and how many entries tell of it."""

_OF_ENTRIES = (ROW, VERDICT, ENTRIES, "objectname", "objectindex", "message")
_OF_ROWS = (*_OF_ENTRIES, "ledgerref", "status_statuscode")
_PLACES = {
    "http": ("status", "body"),
    WHOLE_BATCH: ("statuscode", "errors", "responses", *_OF_ENTRIES),
    **dict.fromkeys(OBJECTNAMES, _OF_ROWS),
}
_RANKS = {place: rank for rank, place in enumerate(_PLACES)}
DOCUMENTED = tuple(f"{place}.{name}" for place, names in _PLACES.items() for name in names)
"""Every path that needs no declaration."""

NAMES = frozenset(name for names in _PLACES.values() for name in names) - {ROW, VERDICT, ENTRIES}
"""Every documented name of a reply, in its one spelling."""
BEYOND = "(further fields)"
"""Stands for fields that are too many to be told one by one."""

_SEGMENT = re.compile(r"[^\s.*\[\]]+(\[\])*")


def in_reply_order(path: str) -> tuple[int, list[str]]:
    """Return what paths are sorted by: as a reply is read, then by name."""
    segments = path.split(".")
    return _RANKS.get(segments[0], len(_RANKS)), segments


def guarded(path: str) -> bool:
    """Tell whether a path speaks of more than one value, so that only its own name may stand for it, never a `*`."""
    name = path.partition(".")[2]
    return name in {ROW, VERDICT, ENTRIES, BEYOND} or path in {STATUS, BODY, STATUSCODE}


def well_formed(path: str, *, wildcards: bool) -> bool:
    """Tell whether a text is a path: names joined by dots, `[]` behind that of an array."""
    segments = path.split(".")
    return len(segments) > 1 and all(
        (wildcards and segment == "*") or _SEGMENT.fullmatch(segment) for segment in segments
    )


@lru_cache(maxsize=4096)
def matches(pattern: str, path: str) -> bool:
    """Tell whether a rule's path means this one: segment by segment, in any letter case, `*` for any one."""
    wanted, there = pattern.casefold().split("."), path.casefold().split(".")
    if len(wanted) != len(there) or (guarded(path.casefold()) and wanted[-1] == "*"):
        return False
    return all(one in {"*", other} for one, other in zip(wanted, there, strict=True))


def can_exist(pattern: str, undocumented: Iterable[str]) -> bool:
    """Tell whether a rule's path can mean anything: a documented field, a declared one, or one that lies in it."""
    if any(matches(pattern, path) for path in DOCUMENTED):
        return True
    for declared in undocumented:
        reach = ".".join(pattern.split(".")[: declared.count(".") + 1])
        if matches(reach, declared) or matches(reach.rstrip("[]"), declared):
            return True
    return False
