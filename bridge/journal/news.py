"""Which news a write makes: the same in every store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bridge.journal.changes import Change, FinishBatch, Hook, PlaceOrder, SetSwitch
from bridge.journal.interface import News


def news_of(changes: Iterable[Change]) -> Iterator[tuple[News, str]]:
    """Return what is told once the changes are durable."""
    for change in changes:
        if isinstance(change, FinishBatch):
            yield News.FINISHED, change.batch_id
            for organization in change.organizations:
                yield News.CHANGED, organization
        elif isinstance(change, PlaceOrder):
            yield News.ORDERED, change.batch_id
        elif isinstance(change, SetSwitch):
            yield News.SWITCHED, change.switch.organization


def news_of_hook(hook: Hook) -> Iterator[tuple[News, str]]:
    """Return what is told of a webhook that is new; one about a batch alone says nothing about claims yet."""
    if hook.modern_batch:
        yield News.HINT, hook.modern_batch
    if hook.organization and (hook.claims or hook.events or not hook.modern_batch):
        yield News.CHANGED, hook.organization
