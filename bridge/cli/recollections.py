"""One question of the demo: what an ERP asks to read back, what the bridge reads for it, what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from bridge.cli.episodes import ModernCall, show_calls
from bridge.cli.screen import Screen, bad, good, quiet

_decode_exactly = msgspec.json.Decoder(float_hook=Decimal).decode
_encode_exactly = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class Recollection:
    """One GET of the legacy surface, all the way."""

    title: str
    query: str
    status: int
    reply: bytes
    calls: tuple[ModernCall, ...]
    seconds: float

    @property
    def is_complete(self) -> bool:
        """Tell whether one claim came back, and the settlement of what was paid on it."""
        if self.status != 200:
            return False
        reply = _decode_exactly(self.reply)
        paid, settled = (
            [one[name] for one in reply[part]] for part, name in (("case", "paidsum"), ("settlement", "amount"))
        )
        return len(paid) == 1 and paid == settled


def show_recollection(screen: Screen, told: Recollection) -> None:
    """Show a question from the ERP's request to the reply, without what is null."""
    screen.title(told.title)
    screen.heading(f"The ERP asks: GET /webapi/api/Batch?{told.query}")
    screen.heading("The bridge asks the modern API")
    show_calls(screen, told.calls)
    screen.heading(f"The ERP gets: HTTP {told.status}, after {told.seconds:.2f} s")
    reply = _decode_exactly(told.reply)
    screen.data(_encode_exactly(_without_nulls(reply)))
    if told.status == 200:
        fields = list(_fields(reply))
        nulls = sum(value is None for value in fields)
        screen.say(
            quiet(f"  left out here: {nulls} of {len(fields)} fields, null because the modern system does not say them")
        )
    screen.say()
    if told.is_complete:
        screen.say(good("the claim came back, with what was paid on it and the settlement of that"))
    else:
        screen.say(bad("the claim did not come back with its payment"))


def _without_nulls(value: Any) -> Any:
    """Leave out what is null, and objects that hold nothing else."""
    if isinstance(value, list):
        return [_without_nulls(one) for one in value]
    if isinstance(value, dict):
        pruned = {name: _without_nulls(one) for name, one in value.items() if one is not None}
        return {name: one for name, one in pruned.items() if one != {}}
    return value


def _fields(value: Any) -> Iterator[Any]:
    """Yield the value of every field that holds no further ones."""
    for one in value.values() if isinstance(value, dict) else value:
        if isinstance(one, dict | list):
            yield from _fields(one)
        else:
            yield one
