"""Ids that each system generates: the values differ, and still the same ones must always come together."""

from __future__ import annotations

PAIRS_REMEMBERED = 250_000
"""How many pairs are remembered at least, of all rules and organizations together; older ones are forgotten."""


class References:
    """Which legacy value came with which value of the bridge.

    Only digests are kept, about 170 bytes a pair, in two generations: when the younger one is full, the older one goes.
    """

    def __init__(self, most: int = PAIRS_REMEMBERED) -> None:
        self._most = most
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}

    def agree(self, rule: str, organization: str, legacy: str, bridge: str) -> bool:
        """Note a pair; tell whether neither value ever came with another one, within the rule and organization."""
        left = hash((rule, organization, "legacy", legacy))
        right = hash((rule, organization, "bridge", bridge))
        partner, other = self._find(left), self._find(right)
        if partner is None and other is None:
            self._keep(left, right)
            return True
        return (partner, other) == (right, left)

    def _find(self, value: int) -> int | None:
        found = self._young.get(value)
        return self._old.get(value) if found is None else found

    def _keep(self, left: int, right: int) -> None:
        if len(self._young) >= 2 * self._most:
            self._old, self._young = self._young, {}
        self._young[left] = right
        self._young[right] = left
