"""The public keys that tokens are checked with: fetched once, kept for a while, asked for again when one is missing."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cachetools import TTLCache
from jwt import PyJWK, PyJWTError

from bridge.errors import CannotTakeNow, VendorError
from bridge.logs import Event, get_log
from bridge.senders import FetchJwks

KeySet = Mapping[tuple[str, str], PyJWK]
"""Keys by key id (empty where the set gives none) and algorithm."""

KEEP_SECONDS = 600
REFRESH_SECONDS = 60
FAILURE_SECONDS = 5
MAX_SETS = 256

RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
CURVE_ALGORITHMS = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
ALGORITHMS = (*RSA_ALGORITHMS, *CURVE_ALGORITHMS.values())
UNREACHABLE = "Tokens cannot be checked now, their issuer's keys could not be fetched: send the same batch again later."

log = get_log()


class KeyRing:
    """Key sets by address, each fetched by one caller at a time."""

    def __init__(self, fetch: FetchJwks, clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._sets: TTLCache[str, KeySet] = TTLCache(MAX_SETS, KEEP_SECONDS, timer=clock)
        self._fresh: TTLCache[str, bool] = TTLCache(MAX_SETS, REFRESH_SECONDS, timer=clock)
        self._failed: TTLCache[str, bool] = TTLCache(MAX_SETS, FAILURE_SECONDS, timer=clock)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def find(self, url: str, kid: str, algorithm: str) -> PyJWK | None:
        """Return a key, or None when the issuer has none by that name; raises CannotTakeNow when it cannot be asked."""
        key = _pick(self._sets.get(url, {}), kid, algorithm)
        if key is not None:
            return key
        async with self._locks[url]:
            if url not in self._fresh:
                await self._refresh(url)
            return _pick(self._sets.get(url, {}), kid, algorithm)

    async def _refresh(self, url: str) -> None:
        """Fetch a key set; after a failure the issuer is left alone for a moment."""
        if url in self._failed:
            raise CannotTakeNow(UNREACHABLE)
        try:
            self._sets[url] = dict(_read_keys(await self._fetch(url)))
        except (VendorError, OSError, ValueError) as error:
            self._failed[url] = True
            log.warning(Event.KEYS_UNREACHABLE, why=type(error).__name__)
            raise CannotTakeNow(UNREACHABLE) from error
        self._fresh[url] = True


def _pick(keys: KeySet, kid: str, algorithm: str) -> PyJWK | None:
    """Return the named key; a token that names none gets the only one of its algorithm."""
    if kid:
        return keys.get((kid, algorithm))
    fitting = [key for (_, offered), key in keys.items() if offered == algorithm]
    return fitting[0] if len(fitting) == 1 else None


def _read_keys(document: Any) -> Iterator[tuple[tuple[str, str], PyJWK]]:
    """Yield the signing keys of a key set under each algorithm they serve; keys of other kinds are passed over."""
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("not a JSON Web Key Set")  # noqa: TRY004  # the issuer's fault, not a caller's type error
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        for algorithm in _algorithms_of(entry):
            try:
                yield (str(entry.get("kid", "")), algorithm), PyJWK(entry, algorithm)
            except PyJWTError:
                continue


def _algorithms_of(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the algorithms a key may be used with; never a symmetric one."""
    possible = RSA_ALGORITHMS if entry.get("kty") == "RSA" else (CURVE_ALGORITHMS.get(str(entry.get("crv")), ""),)
    return tuple(each for each in possible if each and entry.get("alg", each) == each)
