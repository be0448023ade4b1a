"""Pings the bridge over one connection until a file appears, then prints how many milliseconds each Ping took.

Started by `processes`: port, the file. A process of its own on a plain socket, so that what it measures is not itself.
"""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

PAUSE_SECONDS = 0.001
REQUEST = b"GET /webapi/api/Ping HTTP/1.1\r\nHost: bridge\r\n\r\n"


def main() -> None:
    """Ping until told to stop."""
    port, stop = int(sys.argv[1]), Path(sys.argv[2])
    taken = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _ping(connection)
        sys.stdout.write("\n")
        sys.stdout.flush()
        while not stop.exists():
            taken.append(_ping(connection))
            time.sleep(PAUSE_SECONDS)
    sys.stdout.write(f"{taken}\n")


def _ping(connection: socket.socket) -> float:
    began = time.perf_counter()
    connection.sendall(REQUEST)
    answer = b""
    while not answer.endswith(b"}"):
        answer += connection.recv(4096)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(answer.decode())
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
