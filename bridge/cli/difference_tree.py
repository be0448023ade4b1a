"""A tree of differences for people: one branch a segment of the path, counts by kind and bucket, origins, samples."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text
from rich.tree import Tree as RichTree

from bridge.cli.screen import Screen
from bridge.comparing import Branch, Bucket, Kind, Leaf, Sample, Tree
from bridge.comparing.tree import Line

STYLES = {Bucket.DIFFERENT: "bold red", Bucket.EXCUSED: "yellow", Bucket.SAME: ""}
LONGEST_VALUE = 80


def write_tree(screen: Screen, tree: Tree, organization: str | None = None) -> None:
    """Show where answers differ; None: of all organizations."""
    for branch in tree.branches(organization).below.values():
        screen.tree(_grow(branch, RichTree(_head(branch), guide_style="dim")))


def _grow(branch: Branch, node: RichTree) -> RichTree:
    for text in _tell(branch.leaf) if branch.leaf is not None else ():
        node.add(text)
    for below in branch.below.values():
        _grow(below, node.add(_head(below)))
    return node


def _head(branch: Branch) -> Text:
    """Name a branch and say what is below it; of a field that differs in one way only, say all of it."""
    text = Text()
    text.append(branch.name, style="bold")
    if branch.leaf is not None and not branch.below and len(branch.leaf.lines) == 1:
        return text.append(": ").append_text(_tell_line(branch.leaf.lines[0]))
    for number, ((bucket, kind), count) in enumerate(sorted(_count(branch).items())):
        text.append(", " if number else ": ").append(f"{count:,} {bucket} ({kind})", style=STYLES[bucket])
    return text


def _count(branch: Branch) -> dict[tuple[Bucket, Kind], int]:
    return {(bucket, kind): count for (kind, bucket), count in branch.counts.items()}


def _tell(leaf: Leaf) -> Iterator[Text]:
    if len(leaf.lines) > 1:
        yield from map(_tell_line, leaf.lines)
    for sample in leaf.samples:
        yield _tell_sample(sample)


def _tell_line(line: Line) -> Text:
    sort = line.sort
    text = Text()
    excuse = f"; {sort.excuse}" if sort.excuse else ""
    text.append(f"{line.count:,} {sort.bucket} ({sort.kind}{excuse})", style=STYLES[sort.bucket])
    if sort.origin:
        text.append(f"  ← {sort.origin}", style="cyan")
    return text


def _tell_sample(sample: Sample) -> Text:
    place = "batch" if sample.address is None else str(sample.address)
    values = f"{_clip(sample.legacy)} → {_clip(sample.bridge)}"
    return Text(f"e.g. {sample.source} {place}: {values}".replace("  ", " "), style="dim")


def _clip(text: str) -> str:
    if not text:
        return "(nothing)"
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"
