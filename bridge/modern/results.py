"""Read a modern batch: what became of one call. The documented fields are few; all others are read tolerantly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bridge.modern import reading

FINISHED = frozenset({"SUCCESS", "PARTIAL", "FAILED"})
"""The statuses that end a batch; any other one, known or not, means that it still runs."""


@dataclass(frozen=True, slots=True)
class ModernBatch:
    """One batch of the modern API (GetBatchById); texts are empty where the answer had none."""

    id: str
    type: str = ""
    status: str = ""
    """In capitals."""
    succeeded: tuple[dict[str, Any], ...] = ()
    """Entries with property names in lower case, as in `failed`."""
    failed: tuple[dict[str, Any], ...] = ()
    failed_texts: tuple[str, ...] = ()
    """Entries of `failed` that are plain texts, and name no row."""
    created_at: str = ""
    finished_at: str = ""
    idempotency_key: str = ""
    """No page shows it; filled if the vendor tells it."""

    @property
    def finished(self) -> bool:
        """Tell whether the batch has come to its end."""
        return self.status in FINISHED


def read_batch(body: bytes) -> ModernBatch | None:
    """Return the batch in an answer of GetBatchById; None when there is none to be read."""
    answer = reading.lower_keys(reading.decode(body))
    return batch_from(reading.lower_keys(answer.get("data")) or answer)


def batch_from(data: dict[str, Any]) -> ModernBatch | None:
    """Return the batch an object (names in lower case) describes; None for an object that is none."""
    batch_id = reading.first_text(data, "batchid", "id")
    # A status may be an object (the first generation of the API): such a batch reads as not finished.
    status = reading.text(data.get("status")).upper()
    if not (batch_id or status):
        return None
    return ModernBatch(
        id=batch_id,
        type=reading.text(data.get("type")).upper(),
        status=status,
        succeeded=reading.objects(data.get("succeeded")),
        failed=reading.objects(data.get("failed")),
        failed_texts=reading.texts(data.get("failed")),
        created_at=reading.text(data.get("createdat")),
        finished_at=reading.text(data.get("finishedat")),
        idempotency_key=reading.text(data.get("idempotencykey")),
    )
