from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from bridge.errors import ModernRefused, ModernUnreachable
from bridge.modern.tokens import UNKNOWN_LIFE_SECONDS, Access, Token, TokenCache, read_token

NOW = 1_700_000_000.0
ON_THE_PAGE = {
    "access_token": "eyJ.x.y",
    "token_type": "Bearer",
    "not_before": 1_700_000_000,
    "expires_in": 3600,
    "expires_on": 1_700_003_600,
    "resource": "ae257e86-dc53-4865-9c97-5b125a3a5ac2",
}


class Service:
    """Hand out tokens, or failures, when let; count how often it is asked."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.asked = 0
        self.open = asyncio.Event()
        self.open.set()
        self.failure: Exception | None = None
        self.life_seconds = 3600.0

    async def fetch(self, access: Access) -> Token:
        self.asked += 1
        number = self.asked
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        return Token(f"{access.client_id}-{number}", self.clock(), self.clock() + self.life_seconds)


@pytest.fixture
def service(clock: Any) -> Service:
    return Service(clock)


@pytest.fixture
def cache(service: Service, clock: Any) -> TokenCache:
    return TokenCache(service.fetch, clock, size=3)


def life(answer: dict[str, Any]) -> float:
    token = read_token(json.dumps({"access_token": "t"} | answer).encode(), NOW)
    assert token is not None
    return token.expires_at - NOW


def test_the_documented_token_is_read() -> None:
    """The sample on the page gives a token for an hour."""
    token = read_token(json.dumps(ON_THE_PAGE).encode(), NOW)
    assert token == Token("eyJ.x.y", NOW, NOW + 3600)
    assert token.authorization == "Bearer eyJ.x.y"
    assert token.stale_at == NOW + 3540


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ({"expires_in": "3600"}, 3600.0),
        ({"expires_in": 3599.5}, 3599.5),
        ({"expires_on": "1700000100"}, 100.0),
        ({"expires_in": 3600, "expires_on": 1_700_000_100}, 100.0),
        ({"expires_in": 3600, "expires_on": 1_600_000_000}, 3600.0),
        ({"expires_in": 0}, 0.0),
        ({"expires_in": -1}, UNKNOWN_LIFE_SECONDS),
        ({"expires_in": "NaN"}, UNKNOWN_LIFE_SECONDS),
        ({"expires_in": "Infinity"}, 86_400.0),
        ({"expires_in": None, "expires_on": "soon"}, UNKNOWN_LIFE_SECONDS),
    ],
)
def test_the_end_of_a_token_is_read_from_either_field(answer: dict[str, Any], seconds: float) -> None:
    """Numbers and strings are understood, the earlier end counts, and an end in the past is a wrong clock's."""
    assert life(answer) == seconds


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"{}", b'{"access_token":""}', b'{"access_token":"a\\r\\nX: y"}', b'{"access_token":"a b"}'],
)
def test_what_is_no_token_reads_as_none(body: bytes) -> None:
    """A token that could not stand in a header is none."""
    assert read_token(body, NOW) is None


def test_no_secret_is_shown() -> None:
    """Neither the client secret nor a token is in what a value prints."""
    assert "hidden" not in repr(Access("o", "c", "hidden")) + repr(Token("hidden", NOW, NOW))


async def test_a_token_is_kept_until_shortly_before_its_end(
    cache: TokenCache, service: Service, access: Access, clock: Any
) -> None:
    """A token is asked for once, and again a minute before it ends."""
    first = await cache.get(access)
    clock.now += 3539
    assert await cache.get(access) is first
    clock.now += 2
    assert await cache.get(access) is not first
    assert service.asked == 2


async def test_a_token_without_life_is_not_kept(cache: TokenCache, service: Service, access: Access) -> None:
    """A token that ends at once serves one request."""
    service.life_seconds = 0
    await cache.get(access)
    await cache.get(access)
    assert service.asked == 2


async def test_concurrent_callers_share_one_request(cache: TokenCache, service: Service, access: Access) -> None:
    """A hundred callers of one credential cause one request; another credential has its own."""
    service.open.clear()
    same = [asyncio.create_task(cache.get(access)) for _ in range(100)]
    other = asyncio.create_task(cache.get(Access("o2", "other", "x")))
    await asyncio.sleep(0)
    service.open.set()
    assert len({token.value for token in await asyncio.gather(*same)}) == 1
    assert (await other).value.startswith("other")
    assert service.asked == 2


async def test_organizations_with_one_credential_share_its_token(cache: TokenCache, access: Access) -> None:
    """The token belongs to the credential; a changed secret is another credential."""
    first = await cache.get(access)
    assert await cache.get(Access("other-org", access.client_id, access.client_secret)) is first
    assert await cache.get(Access(access.organization, access.client_id, "rotated")) is not first


@pytest.mark.parametrize("failure", [ModernUnreachable(), ModernRefused(status=400)])
async def test_a_failure_is_shared_but_not_kept(
    cache: TokenCache, service: Service, access: Access, failure: Exception
) -> None:
    """All who waited see the failure; the next caller asks again."""
    service.failure = failure
    results = await asyncio.gather(*(cache.get(access) for _ in range(3)), return_exceptions=True)
    assert results == [failure] * 3
    assert service.asked == 1
    service.failure = None
    assert (await cache.get(access)).value == "nordlys-2"


async def test_a_caller_who_gives_up_leaves_the_request_to_the_others(
    cache: TokenCache, service: Service, access: Access
) -> None:
    """The first caller's cancellation does not take the token away from the second, nor from later ones."""
    service.open.clear()
    first, second = (asyncio.create_task(cache.get(access)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    service.open.set()
    assert await second is await cache.get(access)
    assert service.asked == 1


async def test_a_dropped_token_is_replaced_once(cache: TokenCache, service: Service, access: Access) -> None:
    """Many callers who saw a 401 for one token cause one new one: dropping a replaced token has no effect."""
    old = await cache.get(access)
    cache.drop(access, old)
    new = await cache.get(access)
    cache.drop(access, old)
    assert await cache.get(access) is new
    assert service.asked == 2


async def test_the_cache_is_bounded(cache: TokenCache, service: Service) -> None:
    """More credentials than there is room for push the oldest out."""
    for number in range(4):
        await cache.get(Access("o", f"c{number}", "s"))
    await cache.get(Access("o", "c0", "s"))
    assert service.asked == 5
