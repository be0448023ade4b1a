"""Amounts that the modern system sent and that could not be read: they come out null, so somebody must be told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bridge.logs import Event, get_log

log = get_log()


class Unread:
    """Notice of one kind of entry; each of its fields is told of once, never with the value."""

    def __init__(self, objectname: str) -> None:
        self._objectname = objectname
        self._told: set[str] = set()

    def notice(self, field: str, sent: Iterable[Any]) -> None:
        """Hear of a numeric field without a value, and of what its sources hold; return what it is: nothing."""
        if field in self._told or all(_is_nothing(value) for value in sent):
            return
        self._told.add(field)
        log.warning(Event.AMOUNT_NOT_READ, objectname=self._objectname, names=(field,))


def _is_nothing(value: Any) -> bool:
    """Tell whether nothing was sent that could be an amount; the pages show `{}` where a value may be missing."""
    return value is None or value in ({}, []) or (isinstance(value, str) and not value.strip())
