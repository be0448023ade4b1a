"""Measure how fast the bridge is, and print it beside the targets: `make bench`.

Speed is shown, never asserted: a missed target does not change the exit code, only a benchmark that breaks does.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from rich.console import Console

from tests.benchmarks import (
    announcing,
    comparing,
    cutover,
    pending,
    processes,
    reading,
    replicas,
    survival,
    translation,
    xref,
)
from tests.benchmarks.figures import Figure, as_document, show

SUITES: dict[str, Callable[[], Iterable[Figure]]] = {
    "translation": translation.measure,
    "single": processes.measure_single_rows,
    "large": processes.measure_large_batches,
    "start": processes.measure_start,
    "postgres": replicas.measure,
    "survival": survival.measure,
    "webhooks": announcing.measure,
    "pending": pending.measure,
    "xref": xref.measure,
    "reading": reading.measure,
    "cutover": cutover.measure,
    "comparing": comparing.measure,
}


def main() -> int:
    """Run the suites asked for and print what they found."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--only", choices=SUITES, help="run one suite")
    wanted = parser.parse_args()
    progress = Console(stderr=True)
    figures: list[Figure] = []
    for name, measure in SUITES.items():
        if wanted.only in (None, name):
            progress.print(f"measuring: {name} …", style="dim")
            figures += measure()
    if wanted.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(as_document(figures, _machine()))).decode() + "\n")
    else:
        show(figures, Console(width=None if sys.stdout.isatty() else 180))
    return 0


def _machine() -> dict[str, Any]:
    return {"python": platform.python_version(), "system": platform.system(), "cores": os.cpu_count()}


if __name__ == "__main__":
    sys.exit(main())
