"""From what is known of a batch to the bytes of its reply."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from bridge.batch import Address, Outcome
from bridge.folding import fold, statuscode
from bridge.legacy.rendering import assemble, render_entries
from bridge.mapping import ReplyTable

SLICE_ROWS = 500
"""Rows rendered before the event loop gets a turn."""


async def render(rows: Sequence[tuple[Address, str]], outcomes: Mapping[Address, Outcome], table: ReplyTable) -> bytes:
    """Fold outcomes into the caller's order and encode them, slice by slice; `outcomes` must not change meanwhile."""
    entries = fold(rows, outcomes)
    errors: list[bytes] = []
    responses: list[bytes] = []
    for start in range(0, len(entries), SLICE_ROWS):
        some_errors, some_responses = render_entries(entries[start : start + SLICE_ROWS], table.accepted, table.pending)
        errors += some_errors
        responses += some_responses
        if len(entries) > SLICE_ROWS:
            await asyncio.sleep(0)
    return assemble(statuscode(entries, table), errors, responses)
