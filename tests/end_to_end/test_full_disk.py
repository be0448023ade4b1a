"""The journal cannot be written for a while: nothing new is taken, nothing is lost, and no restart is needed."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

Invoice = Callable[..., dict[str, Any]]

UNPROTECTED = {"idempotency": "ignore", "duplicates": "accept"}
"""The modern side takes whatever comes, twice if need be: that nothing doubles is the bridge's own doing."""
NEVER = {"behaviour": UNPROTECTED | {"finish_after_polls": 1_000_000}}
ROWS = 100
"""Of a batch that needs some room in the journal."""


@contextmanager
def full_disk(site: Any, folder: Path) -> Iterator[None]:
    """Use up the disk that holds the journal."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        size = 65_536
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def limited_files(site: Any, folder: Path) -> Iterator[None]:
    """Forbid the process to write beyond the first bytes of any file but its log."""
    soft = max(site.bridge.output.stat().st_size * 2, 16_384)
    process = site.bridge.process.pid
    before = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (soft, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, before)


@contextmanager
def read_only_files(site: Any, folder: Path) -> Iterator[None]:
    """Forbid everybody to change the journal's files, even who has them open."""
    files = [str(path) for path in folder.glob("bridge.db*")]
    forbidden = subprocess.run(["chattr", "+i", *files], check=False, capture_output=True)
    if forbidden.returncode:
        pytest.skip("only root can make a file immutable, and not on every file system")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], check=True)


