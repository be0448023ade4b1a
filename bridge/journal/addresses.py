"""Lists of row addresses as short readable text: `invoice 0-499, payment 3`, in the order given."""

from __future__ import annotations

from collections.abc import Iterable

from bridge.batch import Address


def render_addresses(addresses: Iterable[Address]) -> str:
    """Write addresses as runs; a call of 500 neighbours takes 13 bytes."""
    runs: list[tuple[str, int, int]] = []
    for name, index in addresses:
        if runs and runs[-1][0] == name and runs[-1][2] == index - 1:
            runs[-1] = (name, runs[-1][1], index)
        else:
            runs.append((name, index, index))
    return ", ".join(f"{name} {first}" if first == last else f"{name} {first}-{last}" for name, first, last in runs)


def read_addresses(text: str) -> tuple[Address, ...]:
    """Read what `render_addresses` wrote."""
    found: list[Address] = []
    for run in text.split(", ") if text else ():
        name, _, span = run.partition(" ")
        first, _, last = span.partition("-")
        found += [Address(name, index) for index in range(int(first), int(last or first) + 1)]
    return tuple(found)
