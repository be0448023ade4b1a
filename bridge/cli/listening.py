"""The operating system's refusal to listen, in words that name what to change."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from bridge.errors import OperatorError

CANNOT_LISTEN = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES})


@contextmanager
def told_why_deaf(error: type[OperatorError], message: str) -> Iterator[None]:
    """Raise `error` with the message and the reason when an address cannot be listened on."""
    try:
        yield
    except OSError as refused:
        if refused.errno not in CANNOT_LISTEN:
            raise
        reason = os.strerror(refused.errno).lower()
        raise error(f"{message} ({reason}); choose another, or stop what is using it") from refused
