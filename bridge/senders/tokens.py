"""Signed tokens (JWT): whose are they, and are they genuine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import jwt
from jwt.types import Options

from bridge.senders.keys import ALGORITHMS, KeyRing
from bridge.settings import JwtSettings, SenderSettings

LEEWAY_SECONDS = 30
MAX_LENGTH = 16_384
UNVERIFIED: Options = {"verify_signature": False}
UNREADABLE = (jwt.PyJWTError, ValueError, RecursionError)
"""What a token made to do harm can raise: odd characters, endless nesting."""


class TokenReader:
    """Reads tokens for all senders that have an issuer; senders of one issuer share one check."""

    def __init__(self, senders: Iterable[SenderSettings], keys: KeyRing) -> None:
        self._keys = keys
        self._jwt = jwt.PyJWT(options={"enforce_minimum_key_length": True})
        self._senders: defaultdict[JwtSettings, set[str]] = defaultdict(set)
        for sender in senders:
            if sender.jwt is not None:
                self._senders[sender.jwt].add(sender.id)

    async def owners(self, token: str) -> frozenset[str]:
        """Return the ids of the senders a token speaks for; empty when it is not genuine, or not a token at all."""
        if not self._senders or token.count(".") != 2 or len(token) > MAX_LENGTH:
            return frozenset()
        try:
            # read unverified, and only to ask no issuer about a token of another
            issuer = self._jwt.decode(token, options=UNVERIFIED).get("iss")
            header = jwt.get_unverified_header(token)
        except UNREADABLE:
            return frozenset()
        rules = [rule for rule in self._senders if rule.issuer == issuer]
        claimed = [(rule, await self._read_claim(rule, token, header)) for rule in rules]
        return frozenset(sender for rule, sender in claimed if sender in self._senders[rule])

    async def _read_claim(self, rule: JwtSettings, token: str, header: dict[str, Any]) -> str:
        """Return the value of the claim that names the sender, from a token that passes the rule; else nothing."""
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            return ""
        key = await self._keys.find(rule.jwks_url, str(header.get("kid", "")), algorithm)
        if key is None:
            return ""
        try:
            claims = self._jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=rule.audience,
                issuer=rule.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", rule.claim]},
            )
        except UNREADABLE:
            return ""
        value = claims[rule.claim]
        return value if isinstance(value, str) else ""
