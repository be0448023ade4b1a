"""Plots over time as SVG: bars put on top of one another, one for each hour or day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.readiness.markup import count, fold, table, text

WIDTH, HEIGHT = 760, 200
LEFT, RIGHT, TOP, BOTTOM = 70, 10, 12, 28
LABELS = 7
"""About how many moments are written below a plot."""


@dataclass(frozen=True, slots=True)
class Series:
    """One kind of thing that is counted."""

    name: str
    style: str
    """Class of its bars."""
    values: Sequence[int]


def plot(name: str, title: str, moments: Sequence[str], series: Sequence[Series]) -> str:
    """Return a plot with its legend, and the same figures as a table; `name` is unique on the page."""
    highest = max((sum(values) for values in zip(*(one.values for one in series), strict=True)), default=0)
    totals = ", ".join(f"{one.name} {count(sum(one.values))}" for one in series)
    head = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{name}-title {name}-text">\n'
        f'<title id="{name}-title">{text(title)}</title>\n<desc id="{name}-text">{text(totals)}</desc>'
    )
    svg = "\n".join((head, _axes(moments, highest), *_bars(moments, series, highest), "</svg>"))
    figures = table(
        title,
        ("UTC", *(one.name for one in series)),
        [
            (text(moment), *(count(one.values[index]) for one in series))
            for index, moment in enumerate(moments)
            if any(one.values[index] for one in series)
        ],
        numbers=range(1, len(series) + 1),
    )
    caption = f"<figcaption>{text(title)} {_legend(series)}</figcaption>"
    return f"<figure>\n{caption}\n{svg}\n{fold('As a table', figures)}\n</figure>"


def share(name: str, title: str, series: Sequence[Series]) -> str:
    """Return one bar that shows how a whole is divided."""
    total = sum(sum(one.values) for one in series)
    parts, x = [], 0.0
    for one in series:
        width = 100 * sum(one.values) / total if total else 0
        parts.append(f'<rect class="{one.style}" x="{x:.3f}" y="0" width="{width:.3f}" height="4"/>')
        x += width
    inner = "\n".join(parts)
    return (
        '<svg class="share" viewBox="0 0 100 4" preserveAspectRatio="none" role="img" '
        f'aria-labelledby="{name}-title">\n'
        f'<title id="{name}-title">{text(title)}</title>\n{inner}\n</svg>'
    )


HATCH = (
    '<svg class="hatching" width="0" height="0" aria-hidden="true"><defs>'
    '<pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect class="hatch-ground" width="5" height="5"/><line class="hatch-line" x1="0" y1="0" x2="0" y2="5"/>'
    "</pattern></defs></svg>"
)
"""To stand once on the page: what differs is hatched, so that nobody needs colours to see it."""


def _bars(moments: Sequence[str], series: Sequence[Series], highest: int) -> list[str]:
    step = (WIDTH - LEFT - RIGHT) / max(len(moments), 1)
    bars = []
    for index, moment in enumerate(moments):
        values = [(one, one.values[index]) for one in series if one.values[index]]
        if not values:
            continue
        told = ", ".join(f"{one.name} {count(value)}" for one, value in values)
        parts, bottom = [f"<g><title>{text(f'{moment}: {told}')}</title>"], float(HEIGHT - BOTTOM)
        for one, value in values:
            height = value * (HEIGHT - TOP - BOTTOM) / highest
            bottom -= height
            x = LEFT + index * step + step * 0.1
            place = f'x="{x:.2f}" y="{bottom:.2f}" width="{step * 0.8:.2f}" height="{height:.2f}"'
            parts.append(f'<rect class="{one.style}" {place}/>')
        bars.append("".join(parts) + "</g>")
    return bars


def _axes(moments: Sequence[str], highest: int) -> str:
    ground = HEIGHT - BOTTOM
    step = (WIDTH - LEFT - RIGHT) / max(len(moments), 1)
    every = -(-len(moments) // LABELS) or 1
    labels = [
        f'<text x="{LEFT + (index + 0.5) * step:.2f}" y="{HEIGHT - 8}" text-anchor="middle">{text(moment[5:])}</text>'
        for index, moment in enumerate(moments)
        if index % every == 0
    ]
    return "\n".join(
        (
            f'<line class="axis" x1="{LEFT}" y1="{ground}" x2="{WIDTH - RIGHT}" y2="{ground}"/>',
            f'<line class="grid" x1="{LEFT}" y1="{TOP}" x2="{WIDTH - RIGHT}" y2="{TOP}"/>',
            f'<text x="{LEFT - 6}" y="{TOP + 4}" text-anchor="end">{count(highest)}</text>',
            f'<text x="{LEFT - 6}" y="{ground}" text-anchor="end">0</text>',
            *labels,
        )
    )


def _legend(series: Sequence[Series]) -> str:
    return " ".join(
        f'<span class="key"><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="{one.style}" width="10" '
        f'height="10"/></svg> {text(one.name)}</span>'
        for one in series
    )
