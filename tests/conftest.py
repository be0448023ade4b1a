"""What all tests share: how Hypothesis draws, and a real PostgreSQL.

The server is given by BRIDGE_TEST_POSTGRES, or started here for the tests that ask for one.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Coroutine, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from coverage import Coverage
from hypothesis import settings

UNPRIVILEGED = ("postgres", "nobody")
"""PostgreSQL refuses to run as root; these are tried in turn."""
START_SECONDS = 30.0
MEMORY = Path("/dev/shm")
"""Files in memory, where Linux has them."""
MEMORY_BYTES = 4 << 30
"""What must be free there for the servers of all workers."""
EMPTY = (
    """SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid()""",
    "DROP SCHEMA IF EXISTS bridge CASCADE",
    "DROP SCHEMA public CASCADE",
    "CREATE SCHEMA public AUTHORIZATION pg_database_owner",
    "GRANT USAGE ON SCHEMA public TO PUBLIC",
)
"""What makes a database as it was when it was new."""
_names = itertools.count(1)

# the gate draws alike on every machine and in every run, and no machine is too slow for it
settings.register_profile("gate", derandomize=True, database=None, deadline=None)
settings.register_profile("explore", derandomize=False, max_examples=500, deadline=None, print_blob=True)
settings.load_profile("gate")  # pytest loads what --hypothesis-profile names after this


@pytest.hookimpl(trylast=True)  # Hypothesis marks its tests before
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count no coverage of drawn examples: it takes as long as to run them, and what they reach others show by name."""
    for item in items:
        if item.get_closest_marker("hypothesis"):
            item.add_marker("no_cover")


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Count no coverage in a test marked `no_cover`: of the two counters of a worker, pytest-cov stops one only."""
    stopped: list[Coverage] = []
    while item.get_closest_marker("no_cover") and (counting := Coverage.current()):
        counting.stop()
        stopped.append(counting)
    try:
        return (yield)
    finally:
        for counting in reversed(stopped):
            counting.start()


class Databases:
    """A server in which tests have databases of their own, one after the other."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._made: list[str] = []
        self._idle: list[str] = []

    def create(self) -> str:
        """Return the URL of an empty database: a new one, or one that was released; that is ten times cheaper."""
        if self._idle:
            url = self._idle.pop()
            # only now: what a test has started may outlive its database by a moment, but never the test
            _execute(url, *EMPTY, f"ALTER DATABASE {_name(url)} RESET ALL")
            return url
        name = f"bridge_test_{os.getpid()}_{next(_names)}"
        _execute(self.url, f"CREATE DATABASE {name}")
        parts = urlsplit(self.url)
        self._made.append(urlunsplit(parts._replace(path=f"/{name}")))
        return self._made[-1]

    def release(self, url: str) -> None:
        """Leave a database to later tests, whoever is still connected."""
        self._idle.append(url)

    def drop(self) -> None:
        """Remove all databases."""
        for url in self._made:
            _execute(self.url, f"DROP DATABASE IF EXISTS {_name(url)} WITH (FORCE)")


def _name(url: str) -> str:
    return urlsplit(url).path[1:]


def _execute(url: str, *statements: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(url, server_settings={"default_transaction_read_only": "off"})
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    run_aside(run())


class Server(Databases):
    """A PostgreSQL started by the tests: own data, own socket, every commit synced as in production."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bridge-postgres-", dir=_memory()))
        self.port = _free_port()
        self._as_user = _drop_privileges(self.folder)
        self._run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        self.start()
        super().__init__(f"postgresql://postgres@/postgres?host={self.folder}&port={self.port}")

    def start(self) -> None:
        """Start the server, and wait until it takes connections."""
        options = f"-k {self.folder} -p {self.port} -h 127.0.0.1 -c max_connections=200"
        self._run("pg_ctl", "start", "--wait", f"--timeout={START_SECONDS:.0f}", "-o", options, "-l", self._log)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; `immediate` is what a crash is to it."""
        self._run("pg_ctl", "stop", "--wait", f"--mode={mode}")

    def freeze(self) -> None:
        """Stop every process of the server in its tracks."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        """Stop the server and delete its data."""
        with suppress(subprocess.CalledProcessError):
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        postmaster = int((self._data / "postmaster.pid").read_text().splitlines()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for process in (postmaster, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(process, number)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _log(self) -> str:
        return str(self.folder / "log")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user, str(_find_binaries() / program), f"--pgdata={self._data}", *arguments]
        # its children keep what they inherit: a pipe would never end
        with open(self.folder / f"{program}.out", "ab") as output:  # noqa: PTH123 - a folder of ours
            subprocess.run(command, check=True, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd="/")


def _memory() -> Path | None:
    """Return a folder in memory, if there is room: to make a database's files on a disk costs five times the work."""
    with suppress(OSError):
        if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES:
            return MEMORY
    return None


def _find_binaries() -> Path:
    """Return the folder of initdb, pg_ctl and postgres: the one on the PATH, or the newest that Debian has."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not versions:
        raise RuntimeError(
            "the tests need PostgreSQL: install postgresql, or set BRIDGE_TEST_POSTGRES to a server's URL"
        )
    return versions[-1].parent


def _drop_privileges(folder: Path) -> list[str]:
    """Return the command prefix that makes a root process unprivileged, and give the folder to that user."""
    if os.geteuid() != 0:
        return []
    for user in UNPRIVILEGED:
        with suppress(LookupError):
            shutil.chown(folder, user)
            return ["runuser", "-u", user, "--"]
    raise RuntimeError("PostgreSQL does not run as root: run the tests as another user")


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def run_aside(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on a loop of its own in a thread of its own, whatever loop the test has."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """The server that tests share; with xdist each worker has its own unless BRIDGE_TEST_POSTGRES names one."""
    if url := os.environ.get("BRIDGE_TEST_POSTGRES"):
        given = Databases(url)
        yield given
        given.drop()
        return
    server = Server()
    yield server
    server.remove()


@pytest.fixture
def postgres_url(databases: Databases) -> Iterator[str]:
    """The URL of an empty database."""
    url = databases.create()
    yield url
    databases.release(url)


@pytest.fixture
def postgres_server() -> Iterator[Server]:
    """A server of the test's own, to be stopped, started and frozen at will."""
    server = Server()
    yield server
    with suppress(OSError):
        server.thaw()
    server.remove()
