"""The credentials that batches take to the legacy host."""

from __future__ import annotations

import asyncio

import pytest

from bridge.calls.keyring import MOST_BATCHES, Keyring
from bridge.settings import SenderSettings

ORG = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


def sender(name: str, **credentials: object) -> SenderSettings:
    return SenderSettings.model_validate({"id": name, "organizations": [ORG], **credentials})


def keyring(*senders: SenderSettings, wait_seconds: float = 5.0) -> Keyring:
    return Keyring(senders, wait_seconds=wait_seconds)


async def test_what_the_caller_showed_goes_before_what_is_configured() -> None:
    """A batch travels under its caller's own credentials; an empty header is one as well."""
    ring = keyring(sender("ERP", bearer="configured"))
    ring.keep("b", "Bearer shown")
    ring.keep("anonymous", "")
    assert await ring.find("b", "ERP") == "Bearer shown"
    assert await ring.find("anonymous", "ERP") == ""


@pytest.mark.parametrize(
    ("credentials", "header"),
    [
        ({"basic": {"username": "erp", "password": "pæss:w"}}, "Basic ZXJwOnDDpnNzOnc="),
        ({"bearer": "token"}, "Bearer token"),
        ({"basic": {"username": "erp", "password": "p"}, "bearer": "token"}, "Basic ZXJwOnA="),
    ],
)
async def test_configured_credentials_serve_when_the_callers_are_lost(
    credentials: dict[str, object], header: str
) -> None:
    """After a restart a batch travels under what is configured for its sender."""
    ring = keyring(sender("ERP", **credentials))
    ring.keep("b", "Bearer shown")
    ring.drop("b")
    assert await ring.find("b", "ERP") == header


async def test_a_batch_without_any_waits_for_its_caller() -> None:
    """Who sends it again brings them; those of other batches are not taken."""
    ring = keyring(sender("JWT", anonymous=True))
    search = asyncio.create_task(ring.find("b", "JWT"))
    await asyncio.sleep(0)
    ring.keep("another", "Bearer other")
    await asyncio.sleep(0.01)
    assert not search.done()
    ring.keep("b", "Bearer shown")
    assert await asyncio.wait_for(search, 1) == "Bearer shown"


async def test_nobody_waits_for_ever() -> None:
    """When nobody comes, there are none."""
    assert await keyring(wait_seconds=0.01).find("b", "unknown") is None


async def test_only_so_many_are_kept() -> None:
    """Batches that are never heard of again do not fill the memory."""
    ring = keyring(wait_seconds=0.0)
    for number in range(MOST_BATCHES + 1):
        ring.keep(str(number), "x")
    assert await ring.find("0", "ERP") is None
    assert await ring.find("1", "ERP") == "x"
