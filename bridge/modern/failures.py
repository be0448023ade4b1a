"""What a broken exchange with the modern system means: the one table for aiohttp's exceptions.

The question is always: can the request have left? Only where it certainly has not may a write be sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from aiohttp import client_exceptions as broken

from bridge.errors import ModernUnreachable


class Fate(Enum):
    """What became of a request whose answer never came."""

    NOT_SENT = "never left"
    """No connection was made (refused, DNS, TLS, pool), or the address is none."""
    IN_DOUBT = "may have arrived"


FATES: Mapping[type[BaseException], Fate] = {
    # Connecting: raised before the first byte of the request.
    broken.ClientConnectorError: Fate.NOT_SENT,
    broken.ClientConnectorDNSError: Fate.NOT_SENT,
    broken.ClientConnectorSSLError: Fate.NOT_SENT,
    broken.ClientConnectorCertificateError: Fate.NOT_SENT,
    broken.ClientSSLError: Fate.NOT_SENT,
    broken.ClientProxyConnectionError: Fate.NOT_SENT,
    broken.ClientHttpProxyError: Fate.NOT_SENT,  # the proxy refused CONNECT
    broken.UnixClientConnectorError: Fate.NOT_SENT,
    broken.ServerFingerprintMismatch: Fate.NOT_SENT,
    broken.ConnectionTimeoutError: Fate.NOT_SENT,  # wraps waiting for the pool and connecting, nothing else
    # The address: raised before connecting.
    broken.InvalidURL: Fate.NOT_SENT,
    broken.InvalidUrlClientError: Fate.NOT_SENT,
    broken.NonHttpUrlClientError: Fate.NOT_SENT,
    # The exchange: a reused connection that the server had closed looks the same as one that broke after the last byte.
    broken.ServerDisconnectedError: Fate.IN_DOUBT,
    broken.ClientOSError: Fate.IN_DOUBT,
    broken.ClientConnectionResetError: Fate.IN_DOUBT,
    broken.ServerTimeoutError: Fate.IN_DOUBT,
    broken.SocketTimeoutError: Fate.IN_DOUBT,
    broken.ClientPayloadError: Fate.IN_DOUBT,
    broken.UploadAbortedError: Fate.IN_DOUBT,
    broken.ClientResponseError: Fate.IN_DOUBT,  # an answer that is not HTTP
    broken.ContentTypeError: Fate.IN_DOUBT,
    # Never expected of this client (no redirects, no web sockets); had they come, something would have left.
    broken.TooManyRedirects: Fate.IN_DOUBT,
    broken.RedirectClientError: Fate.IN_DOUBT,
    broken.InvalidUrlRedirectClientError: Fate.IN_DOUBT,
    broken.NonHttpUrlRedirectClientError: Fate.IN_DOUBT,
    broken.WSServerHandshakeError: Fate.IN_DOUBT,
    # The families, for what is raised as such; among them the total time-out and "Connector is closed".
    broken.ServerConnectionError: Fate.IN_DOUBT,
    broken.ClientConnectionError: Fate.IN_DOUBT,
    broken.ClientError: Fate.IN_DOUBT,
    TimeoutError: Fate.IN_DOUBT,
    OSError: Fate.IN_DOUBT,
}

EXCHANGE_FAILURES = (broken.ClientError, TimeoutError, OSError)
"""What `except` must name to catch every row of the table."""


class ModernBusy(ModernUnreachable):
    """The modern system asked to be left alone for a while; it is asked again after that."""

    def __init__(self, message: str | None = None, *, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


def judge(failure: BaseException) -> Fate:
    """Return the fate of a request that ended in this exception: the row of its nearest class."""
    return next((FATES[kind] for kind in type(failure).__mro__ if kind in FATES), Fate.IN_DOUBT)


class ExchangeBroken(Exception):
    """A request was not answered; `fate` says whether it can have arrived, `why` names what happened."""

    def __init__(self, fate: Fate, why: str) -> None:
        super().__init__(why)
        self.fate = fate
        self.why = why


def translate(failure: BaseException) -> ExchangeBroken:
    """Translate a failure of the HTTP library; its text stays behind, since it may quote what was sent."""
    return ExchangeBroken(judge(failure), type(failure).__name__)
