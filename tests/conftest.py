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
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from hypothesis import settings

UNPRIVILEGED = ("postgres", "nobody")
"""PostgreSQL refuses to run as root; these are tried in turn."""
START_SECONDS = 30.0
_names = itertools.count(1)

# the gate draws alike on every machine and in every run, and no machine is too slow for it
settings.register_profile("gate", derandomize=True, database=None, deadline=None)
settings.register_profile("explore", derandomize=False, max_examples=500, deadline=None, print_blob=True)
settings.load_profile("gate")  # pytest loads what --hypothesis-profile names after this


class Databases:
    """A server in which tests make databases of their own."""

    def __init__(self, url: str) -> None:
        self.url = url

    def create(self) -> str:
        """Make an empty database; return its URL."""
        name = f"bridge_test_{os.getpid()}_{next(_names)}"
        self.execute(f"CREATE DATABASE {name}")
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(path=f"/{name}"))

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        self.execute(f"DROP DATABASE IF EXISTS {urlsplit(url).path[1:]} WITH (FORCE)")

    def execute(self, statement: str) -> None:
        """Run one statement as the owner of the server."""

        async def run() -> None:
            connection = await asyncpg.connect(self.url)
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        run_aside(run())


class Server(Databases):
    """A PostgreSQL started by the tests: own data, own socket, every commit synced as in production."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bridge-postgres-"))
        self.port = _free_port()
        self._as_user = _drop_privileges(self.folder)
        self._run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        self.start()
        super().__init__(f"postgresql://postgres@/postgres?host={self.folder}&port={self.port}")

    def drop(self, url: str) -> None:
        """Leave it: it goes with the server, and dropping one by one would cost a checkpoint each."""

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
        yield Databases(url)
        return
    server = Server()
    yield server
    server.remove()


@pytest.fixture
def postgres_url(databases: Databases) -> Iterator[str]:
    """The URL of an empty database."""
    url = databases.create()
    yield url
    databases.drop(url)


@pytest.fixture
def postgres_server() -> Iterator[Server]:
    """A server of the test's own, to be stopped, started and frozen at will."""
    server = Server()
    yield server
    with suppress(OSError):
        server.thaw()
    server.remove()
