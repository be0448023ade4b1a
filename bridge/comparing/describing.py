"""Rules and trees as JSON documents, for scripts and reports."""

from __future__ import annotations

from typing import Any

from bridge.comparing.rules import Rule
from bridge.comparing.tree import Leaf, Sample, Tree


def describe_rule(rule: Rule) -> dict[str, Any]:
    """Return what a rule says, without its kinds and limits."""
    return {
        "id": rule.id,
        "path": rule.path,
        "does": rule.does,
        "organization": rule.organization,
        "owner": rule.owner,
        "reason": rule.reason,
        "expires": rule.expires.isoformat(),
    }


def describe_tree(tree: Tree, organization: str | None = None) -> list[dict[str, Any]]:
    """Return every field that differs, in the order of a reply; the same tree gives the same document."""
    return [_describe_leaf(leaf) for leaf in tree.leaves(organization)]


def _describe_leaf(leaf: Leaf) -> dict[str, Any]:
    return {
        "path": leaf.path,
        "count": leaf.count,
        "kinds": [
            {
                "kind": line.sort.kind,
                "bucket": line.sort.bucket,
                "excuse": line.sort.excuse,
                "origin": line.sort.origin,
                "count": line.count,
            }
            for line in leaf.lines
        ],
        "organizations": leaf.organizations,
        "samples": [_describe_sample(sample) for sample in leaf.samples],
    }


def _describe_sample(sample: Sample) -> dict[str, Any]:
    address = sample.address
    return {
        "pair": sample.source,
        "organization": sample.organization,
        "objectname": None if address is None else address.objectname,
        "objectindex": None if address is None else address.objectindex,
        "kind": sample.kind,
        "bucket": sample.bucket,
        "legacy": sample.legacy,
        "bridge": sample.bridge,
    }
