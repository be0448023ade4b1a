"""Read the modern API: a token for every request, single attempts and patient ones, lists to their end.

Everything that reads or writes goes through one `Reader`, so that there is one token a credential and one meaning of
what a read was answered with.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import NoReturn, TypeVar

from yarl import URL

from bridge.errors import ModernRefused, ModernUnreachable, VendorError
from bridge.modern.answers import NOT_TAKEN, read_retry_after
from bridge.modern.exchange import Exchange, Reply
from bridge.modern.failures import ExchangeBroken, ModernBusy
from bridge.modern.lists import Page
from bridge.modern.requests import fill_path
from bridge.modern.tokens import Access, Token, TokenCache, read_token

T = TypeVar("T")

MOST_PAGES = 20_000
"""Where a list is given up that names ever new pages: a hundred times what the largest organization should have."""

READ_ATTEMPTS = 5
FIRST_BACKOFF_SECONDS = 0.2
LONGEST_PATIENCE_SECONDS = 30.0
"""How long after its beginning a read may start another attempt."""

API = "the modern system"
CREDENTIALS_REFUSED = "credentials refused: check client_id and client_secret of the organization"
_TOKEN_SERVICE = "the token service"  # noqa: S105 - a name for messages, not a secret


class Reader:
    """Ask the modern API on behalf of organizations.

    Raises ModernUnreachable when a read failed for now (ModernBusy when told when to come back), and ModernRefused when
    it was answered with a 3xx or 4xx, a 404 included.
    """

    def __init__(
        self,
        exchange: Exchange,
        base_url: str,
        token_url: str,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._exchange = exchange
        self._base_url = base_url.rstrip("/")
        self._token_url = URL(token_url)
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self.tokens = TokenCache(self._fetch_token, clock)

    def url(self, path: str) -> URL:
        """Return the address of a path below the base URL, every id in it percent-encoded (`requests.fill_path`)."""
        return URL(self._base_url + path, encoded=True)

    async def ask(self, access: Access, url: URL, parse: Callable[[bytes], T | None]) -> T:
        """Read in a single attempt; `parse` returns None for an answer that is not what was asked."""
        reply = await self._get(access, url)
        answer = parse(reply.body) if 200 <= reply.status < 300 else None
        return self._give_up(API, reply, url.path) if answer is None else answer

    async def read(self, access: Access, url: URL, parse: Callable[[bytes], T | None]) -> T:
        """Read patiently: what failed for now is asked again, within READ_ATTEMPTS and LONGEST_PATIENCE_SECONDS."""
        began = self._clock()
        for attempt in range(1, READ_ATTEMPTS):
            try:
                return await self.ask(access, url, parse)
            except ModernUnreachable as failure:
                pause = asked_pause(failure)
                if pause is None:
                    pause = FIRST_BACKOFF_SECONDS * 2**attempt * self._jitter()
                if self._clock() + pause > began + LONGEST_PATIENCE_SECONDS:
                    raise
            await self._sleep(pause)
        return await self.ask(access, url, parse)

    async def pages(
        self,
        access: Access,
        collection: str,
        query: Mapping[str, str],
        parse: Callable[[bytes], Page[T] | None],
        *,
        page_parameter: str = "PageToken",
        patient: bool = True,
    ) -> AsyncGenerator[Page[T], None]:
        """Yield the pages of an organization's list to its end, each a patient read or a single attempt.

        Half a list must not pass for the whole of it: one that breaks off, runs in circles or does not end raises.
        """
        if "" in query.values():
            raise ValueError(f"an empty filter would list all {collection}")
        url = self.url(fill_path("/orgs/{org}/" + collection, org=access.organization))
        read, asked = self.read if patient else self.ask, dict(query)
        seen: set[str] = set()
        for _ in range(MOST_PAGES):
            page = await read(access, url.with_query(asked), parse)
            yield page
            if not page.next_token:
                return
            if page.next_token in seen:
                raise ModernUnreachable(f"the list of {collection} runs in circles: it names a page twice")
            seen.add(page.next_token)
            asked[page_parameter] = page.next_token
        raise ModernUnreachable(f"the list of {collection} did not end within {MOST_PAGES} pages")

    async def _fetch_token(self, access: Access) -> Token:
        form = {
            "grant_type": "client_credentials",
            "client_id": access.client_id,
            "client_secret": access.client_secret,
        }
        asked_at = self._clock()
        try:
            reply = await self._exchange.send("POST", self._token_url, {"Accept": "application/json"}, form)
        except ExchangeBroken as failure:
            raise ModernUnreachable(f"{_TOKEN_SERVICE} did not answer ({failure.why})") from failure
        token = read_token(reply.body, asked_at) if reply.status == 200 else None
        return token or self._give_up(_TOKEN_SERVICE, reply, CREDENTIALS_REFUSED)

    async def _get(self, access: Access, url: URL, *, again: bool = True) -> Reply:
        token = await self.tokens.get(access)
        headers = {"Authorization": token.authorization, "Accept": "application/json"}
        try:
            reply = await self._exchange.send("GET", url, headers)
        except ExchangeBroken as failure:
            raise ModernUnreachable(f"{API} did not answer ({failure.why})") from failure
        if reply.status != 401:
            return reply
        self.tokens.drop(access, token)
        return await self._get(access, url, again=False) if again else reply

    def _give_up(self, who: str, reply: Reply, about: str) -> NoReturn:
        """Raise what an answer without use means: ask again later, or something must be put right first."""
        if 200 <= reply.status < 300:
            raise ModernUnreachable(f"{who} answered HTTP {reply.status}, but not what was asked ({about})")
        retry_after = read_retry_after(reply.headers, self._clock())
        if retry_after is not None and (reply.status in NOT_TAKEN or reply.status >= 500):
            raise ModernBusy(f"{who} answered HTTP {reply.status}", retry_after_seconds=retry_after)
        if reply.status in {408, *NOT_TAKEN} or reply.status >= 500:
            raise ModernUnreachable(f"{who} answered HTTP {reply.status}")
        raise ModernRefused(f"{who} answered HTTP {reply.status} ({about})", status=reply.status)


def asked_pause(failure: VendorError) -> float | None:
    """Return the seconds the modern side asked to be left alone for; None when it did not."""
    return failure.retry_after_seconds if isinstance(failure, ModernBusy) else None
