"""Access tokens: given out for a client's id and secret, good until they expire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .ids import Ids, derived_uuid


class TokenRefused(Exception):
    """No token for this request: HTTP status and an OAuth error code (RFC 6749, 5.2)."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass(slots=True)
class TokenOffice:
    """Gives out tokens and knows them again."""

    ids: Ids
    clients: Mapping[str, str] = field(repr=False)
    """client_id → client_secret; empty: any that are not empty."""
    lifetime_seconds: float
    issued: int = 0
    _expiry: dict[str, tuple[float, str]] = field(default_factory=dict, repr=False)
    """Token → (expires at, client), oldest first."""

    def issue(self, form: Mapping[str, Any], now: float) -> dict[str, Any]:
        """Answer a token request; raise TokenRefused."""
        if form.get("grant_type") != "client_credentials":
            raise TokenRefused(400, "unsupported_grant_type")
        client, secret = str(form.get("client_id", "")), str(form.get("client_secret", ""))
        if not client or not secret or (self.clients and self.clients.get(client) != secret):
            raise TokenRefused(401, "invalid_client")
        self._forget_expired(now)
        token = self.ids.new_token()
        self._expiry[token] = (now + self.lifetime_seconds, client)
        self.issued += 1
        return {
            "access_token": token,
            "token_type": "Bearer",
            "not_before": int(now),
            "expires_in": int(self.lifetime_seconds),
            "expires_on": int(now + self.lifetime_seconds),
            "resource": derived_uuid("resource"),
        }

    def client_of(self, authorization: str, now: float) -> str | None:
        """Return the client a bearer header speaks for; None when the token is missing, unknown or expired."""
        scheme, _, token = authorization.partition(" ")
        expires_at, client = self._expiry.get(token.strip(), (0.0, ""))
        return client if scheme.lower() == "bearer" and now < expires_at else None

    def revoke_all(self) -> None:
        """Make every token given out so far invalid at once."""
        self._expiry.clear()

    def _forget_expired(self, now: float) -> None:
        for token in [token for token, (expires_at, _) in self._expiry.items() if expires_at <= now]:
            del self._expiry[token]
