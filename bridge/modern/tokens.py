"""Access tokens: one per credential, asked for once, shared by all who need it.

`fetch` does the I/O (see `client`). Concurrent callers share one request, its failure included; failures are not kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from cachetools import TLRUCache

from bridge.modern import reading

LONGEST_MARGIN_SECONDS = 60.0
LONGEST_LIFE_SECONDS = 86_400.0
UNKNOWN_LIFE_SECONDS = 300.0
"""How long a token is kept whose answer does not say when it ends."""


@dataclass(frozen=True, slots=True)
class Access:
    """An organization and the credentials to reach it with."""

    organization: str
    client_id: str
    client_secret: str = field(repr=False)


Credential = tuple[str, str]
"""Client id and secret: what a token is given for."""


@dataclass(frozen=True, slots=True)
class Token:
    """One access token; `expires_at` and `asked_at` in Unix seconds."""

    value: str = field(repr=False)
    asked_at: float
    expires_at: float

    @property
    def authorization(self) -> str:
        """Return the header to send it in."""
        return f"Bearer {self.value}"

    @property
    def stale_at(self) -> float:
        """Return when to stop using it: a tenth of its life before the end, a minute at most."""
        return self.expires_at - min(LONGEST_MARGIN_SECONDS, (self.expires_at - self.asked_at) / 10)


def read_token(body: bytes, asked_at: float) -> Token | None:
    """Return the token in an answer of the token service; None when there is none to be read.

    Both `expires_in` (seconds) and `expires_on` (Unix time), numbers or strings, may be there: the earlier counts. An
    `expires_on` in the past is the sign of a wrong clock and does not.
    """
    answer = reading.lower_keys(reading.decode(body))
    value = reading.text(answer.get("access_token"))
    if not _is_header_safe(value):
        return None
    lives = [life for life in (_seconds(answer.get("expires_in")), _life_until(answer, asked_at)) if life is not None]
    life = min(lives, default=UNKNOWN_LIFE_SECONDS)
    return Token(value, asked_at, asked_at + min(life, LONGEST_LIFE_SECONDS))


class TokenCache:
    """Keep one token per credential until shortly before it ends."""

    def __init__(
        self, fetch: Callable[[Access], Awaitable[Token]], clock: Callable[[], float], *, size: int = 1024
    ) -> None:
        self._fetch = fetch
        self._tokens: TLRUCache[Credential, Token] = TLRUCache(size, lambda _, token, __: token.stale_at, clock)
        self._under_way: dict[Credential, asyncio.Task[Token]] = {}

    async def get(self, access: Access) -> Token:
        """Return a token, from the cache or fresh. Raises ModernUnreachable, or ModernRefused for wrong credentials."""
        credential = (access.client_id, access.client_secret)
        if (token := self._tokens.get(credential)) is not None:
            return token
        if (task := self._under_way.get(credential)) is None:
            task = self._under_way[credential] = asyncio.create_task(self._renew(credential, access))
        # One caller that gives up must not take the token away from the others.
        return await asyncio.shield(task)

    def drop(self, access: Access, token: Token) -> None:
        """Forget a token that was answered with 401; one that has been replaced already stays replaced."""
        credential = (access.client_id, access.client_secret)
        if self._tokens.get(credential) is token:
            del self._tokens[credential]

    async def _renew(self, credential: Credential, access: Access) -> Token:
        try:
            token = await self._fetch(access)
            self._tokens[credential] = token
            return token
        finally:
            del self._under_way[credential]


def _seconds(value: object) -> float | None:
    try:
        seconds = float(reading.text(value))
    except ValueError:
        return None
    return seconds if seconds >= 0 else None  # NaN compares false, too


def _life_until(answer: dict[str, object], asked_at: float) -> float | None:
    expires_on = _seconds(answer.get("expires_on"))
    return expires_on - asked_at if expires_on is not None and expires_on > asked_at else None


def _is_header_safe(value: str) -> bool:
    return bool(value) and value.isascii() and value.isprintable() and " " not in value
