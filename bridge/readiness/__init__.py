"""May an organization go to the modern system: evidence in, a report with GO or NO-GO and every reason out.

Pure: the same evidence gives the same report, byte for byte. `evidence` is what goes in, `report` what comes out;
`assessing` puts it together from `differences`, `traffic`, `coverage` and `reasons`; `describing` gives it to scripts,
`page` to people who were not there.
"""

from bridge.readiness.assessing import assess
from bridge.readiness.describing import describe_report
from bridge.readiness.evidence import Evidence, Part, Terms, Window
from bridge.readiness.page import render_page
from bridge.readiness.report import Reason, Report, Severity

__all__ = [
    "Evidence",
    "Part",
    "Reason",
    "Report",
    "Severity",
    "Terms",
    "Window",
    "assess",
    "describe_report",
    "render_page",
]
