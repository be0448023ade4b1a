"""What speaks against a switch to modern that was made all the same: people decide, and should know."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from bridge.cli.journals import read_books
from bridge.cli.options import LOOK_BACK_DAYS
from bridge.cli.readying import make_report
from bridge.readiness import Report, Severity, Window
from bridge.settings import OrganizationSettings, Settings
from bridge.steering.observing import Topic

MOST_REASONS = 3


def find_misgivings(settings: Settings, organization: OrganizationSettings, at: float) -> Iterator[str]:
    """Yield why `bridge ready` would say NO-GO at a moment (Unix seconds): its first reasons, and where to see more.

    Nothing where readiness has no meaning, as nothing was ever seen of the legacy host. Never raises: a switch that was
    made does not fail for this.
    """
    if settings.legacy.base_url is None:
        return
    window = Window(datetime.fromtimestamp(at, UTC).date(), LOOK_BACK_DAYS)
    try:
        if not read_books(settings, lambda books: books.observations(organization.id, 0.0, (Topic.PAIR,))):
            return
        report = make_report(settings, organization, window)
    except Exception as error:  # noqa: BLE001 - whatever it is, the switch stands
        first = next(iter(str(error).splitlines()), "") or type(error).__name__
        yield f"Whether it is ready could not be found out ({first}). Put that right; then: bridge ready ORG"
        return
    if not report.is_go:
        yield from _tell(report)


def _tell(report: Report) -> Iterator[str]:
    reasons = [reason.what for reason in report.reasons if reason.severity is Severity.BLOCKS]
    count = "1 reason" if len(reasons) == 1 else f"{len(reasons)} reasons"
    yield f"NO-GO: `bridge ready` has {count} against it. It was switched all the same: you decide."
    for what in reasons[:MOST_REASONS]:
        yield f"- {what}"
    yield f"With details, and what to do about each: bridge ready {report.organization}"
