"""What operators read at GET /metrics, in Prometheus text format. Labels: senders, organizations, verdicts, routes."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from bridge.batch import Address, Outcome
from bridge.logs import LossyStream
from bridge.modes import Mode, Switch
from bridge.steering.switchboard import share_of

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 300, 3600)


class _Figures:
    """All of them, each under its own name."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=self.registry)

    def gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(name, meaning, labels, registry=self.registry)


class _Passing:
    """Who answers calls, who is switched, and what is kept of the legacy host's answers."""

    def __init__(self, figures: _Figures) -> None:
        self.left_out = figures.counter(
            "bridge_exchanges_left_out_total", "Legacy answers there was no room to look at"
        )
        self.recorded = figures.gauge("bridge_recorded_exchanges", "Exchanges recorded since the start", "result")
        self.shares = figures.gauge(
            "bridge_mode_percent", "Creditors of an organization in a mode, of 100", "organization", "mode"
        )
        self.switches_age = figures.gauge("bridge_switches_age_seconds", "How long ago the switches were read")
        self.trips = figures.counter(
            "bridge_guardrail_trips_total", "Organizations switched back by this replica", "organization"
        )
        self.went = figures.counter(
            "bridge_ways_total", "Calls by the way they went: legacy, split or modern", "route", "sender", "way"
        )
        self.notes_lost = figures.counter(
            "bridge_passed_notes_lost_total", "Batches that went to the legacy host and could not be noted"
        )


class Metrics:
    """The bridge's counters; also what the pipeline reports to."""

    def __init__(self) -> None:
        # they double the page and nobody reads them; the library leaves the function untyped
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._figures = figures = _Figures()
        self._passing = _Passing(figures)
        self._found: dict[tuple[Counter, tuple[str, ...]], Counter] = {}
        self._requests = figures.counter("bridge_http_requests_total", "Answered requests", "route", "status")
        self._batches = figures.counter("bridge_batches_total", "Legacy batches journalled", "sender")
        self._rows = figures.counter("bridge_rows_total", "Rows with a final verdict", "sender", "verdict")
        self._finishing = Histogram(
            "bridge_batch_seconds",
            "From receiving a batch to its final answer",
            ("sender",),
            buckets=SECONDS_BUCKETS,
            registry=figures.registry,
        )
        self._open = figures.gauge("bridge_open_batches", "Batches without a final answer")
        self._pending = figures.gauge("bridge_pending_rows", "Rows at work here without a final verdict")
        self._doubts = figures.gauge("bridge_rows_in_doubt", "Rows in doubt in the whole journal", "organization")
        self._in_doubt: dict[str, int] = {}
        self._held = figures.gauge("bridge_held_organizations", "Organizations nothing is written to at the moment")
        lost = figures.gauge("bridge_log_lines_lost", "Log lines that could not be written")
        lost.set_function(lambda: LossyStream.lost)
        self._webhooks = figures.counter(
            "bridge_webhooks_total", "Webhooks received, by what became of them", "event", "result"
        )
        self._reads = figures.counter("bridge_reads_total", "Claims and settlements read back", "sender", "result")
        self._looks = figures.counter(
            "bridge_reading_cache_total", "Looks for what was read lately of an organization", "kind", "result"
        )

    def _count(self, counter: Counter, *labels: str) -> None:
        """Count one; what is counted with every request is found again without the library's lock."""
        key = (counter, labels)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = counter.labels(*labels)
        found.inc()

    def watch(
        self,
        *,
        open_batches: Callable[[], int],
        pending_rows: Callable[[], int],
        held_organizations: Callable[[], int],
    ) -> None:
        """Read these numbers whenever somebody asks."""
        self._open.set_function(open_batches)
        self._pending.set_function(pending_rows)
        self._held.set_function(held_organizations)

    def watch_switches(self, age_seconds: Callable[[], float]) -> None:
        """Read how old the known switches are whenever somebody asks."""
        self._passing.switches_age.set_function(age_seconds)

    def mode_set(self, switch: Switch) -> None:
        """Show how an organization's rows go."""
        for mode in Mode:
            self._passing.shares.labels(switch.organization, mode.value).set(share_of(switch, mode))

    def guardrail_tripped(self, organization: str) -> None:
        """Count an organization that was switched back here."""
        self._passing.trips.labels(organization).inc()

    def rows_in_doubt(self, by_organization: Mapping[str, int]) -> None:
        """Set how many rows are in doubt; an organization left out has none, and stays in sight once it was shown."""
        self._in_doubt = dict.fromkeys(self._in_doubt, 0) | dict(by_organization)
        for organization, count in self._in_doubt.items():
            self._doubts.labels(organization).set(count)

    def exchange_left_out(self) -> None:
        """Count an exchange with the legacy host that there was no room to look at."""
        self._passing.left_out.inc()

    def watch_recording(self, written: Callable[[], int], dropped: Callable[[], int]) -> None:
        """Read how many exchanges were recorded, and how many could not be, whenever somebody asks."""
        self._passing.recorded.labels("written").set_function(written)
        self._passing.recorded.labels("dropped").set_function(dropped)

    def request_answered(self, route: str, status: int) -> None:
        """Count an answered request."""
        self._count(self._requests, route, str(status))

    def webhook_received(self, event: str, result: str) -> None:
        """Count a webhook; `event` is one of few names (`hooks.label_event`)."""
        self._webhooks.labels(event, result).inc()

    def read_answered(self, sender: str, result: str) -> None:
        """Count a call that reads back: `answered`, `refused` or `failed`."""
        self._reads.labels(sender, result).inc()

    def reading_looked_up(self, kind: str, result: str) -> None:
        """Count a look for what was read lately: `hit`, `joined` or `miss`."""
        self._looks.labels(kind, result).inc()

    def went(self, route: str, sender: str, way: str) -> None:
        """Count a call (`batch` or `read`) and the way it went; no sender: one that the bridge does not know."""
        self._count(self._passing.went, route, sender, way)

    def notes_lost(self, count: int) -> None:
        """Count batches that went to the legacy host, and nothing will tell it later."""
        self._passing.notes_lost.inc(count)

    def batch_taken(self, sender: str, rows: int) -> None:  # noqa: ARG002 - rows are counted with their verdict
        """Count a journalled batch."""
        self._batches.labels(sender).inc()

    def batch_finished(self, sender: str, outcomes: Mapping[Address, Outcome], seconds: float) -> None:
        """Count the rows of a finished batch."""
        for verdict, count in Tally(outcome.verdict.value for outcome in outcomes.values()).items():
            self._rows.labels(sender, verdict).inc(count)
        self._finishing.labels(sender).observe(seconds)

    def render(self) -> bytes:
        """Return all figures as Prometheus text."""
        return generate_latest(self._figures.registry)
