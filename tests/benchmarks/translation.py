"""Bytes in, bytes out: what a row costs between the legacy body and the modern one, in this process.

Costs are CPU time, the variants are measured in turn within each repetition, and ratios are taken within one
repetition; their medians are shown.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import orjson

from bridge.batch import Address, Row, Translation
from bridge.intake.desk import SLICE_ROWS, Desk, fingerprint
from bridge.legacy import reader as legacy_reader
from bridge.legacy.body import split
from bridge.mapping.library import load_profiles
from bridge.modern.requests import encode_item
from bridge.organizations import Directory
from bridge.senders import Sender
from bridge.server import YOUNG_OBJECTS
from bridge.settings import load_settings
from tests.benchmarks.figures import Figure, median
from tests.benchmarks.rows import LEAVES, body, count_leaves, invoices

ROOT = Path(__file__).resolve().parents[2]
ROWS = 10_000
FLOOR_ROWS = 100
"""Rows of a slice of the stricter floor, whose objects stay in the processor's cache."""
MARSHMALLOW_ROWS = 1_000
REPETITIONS = 9

Work = Callable[[], object]


class Bench:
    """The parts of the bridge that a row passes, as `Desk.take` uses them, on a file of rows."""

    def __init__(self, desk: Desk, sender: Sender) -> None:
        self._desk = desk
        self._sender = sender
        self._mapping = desk.profile.objects["invoice"]
        self._loop = asyncio.new_event_loop()  # asyncio.run would word its result for a signal handler: seconds

    def translate(self, body: bytes) -> int:
        """Read, translate and encode every row, in slices; return how many bytes came out."""
        raws = split(body).rows["invoice"]
        read_many, translate = self._desk.reader.read_many, self._mapping.translate
        size = 0
        for start in range(0, len(raws), SLICE_ROWS):
            rows = read_many("invoice", start, raws[start : start + SLICE_ROWS])
            size += sum([self._encode(translate(row.fields)) for row in rows if isinstance(row, Row)])
        return size

    def translate_slowly(self, body: bytes) -> int:
        """Do the same with marshmallow reading every row."""
        raws = split(body).rows["invoice"]
        _, schema = self._desk.reader._lanes["invoice"]
        rows = (legacy_reader._read_slowly(schema, Address("invoice", index), raw) for index, raw in enumerate(raws))
        return sum([self._encode(self._mapping.translate(row.fields)) for row in rows if isinstance(row, Row)])

    @staticmethod
    def _encode(translation: Translation) -> int:
        return len(encode_item(translation.item, plain=translation.plain))

    def take(self, body: bytes) -> int:
        """Do everything that is done before the journal: route, give unique ids, make the journal's records as well."""
        return len(self._loop.run_until_complete(self._desk.take(self._sender, split(body), "seed")).planned)

    def fingerprint(self, body: bytes) -> str:
        """Digest the content, to know the batch again."""
        return self._loop.run_until_complete(fingerprint(split(body)))


def measure() -> Iterator[Figure]:
    """Measure rows in this process."""
    bench = _bench()
    rows = invoices(ROWS)
    if count_leaves(rows[0]) != LEAVES:
        raise ValueError(f"a measured row has {count_leaves(rows[0])} leaf fields, not {LEAVES}")
    canonical, doubtful_1, doubtful_10 = (
        body(rows),
        body(invoices(ROWS, doubtful_share=0.01)),
        body(invoices(ROWS, doubtful_share=0.1)),
    )
    few = body(rows[:MARSHMALLOW_ROWS])
    slices = [msgspec.json.encode(rows[start : start + FLOOR_ROWS]) for start in range(0, ROWS, FLOOR_ROWS)]
    works: dict[str, tuple[Work, int]] = {
        "floor": (lambda: orjson.dumps(orjson.loads(canonical)), ROWS),
        "floor in slices": (lambda: [len(orjson.dumps(orjson.loads(one))) for one in slices], ROWS),
        "path": (lambda: bench.translate(canonical), ROWS),
        "path 1": (lambda: bench.translate(doubtful_1), ROWS),
        "path 10": (lambda: bench.translate(doubtful_10), ROWS),
        "take": (lambda: bench.take(canonical), ROWS),
        "fingerprint": (lambda: bench.fingerprint(canonical), ROWS),
        "marshmallow": (lambda: bench.translate_slowly(few), MARSHMALLOW_ROWS),
    }
    with settled_collector():
        costs = _repeat(works)
    yield from _judge(costs, len(canonical))


def _judge(costs: dict[str, list[float]], size: int) -> Iterator[Figure]:
    """Turn microseconds a row into figures."""

    def ratio(above: str, below: str) -> float:
        return median(a / b for a, b in zip(costs[above], costs[below], strict=True))

    def cost(name: str) -> str:
        return f"{median(costs[name]):.1f} µs a row"

    row_note = f"{ROWS:,} rows of {size / ROWS:.0f} bytes; {cost('path')}, floor {cost('floor')}"
    yield Figure("read, translate, encode: canonical rows", ratio("path", "floor"), "× orjson", 2.5, note=row_note)
    note = f"marshmallow {cost('marshmallow')}"
    yield Figure("… against marshmallow on every row", ratio("marshmallow", "path"), "× cheaper", 10, True, note)
    yield Figure("… 1 % of rows need marshmallow", ratio("path 1", "floor"), "× orjson", 4, note=cost("path 1"))
    yield Figure("… 10 % of rows need marshmallow", ratio("path 10", "floor"), "× orjson", 9, note=cost("path 10"))
    note = f"floor in slices of {FLOOR_ROWS} rows: {cost('floor in slices')}"
    yield Figure("… canonical rows, against orjson in slices", ratio("path", "floor in slices"), "× orjson", note=note)
    yield Figure(
        "the same with routing, unique ids, journal records", ratio("take", "floor"), "× orjson", note=cost("take")
    )
    yield Figure(
        "digest of the content, to know a batch again",
        ratio("fingerprint", "floor"),
        "× orjson",
        note=cost("fingerprint"),
    )


def _repeat(works: dict[str, tuple[Work, int]]) -> dict[str, list[float]]:
    """Run all works in turn, several times; return microseconds of CPU a row. The first round warms up."""
    costs: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(REPETITIONS + 1):
        for name, (work, rows) in works.items():
            began = time.process_time()
            work()
            costs[name].append((time.process_time() - began) / rows * 1e6)
    return {name: found[1:] for name, found in costs.items()}


@contextmanager
def settled_collector() -> Iterator[None]:
    """Set the collector as the running bridge does."""
    gc.collect()
    gc.freeze()
    before = gc.get_threshold()
    gc.set_threshold(YOUNG_OBJECTS, 100, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _bench() -> Bench:
    settings = load_settings(ROOT / "config" / "local.toml", {})
    profile = load_profiles(settings.mappings.folder)["autocollect"]
    first = settings.senders[0]
    sender = Sender(
        id=first.id,
        profile=first.profile,
        organizations=first.organizations,
        hold_seconds=first.hold_seconds,
        batchid=first.batchid,
        resend_window_hours=first.resend_window_hours,
    )
    return Bench(Desk(profile, Directory(settings)), sender)
