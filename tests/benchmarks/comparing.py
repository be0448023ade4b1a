"""`bridge compare` on 100,000 recorded pairs, as an operator runs it: its time on one core, and its memory."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from tests.benchmarks.cores import keep_core
from tests.benchmarks.figures import Figure
from tests.benchmarks.launching import ORGANIZATION, ROOT, write_config
from tests.benchmarks.rows import invoice

PAIRS, MOST_ROWS = 100_000, 5
SECONDS, MEGABYTES = 60, 300
EVERY_REFERENCE, EVERY_STATUS, EVERY_REFUSAL, EVERY_RESEND = 100, 250, 40, 500
"""How often a field is planted, a row refused, and a batch sent again."""

PROGRAM = """
import sys
import time
from pathlib import Path
from bridge.__main__ import main
code = main(sys.argv[1:])
status = Path("/proc/self/status").read_text().splitlines()
print(time.process_time(), next(line for line in status if "VmHWM" in line).split()[1], file=sys.stderr)
sys.exit(code)
"""
"""The command, which tells its seconds of CPU and its largest size in kilobytes at the end."""

RULES = """
[fields]
undocumented = ["invoice.caseNumber", "batch.traceId"]

[[rule]]
id = "cases"
path = "invoice.caseNumber"
does = "reference"
owner = "bench"
reason = "each system numbers its own"
expires = 2099-01-01

[[rule]]
id = "trace"
path = "batch.traceId"
does = "ignore"
owner = "bench"
reason = "nobody reads it"
expires = 2099-01-01
"""


def measure() -> Iterator[Figure]:
    """Measure with answers of the bridge that are predicted, and with recorded ones."""
    with TemporaryDirectory(prefix="bridge-bench-") as name:
        folder = Path(name)
        (folder / "differences.toml").write_text(RULES, encoding="utf-8")
        config = folder / "bridge.toml"
        write_config(config, port=1, sandbox="http://127.0.0.1:1", more='[cutover]\ndifferences = "differences.toml"')
        for recorded, told in ((False, "predicted by the way"), (True, "recorded, with generated ids")):
            rows = _write(folder / "pairs.jsonl", recorded=recorded)
            seconds, cpu, megabytes = _compare(folder / "pairs.jsonl", config, rows)
            note = f"{PAIRS:,} pairs, {rows:,} rows; the bridge's answers {told}; {cpu:.1f} s of CPU"
            yield Figure("compare recorded pairs", seconds, "s", SECONDS, note=note)
            yield Figure("… memory", megabytes, "MB", MEGABYTES)


def _compare(pairs: Path, config: Path, rows: int) -> tuple[float, float, float]:
    """Run the command on a core of its own; return seconds, those of CPU, and megabytes at most."""
    command = [sys.executable, "-c", PROGRAM, "compare", str(pairs), "--config", str(config), "--json"]
    with keep_core() as cores:
        began = time.monotonic()
        started = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = cores.give(started).communicate()
        seconds = time.monotonic() - began
    counted = sum(msgspec.json.decode(out)["rows"].values()) if started.returncode == 1 else 0
    if counted != rows:
        raise RuntimeError(f"exit code {started.returncode}, {counted} rows instead of {rows}: {err.decode()[-500:]}")
    cpu, kilobytes = err.rsplit(maxsplit=2)[-2:]
    return seconds, float(cpu), int(kilobytes) / 1024


def _write(file: Path, *, recorded: bool) -> int:
    """Write recorded pairs; return their number of rows."""
    chance, encode, rows = random.Random(5), msgspec.json.Encoder().encode, 0
    last = b""
    with file.open("wb") as stream:
        for number in range(PAIRS):
            if number % EVERY_RESEND != EVERY_RESEND - 1:
                count = chance.randrange(1, MOST_ROWS + 1)
                last = encode(_line(number, rows, count, recorded=recorded))
            rows += count
            stream.write(last + b"\n")
    return rows


def _line(number: int, first: int, count: int, *, recorded: bool) -> dict[str, Any]:
    invoices = [invoice(first + index) for index in range(count)]
    if number % EVERY_REFUSAL == 0:
        del invoices[0]["dueDate"]
    line = {
        "v": 1,
        "id": f"p{number}",
        "at": float(number),
        "sender": "BENCH",
        "profile": "autocollect",
        "organizations": [ORGANIZATION],
        "request": {"batchid": f"B{number}", "offline": False, "invoice": invoices},
        "legacy": {"status": 200, "body": _reply(number, invoices, legacy=True, ids=recorded)},
        "seconds": 0.2,
    }
    if recorded:
        line["bridge"] = {"status": 200, "body": _reply(number, invoices, legacy=False, ids=True)}
    return line


def _reply(number: int, invoices: list[dict[str, Any]], *, legacy: bool, ids: bool) -> dict[str, Any]:
    errors: list[dict[str, Any]] = []
    responses: list[dict[str, Any]] = []
    for index, row in enumerate(invoices):
        entry = {"objectname": "invoice", "objectindex": index}
        if "dueDate" not in row:
            errors.append({**entry, "message": "dueDate: required"})
            continue
        own = row["uniqueSourceInvoiceId"]
        planted = legacy and index == 0
        answer = {
            "ledgerref": f"L-{number}" if planted and number % EVERY_REFERENCE == 1 else own,
            "status_statuscode": "Registered" if planted and number % EVERY_STATUS == 1 else "OK",
        }
        if ids:
            answer["caseNumber"] = f"{'L' if legacy else 'M'}{own}"
        responses.append({**entry, **answer})
    statuscode = (2 if not responses else 1) if errors else 0
    trace = {"traceId": f"t-{number}"} if legacy else {}
    return {"statuscode": statuscode, "errors": errors, "responses": responses, **trace}
