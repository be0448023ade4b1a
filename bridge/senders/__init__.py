"""Who is calling: match a senderid and an Authorization header with the configured senders."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from bridge.errors import NotAllowed, NotAuthenticated
from bridge.settings import SenderSettings, Settings

FetchJwks = Callable[[str], Awaitable[Any]]
"""Fetches a JSON Web Key Set by address; raises VendorError, OSError or ValueError when it cannot be had."""

__all__ = ["FetchJwks", "Sender", "Senders"]

NAME_ONE = "These credentials fit more than one sender: name the one that is meant in senderid."


@dataclass(frozen=True, slots=True)
class Sender:
    """One ERP installation, and what was agreed with it."""

    id: str
    profile: str
    organizations: tuple[str, ...]
    hold_seconds: float
    batchid: Literal["unique", "label"]
    resend_window_hours: float


class _Secret(NamedTuple):
    """The digest of one credential, and whose it is. Digests are all of one length, so comparing them tells nothing."""

    digest: bytes
    sender: str


class Senders:
    """All senders and their credentials; several may share one credential, then each call names its sender."""

    def __init__(self, settings: Settings, fetch_jwks: FetchJwks, clock: Callable[[], float]) -> None:
        self._by_id = {each.id: _open_sender(each) for each in settings.senders}
        self._anonymous = frozenset(each.id for each in settings.senders if each.anonymous)
        self._secrets = {"basic": list(_basic_secrets(settings.senders)), "bearer": list(_tokens(settings.senders))}
        self._signed_owners = _read_signed(settings.senders, fetch_jwks, clock)

    @property
    def senders(self) -> tuple[Sender, ...]:
        """Return every sender, in the order of the configuration."""
        return tuple(self._by_id.values())

    def find(self, sender_id: str) -> Sender | None:
        """Return the sender with this id, if it is (still) configured."""
        return self._by_id.get(sender_id)

    async def identify(self, senderid: str | None, authorization: str | None) -> Sender:
        """Return who is calling; raises NotAuthenticated, NotAllowed, or CannotTakeNow when a token cannot be checked.

        An empty senderid counts as left out. An unknown one and wrong credentials are answered alike.
        """
        named = (senderid or "").strip()
        if named in self._anonymous:
            return self._by_id[named]
        owners = await self._owners(authorization or "")
        return self._choose_named(named, owners) if named else self._choose_only(owners)

    async def _owners(self, authorization: str) -> frozenset[str]:
        """Return the ids of all senders whose credentials these are."""
        scheme, _, credentials = authorization.strip().partition(" ")
        kind = scheme.lower()
        presented = _digest_presented(kind, credentials.strip())
        # every secret is compared, found or not: the time taken tells nothing about which one came close
        matches = [hmac.compare_digest(secret.digest, presented) for secret in self._secrets.get(kind, ())]
        owners = frozenset(
            secret.sender for secret, same in zip(self._secrets.get(kind, ()), matches, strict=True) if same
        )
        if owners or kind != "bearer":
            return owners
        return await self._signed_owners(credentials.strip())

    def _choose_named(self, named: str, owners: frozenset[str]) -> Sender:
        """Return the named sender if the credentials are its own."""
        if named not in self._by_id:
            raise NotAuthenticated
        if named not in owners:
            raise NotAllowed if owners else NotAuthenticated
        return self._by_id[named]

    def _choose_only(self, owners: frozenset[str]) -> Sender:
        """Return the one sender it can be: the credentials' owner, else the one that needs no credentials."""
        candidates = owners or self._anonymous
        if not candidates:
            raise NotAuthenticated
        if len(candidates) > 1:
            raise NotAllowed(NAME_ONE)
        return self._by_id[next(iter(candidates))]


def _open_sender(settings: SenderSettings) -> Sender:
    """Return a sender without its secrets."""
    return Sender(
        id=settings.id,
        profile=settings.profile,
        organizations=settings.organizations,
        hold_seconds=settings.hold_seconds,
        batchid=settings.batchid,
        resend_window_hours=settings.resend_window_hours,
    )


def _digest(credential: bytes) -> bytes:
    """Return what is compared in place of a credential."""
    return hashlib.sha256(credential).digest()


def _digest_presented(kind: str, credentials: str) -> bytes:
    """Return the digest of what a caller sent; of nothing when it cannot be read."""
    if kind != "basic":
        return _digest(credentials.encode("utf-8", "surrogateescape"))
    try:
        return _digest(base64.b64decode(credentials, validate=True))
    except ValueError:
        return _digest(b"")


def _basic_secrets(senders: Iterable[SenderSettings]) -> Iterable[_Secret]:
    """Yield user names and passwords, in UTF-8 and, for old clients, in latin-1."""
    for sender in senders:
        if sender.basic is None:
            continue
        pair = f"{sender.basic.username}:{sender.basic.password.get_secret_value()}"
        spellings = {pair.encode(), pair.encode("latin-1")} if _is_latin(pair) else {pair.encode()}
        yield from (_Secret(_digest(spelling), sender.id) for spelling in sorted(spellings))


def _is_latin(text: str) -> bool:
    """Tell whether latin-1 can spell a text."""
    return all(ord(character) < 256 for character in text)


def _tokens(senders: Iterable[SenderSettings]) -> Iterable[_Secret]:
    """Yield fixed tokens."""
    return (_Secret(_digest(s.bearer.get_secret_value().encode()), s.id) for s in senders if s.bearer is not None)


def _read_signed(
    senders: Iterable[SenderSettings], fetch_jwks: FetchJwks, clock: Callable[[], float]
) -> Callable[[str], Awaitable[frozenset[str]]]:
    """Return what tells whose a signed token is; what it takes is loaded only where a sender has an issuer (9 MB)."""
    if not any(sender.jwt for sender in senders):
        return _nobody
    from bridge.senders.keys import KeyRing  # noqa: PLC0415 - see above
    from bridge.senders.tokens import TokenReader  # noqa: PLC0415 - see above

    return TokenReader(senders, KeyRing(fetch_jwks, clock)).owners


async def _nobody(_: str) -> frozenset[str]:
    return frozenset()
