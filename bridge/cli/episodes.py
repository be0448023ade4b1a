"""One batch of the demo as it went: what was sent, what the bridge made of it, what came back; and its showing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from rich.text import Text

from bridge.batch import OBJECTNAMES, Address
from bridge.cli.places import name_places
from bridge.cli.screen import Screen, bad, good, quiet, waiting
from bridge.journal import StoredBatch

_decode_exactly = msgspec.json.Decoder(float_hook=Decimal).decode
_encode_exactly = msgspec.json.Encoder(decimal_format="number").encode
UUID = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
EMPTY = ("", None)


@dataclass(frozen=True, slots=True)
class ModernCall:
    """One request of the bridge to the modern API, and what it was answered."""

    method: str
    path: str
    rows: tuple[Address, ...]
    """The legacy rows it carried; none for a read."""
    answer: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Episode:
    """One legacy batch, all the way."""

    title: str
    request: bytes
    status: int
    reply: bytes
    calls: tuple[ModernCall, ...]
    stored: StoredBatch
    seconds: float

    @property
    def sent(self) -> Counter[Address]:
        """Return the address of every row of the request."""
        batch = msgspec.json.decode(self.request)
        return Counter(Address(name, index) for name in OBJECTNAMES for index in range(len(batch.get(name) or ())))

    @property
    def answered(self) -> Counter[Address]:
        """Return the address of every entry of the reply."""
        return Counter(Address(entry["objectname"], entry["objectindex"]) for entry in self._entries())

    @property
    def is_conserved(self) -> bool:
        """Tell whether every row was answered exactly once, and nothing else was."""
        return self.status == 200 and self.sent == self.answered

    def verdicts(self) -> dict[Address, tuple[str, str]]:
        """Return (status, message) of each row as the reply has them; a refused row has the status `refused`."""
        return {
            Address(entry["objectname"], entry["objectindex"]): (
                entry.get("status_statuscode", "refused"),
                entry.get("message", ""),
            )
            for entry in self._entries()
        }

    def _entries(self) -> Iterator[dict[str, Any]]:
        reply = msgspec.json.decode(self.reply)
        yield from reply["errors"]
        yield from reply["responses"]


def show_episode(screen: Screen, episode: Episode) -> None:
    """Show a batch from the legacy request to what happened to each of its rows."""
    screen.title(episode.title)
    screen.heading(f"The ERP sends: POST /webapi/api/Batch?senderid={episode.stored.batch.sender}")
    screen.data(_without_empty(episode.request))
    screen.heading("The bridge asks the modern API")
    show_calls(screen, episode.calls)
    screen.heading(f"The ERP gets: HTTP {episode.status}, after {episode.seconds:.2f} s")
    screen.data(episode.reply)
    screen.heading("What happened to each row")
    screen.table(("row", "reference", "answer", "sent as", "why"), list(_show_rows(episode)))
    count = f"{episode.sent.total()} rows sent, {episode.answered.total()} answered"
    screen.say()
    if episode.is_conserved:
        screen.say(good(f"{count}: every row exactly once"))
    else:
        screen.say(bad(f"{count}: not every row exactly once"))


def show_calls(screen: Screen, calls: Sequence[ModernCall]) -> None:
    """Show what the bridge asked the modern API, a line for each call."""
    screen.table(("call", "path", "rows", "answer"), [_show_call(call) for call in calls])


def _show_call(call: ModernCall) -> Sequence[str | Text]:
    times = f" ({call.times} times)" if call.times > 1 else ""
    mark = quiet if not call.rows else str
    return (
        mark(call.method),
        mark(shorten_ids(call.path)),
        name_places(call.rows),
        mark(shorten_ids(call.answer) + times),
    )


def _show_rows(episode: Episode) -> Iterator[Sequence[str | Text]]:
    verdicts = episode.verdicts()
    for row in episode.stored.rows:
        status, message = verdicts.get(row.address, ("no answer", ""))
        mark = {"OK": good, "PENDING": waiting}.get(status, bad)
        how = row.operation.replace("_", " ") if row.call_id else "no call"
        yield str(row.address), row.ledgerref or "-", mark(status), how, shorten_ids(message)


def shorten_ids(text: str) -> str:
    """Cut UUIDs after their first eight digits, so that a path fits on a line."""
    return UUID.sub(r"\1…", text)


def _without_empty(request: bytes) -> bytes:
    """Leave out properties without content, which old ERPs send by the dozen."""

    def prune(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: prune(part) for name, part in value.items() if part not in EMPTY}
        return [prune(part) for part in value] if isinstance(value, list) else value

    return _encode_exactly(prune(_decode_exactly(request)))
