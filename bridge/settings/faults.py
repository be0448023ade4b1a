"""What is wrong with a configuration: which file, which key, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from bridge.errors import SettingsFault
from bridge.wording import Location, write_key


class Fault(NamedTuple):
    """One thing that is wrong: where, and what to do about it."""

    key: str
    text: str


def write_declared_key(location: Location) -> str:
    """Return a location as the setting is declared: `sender[].basic.password`."""
    return re.sub(r"\[\d+\]", "[]", write_key(location))


def gather(path: Path, faults: Iterable[Fault]) -> SettingsFault:
    """Return one error that lists every fault, one a line."""
    lines = [f"{fault.key}: {fault.text}" for fault in faults]
    count = "one fault" if len(lines) == 1 else f"{len(lines)} faults"
    return SettingsFault("\n".join([f"{path}: {count} to put right before the bridge can start", *lines]))
