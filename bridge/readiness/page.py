"""The report as one page: no network, no scripts; for people who decide and were not there."""

from __future__ import annotations

from collections import Counter

from bridge.comparing import Bucket
from bridge.readiness.chapters import write_coverage, write_differences, write_rules, write_switches
from bridge.readiness.markup import bullets, count, fold, section, text
from bridge.readiness.plots import HATCH, Series, plot, share
from bridge.readiness.report import Reason, Report, Severity
from bridge.readiness.style import STYLE

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_CHAPTERS = (
    ("reasons", "Reasons"),
    ("rows", "Rows"),
    ("differences", "Differences"),
    ("coverage", "Mapping files"),
    ("rules", "Rules"),
    ("switches", "Switches"),
)
_CLASSES = {Severity.BLOCKS: "blocks", Severity.LOOK: "look", Severity.NOTE: "note"}
_TOLD = ((Severity.BLOCKS, "against it"), (Severity.LOOK, "to look at"), (Severity.NOTE, "to know"))
_BUCKETS = (
    "Of each row the legacy answer was held against the bridge's. Same: they agree. Excused: they differ, and a rule "
    "with owner, reason and expiry allows it, or nobody could tell. Different: they differ, and nothing allows it."
)
MOST_OPEN = 8
"""A list that is longer is folded."""


def render_page(report: Report) -> str:
    """Return the page; the same report gives the same one."""
    title = f"{report.verdict}: {report.title}"
    return "\n".join(
        (
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="robots" content="noindex">',
            f"<title>{text(title)}</title>",
            f"<style>\n{STYLE}\n</style>",
            "</head>",
            "<body>",
            HATCH,
            _write_head(report),
            "<main>",
            section("reasons", "Reasons", *_write_reasons(report)),
            section("rows", "Rows compared", _write_rows(report)),
            section("differences", "Where the answers differ", write_differences(report)),
            section("coverage", "What real traffic exercised of the mapping files", write_coverage(report)),
            section("rules", "Rules for expected differences", write_rules(report)),
            section("switches", "Switches in these days", write_switches(report)),
            "</main>",
            '<footer><p class="quiet">Personal data in samples is replaced by pseudonyms. Times are UTC.</p></footer>',
            "</body>",
            "</html>",
            "",
        )
    )


def _write_head(report: Report) -> str:
    window = report.window
    style = "go" if report.is_go else "no-go"
    links = bullets(f'<a href="#{name}">{text(title)}</a>' for name, title in _CHAPTERS)
    return (
        f"<header>\n<h1>May {text(report.name or report.organization)} go to the modern system?</h1>\n"
        f'<p class="quiet">Organization {text(report.organization)}, in mode {text(report.current.describe())}; '
        f"{window.first.isoformat()} to {window.on.isoformat()}.</p>\n"
        f'<div class="verdict {style}"><strong>{report.verdict}</strong><p>{_summary(report)}</p></div>\n'
        f'<nav aria-label="Chapters">{links}</nav>\n</header>'
    )


def _summary(report: Report) -> str:
    found = Counter(reason.severity for reason in report.reasons)
    told = [f"{found[severity]} {what}" for severity, what in _TOLD if found[severity]]
    return text(f"{', '.join(told) or 'No reason against it'}; {count(report.traffic.total('rows'))} rows compared.")


def _write_reasons(report: Report) -> list[str]:
    return [_write_reason(reason) for reason in report.reasons] or ["<p>Nothing speaks against it.</p>"]


def _write_reason(reason: Reason) -> str:
    details = ""
    if reason.details:
        is_short = len(reason.details) <= MOST_OPEN
        details = fold(f"{count(len(reason.details))} in detail", bullets(map(text, reason.details)), is_open=is_short)
    return (
        f'<article class="reason {_CLASSES[reason.severity]}">\n<span class="severity">{reason.severity}</span>\n'
        f'<h3>{text(reason.what)}</h3>\n<p class="quiet">{text(reason.do)}</p>\n{details}\n</article>'
    )


def _write_rows(report: Report) -> str:
    traffic = report.traffic
    moments = [span.label for span in traffic.spans]
    buckets = [Series(bucket, bucket, [getattr(span, bucket) for span in traffic.spans]) for bucket in Bucket]
    total = traffic.total("rows")
    cards = "".join(
        f'<div class="{one.name}"><dt>{one.name}</dt><dd>{count(sum(one.values))}'
        f"{f' <small>({100 * sum(one.values) / total:.2f} %)</small>' if total else ''}</dd></div>"
        for one in buckets
    )
    each = "hour" if traffic.by_hour else "day"
    exchanges = [
        Series("compared", "same", [span.compared for span in traffic.spans]),
        Series("left out or unreadable", "different", [span.missed for span in traffic.spans]),
    ]
    return "\n".join(
        (
            f'<dl class="buckets">{cards}</dl>',
            f'<p class="quiet">{_BUCKETS}</p>',
            share("shares", "How all rows are divided", buckets),
            plot("rows-plot", f"Rows by {each}", moments, buckets),
            plot("exchanges-plot", f"Exchanges with the legacy host by {each}", moments, exchanges),
        )
    )