@contextmanager
def locked_file(site: Any, folder: Path) -> Iterator[None]:
    """Hold the file's lock as a forgotten SQLite shell would."""
    with closing(sqlite3.connect(folder / "bridge.db", isolation_level=None, check_same_thread=False)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        yield
        stranger.execute("ROLLBACK")


def execute(url: str, *statements: str) -> None:
    """Run statements in a database."""

    async def run() -> None:
        connection = await asyncpg.connect(url)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    asyncio.run(run())


@contextmanager
def full_server(site: Any, url: str) -> Iterator[None]:
    """Use up the disk that holds the rows' items."""
    (small,) = Path(parse_qs(urlsplit(url).query)["host"][0]).glob("small")
    execute(url, f"CREATE TABLESPACE small LOCATION '{small}'", "ALTER TABLE bridge.item SET TABLESPACE small")
    with full_disk(site, small):
        yield


@contextmanager
def read_only_server(site: Any, url: str) -> Iterator[None]:
    """Have the database refuse every write, as a standby does."""
    name = urlsplit(url).path[1:]
    hang_up = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    execute(url, f"ALTER DATABASE {name} SET default_transaction_read_only = on", hang_up)
    try:
        yield
    finally:
        allow = f"ALTER DATABASE {name} RESET default_transaction_read_only"
        execute(url, "SET default_transaction_read_only = off", allow, hang_up)


TROUBLES: dict[str, Callable[[Any, Any], AbstractContextManager[None]]] = {
    "full": full_disk,
    "limited": limited_files,
    "read-only": read_only_files,
    "locked": locked_file,
    "full server": full_server,
    "read-only server": read_only_server,
}
"""Each makes the journal in a folder, or at a URL, unwritable for a running bridge."""


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk of a few megabytes; only root may."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small disk; the test with limited files needs no root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(
    params=[
        "full",
        "limited",
        "read-only",
        pytest.param("locked", marks=pytest.mark.chaos),  # each look takes 5 seconds
        "full server",
        "read-only server",
    ]
)
def trouble(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(trouble: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path | str]:
    """The folder of the journal, or its URL."""
    if trouble.endswith("server"):
        server = request.getfixturevalue("postgres_server")
        with small_disk(server.folder / "small") if trouble == "full server" else nullcontext() as folder:
            if folder:
                shutil.chown(folder, server.folder.owner())
            yield server.create()
            server.stop("immediate")  # before its disk is gone
    elif trouble == "full":
        with small_disk(tmp_path / "disk") as folder:
            yield folder
    else:
        yield tmp_path


@pytest.fixture
async def troubled(open_site: Any, place: Path | str, trouble: str) -> AsyncIterator[Any]:
    """A site, and a context in which its journal cannot be written."""
    journal = {"storage_url": place} if isinstance(place, str) else {"storage": place / "bridge.db"}
    async with open_site(**journal, hold_seconds=1.0) as site:

        @asynccontextmanager
        async def begin() -> AsyncIterator[None]:
            context = TROUBLES[trouble](site, place)
            await asyncio.to_thread(context.__enter__)
            try:
                yield
            finally:
                await asyncio.to_thread(context.__exit__, None, None, None)

        yield site, begin


def large(invoice: Invoice, name: str) -> dict[str, Any]:
    """A batch that does not fit into what the journal's files have to spare."""
    return {"batchid": name, "invoice": [invoice(f"{name}-{row}") for row in range(ROWS)]}


async def refuse_one(site: Any, invoice: Invoice) -> str:
    """Send batches until one is refused, and return its name: the journal may have some room left."""
    for number in range(50):
        reply = await site.post(large(invoice, f"b-{number}"))
        if reply.status == 503:
            assert int(reply.headers["retry-after"]) > 0
            assert (reply.body["statuscode"], reply.body["errors"][0]["objectname"]) == (2, "batch")
            return f"b-{number}"
        assert reply.status == 200
    raise AssertionError("the journal takes everything")


async def send_until_final(site: Any, sent: dict[str, Any]) -> Any:
    async with asyncio.timeout(60):
        while True:
            reply = await site.post(sent)
            if reply.status == 200 and "PENDING" not in reply.states.values():
                return reply
            await asyncio.sleep(0.1)


async def test_a_journal_that_cannot_be_written_takes_nothing_and_loses_nothing(
    troubled: Any, invoice: Invoice, wait_until: Any
) -> None:
    """New batches get 503 and leave no trace, open ones wait; once the cause is gone both go on, without a restart."""
    site, trouble = troubled
    site.sandbox.play(NEVER)
    held = {"batchid": "held", "invoice": [invoice("held")]}
    assert (await site.post(held)).states == {("invoice", 0): "PENDING"}
    async with trouble():
        refused = await refuse_one(site, invoice)
        async with asyncio.timeout(15):
            while await site.ping(site.bridge) != 503:  # the first refusal may be owed to a connection that was hung up
                assert (await site.post(large(invoice, refused))).status == 503
        taken = dict(site.accepted("invoices"))
        assert not [row for row in taken if row.startswith(f"erp-{refused}-")], "refused, and yet submitted"
        site.release()
        assert (await site.post(large(invoice, refused))).status == 503
    site.sandbox.play({"behaviour": UNPROTECTED})
    first = site.bridge.events("batch_taken")[0]["batch"]
    finished = lambda: first in {event["batch"] for event in site.bridge.events("batch_finished")}  # noqa: E731 - a condition to wait for
    await wait_until(finished, "the held batch goes on by itself", 30)
    replies: dict[str, Any] = {}
    for number in range(int(refused.removeprefix("b-")) + 1):
        replies[f"b-{number}"] = await send_until_final(site, large(invoice, f"b-{number}"))
    assert {state for reply in replies.values() for state in reply.states.values()} == {"OK"}
    assert (await site.post(held)).states == {("invoice", 0): "OK"}
    wanted = {f"erp-{name}-{row}" for name in replies for row in range(ROWS)} | {"erp-held"}
    assert site.accepted("invoices") == dict.fromkeys(wanted, 1)
    site.check_identities()
    ledger = await site.ledger()
    assert (ledger["accepted"], ledger["final"]) == (len(wanted), len(wanted))
    assert len(site.bridge.events("bridge_started")) == 1


async def test_a_journal_that_may_not_be_written_stops_the_start(
    launch: Any, write_config: Any, tmp_path: Path
) -> None:
    """A bridge that could keep nothing does not start, and says what to do."""
    wrapper: tuple[str, ...] = ()
    if os.geteuid() == 0:  # root may write everywhere, unless it gives that up
        wrapper = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
        if not shutil.which(wrapper[0]):
            pytest.skip("root needs setpriv to give its rights up")
    config = write_config(tmp_path)
    (tmp_path / "bridge.db").touch(0o400)
    command = launch("serve", "--config", str(config), wrapper=wrapper)
    assert await asyncio.to_thread(command.wait, 20) != 0
    assert "writable" in command.said
