"""What many comparisons come to: pairs, rows in their three buckets, the tree of differences, and the use of rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date

from bridge.batch import Address
from bridge.comparing.rules import Rule, Rules
from bridge.comparing.tree import Tree
from bridge.comparing.values import Bucket, Comparison


class Findings:
    """What was found so far. Pairs are counted one by one; nothing but counts and a few samples is kept."""

    def __init__(self) -> None:
        self.tree = Tree()
        self.batches: Counter[Bucket] = Counter()
        """Pairs, by what is made of the batch as a whole, its rows left aside."""
        self.rows: Counter[tuple[str, Bucket]] = Counter()
        """Rows, by organization and bucket."""
        self.not_predicted = 0
        """Excused rows about which nobody could tell."""
        self.excuses: Counter[str] = Counter()
        """How often each rule, or `noise`, excused a difference."""
        self.failed_excuses: Counter[str] = Counter()
        """How often a rule no longer did: `expired: <id>`, `breached: <id>`."""

    def take(
        self,
        comparison: Comparison,
        organization_of: Callable[[Address | None], str],
        source: str = "",
        only: str | None = None,
    ) -> None:
        """Count one comparison; with `only`, nothing but this organization's part of it."""
        if only is None or organization_of(None) == only:
            self.batches[comparison.whole] += 1
        for address, bucket in comparison.rows.items():
            organization = organization_of(address)
            if only is None or organization == only:
                self.rows[organization, bucket] += 1
                self.not_predicted += address in comparison.not_predicted
        for one in comparison.differences:
            organization = organization_of(one.address)
            if only is not None and organization != only:
                continue
            self.tree.add(organization, one, source=source)
            if one.excuse:
                (self.excuses if one.bucket is Bucket.EXCUSED else self.failed_excuses)[one.excuse] += 1

    def rows_in(self, bucket: Bucket) -> int:
        """Return how many rows are in a bucket."""
        return sum(count for (_, found), count in self.rows.items() if found is bucket)

    @property
    def differs(self) -> bool:
        """Tell whether anything differs without excuse."""
        return bool(self.rows_in(Bucket.DIFFERENT) or self.batches[Bucket.DIFFERENT])

    def used(self, rules: Rules) -> list[tuple[Rule, int]]:
        """Return the rules that excused something, and how often."""
        return [(rule, self.excuses[rule.id]) for rule in rules.rules if self.excuses[rule.id]]

    def unused(self, rules: Rules, on: date) -> list[Rule]:
        """Return the rules that hold and excused nothing."""
        return [rule for rule in rules.rules if rule.expires >= on and not self.excuses[rule.id]]

    def expired(self, rules: Rules, on: date) -> Sequence[tuple[Rule, int]]:
        """Return the rules that hold no more, and how often each would have excused something."""
        return [(rule, self.failed_excuses[f"expired: {rule.id}"]) for rule in rules.rules if rule.expires < on]
