from __future__ import annotations

import aiohttp
import pytest

from bridge.modern.failures import EXCHANGE_FAILURES, FATES, Fate, judge, translate


def family(kind: type[BaseException]) -> set[type[BaseException]]:
    """Return a class with everything the library derives from it."""
    own = [derived for derived in kind.__subclasses__() if derived.__module__.startswith("aiohttp")]
    return {kind}.union(*(family(derived) for derived in own))


def test_every_failure_of_the_library_has_a_row() -> None:
    """The table names every exception a client of this version can raise: a new one must be judged by a person."""
    known = family(aiohttp.ClientError)
    assert len(known) > 20
    assert known - set(FATES) == set(), "aiohttp has grown a failure: can the request have left when it is raised?"


def test_every_row_is_caught() -> None:
    """What `except` names covers the whole table."""
    assert all(issubclass(kind, EXCHANGE_FAILURES) for kind in FATES)


def test_only_failures_before_the_first_byte_are_not_sent() -> None:
    """Whatever is neither about connecting nor about the address is in doubt."""
    safe = {kind for kind, fate in FATES.items() if fate is Fate.NOT_SENT}
    connecting = family(aiohttp.ClientConnectorError) | {
        aiohttp.ServerFingerprintMismatch, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError,
    }  # fmt: skip
    address = {aiohttp.InvalidURL, aiohttp.InvalidUrlClientError, aiohttp.NonHttpUrlClientError}
    assert safe == connecting | address


@pytest.mark.parametrize(
    ("failure", "fate"),
    [
        (aiohttp.ServerDisconnectedError(), Fate.IN_DOUBT),
        (TimeoutError(), Fate.IN_DOUBT),
        (ConnectionResetError(), Fate.IN_DOUBT),
        (aiohttp.ConnectionTimeoutError(), Fate.NOT_SENT),
        (aiohttp.InvalidUrlRedirectClientError("x"), Fate.IN_DOUBT),
        (ValueError(), Fate.IN_DOUBT),
    ],
)
def test_the_nearest_row_decides(failure: BaseException, fate: Fate) -> None:
    """A failure is judged by its own row, else its family's; what is in no family is in doubt."""
    assert judge(failure) is fate


def test_the_text_of_a_failure_stays_behind() -> None:
    """A failure is named by its class: its text may quote what was sent."""
    assert str(translate(aiohttp.ClientPayloadError("Kari Nordmann"))) == "ClientPayloadError"
