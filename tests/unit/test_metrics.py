"""What operators read at GET /metrics."""

from __future__ import annotations

from bridge.batch import Address, Outcome, Verdict
from bridge.metrics import Metrics


def test_rows_are_counted_by_sender_and_verdict() -> None:
    """A finished batch adds its rows and its duration."""
    metrics = Metrics()
    verdicts = [Verdict.ACCEPTED, Verdict.ACCEPTED, Verdict.REFUSED]
    addresses = [Address("invoice", index) for index in range(3)]
    outcomes = {
        address: Outcome(address, verdict, "Kari Nordmann")
        for address, verdict in zip(addresses, verdicts, strict=True)
    }
    metrics.batch_finished("ERP-1", outcomes, 0.3)
    text = metrics.render().decode()
    assert 'bridge_rows_total{sender="ERP-1",verdict="accepted"} 2.0' in text
    assert 'bridge_rows_total{sender="ERP-1",verdict="refused"} 1.0' in text
    assert 'bridge_batch_seconds_bucket{le="0.5",sender="ERP-1"} 1.0' in text
    assert "Nordmann" not in text


def test_open_batches_are_counted_when_somebody_asks() -> None:
    """The gauge asks; nobody has to keep it up to date."""
    metrics, batches = Metrics(), ["a"]
    metrics.watch(open_batches=lambda: len(batches), pending_rows=lambda: 7, held_organizations=lambda: 1)
    batches.append("b")
    assert "bridge_open_batches 2.0" in metrics.render().decode()
    assert "bridge_pending_rows 7.0" in metrics.render().decode()
    assert "bridge_held_organizations 1.0" in metrics.render().decode()


def test_rows_in_doubt_are_shown_by_organization() -> None:
    """One that has none any more goes back to 0, so that an alert ends."""
    metrics = Metrics()
    metrics.rows_in_doubt({"org-a": 0, "org-b": 0})
    metrics.rows_in_doubt({"org-a": 3})
    assert 'bridge_rows_in_doubt{organization="org-a"} 3.0' in metrics.render().decode()
    assert 'bridge_rows_in_doubt{organization="org-b"} 0.0' in metrics.render().decode()
    metrics.rows_in_doubt({"org-c": 1})
    text = metrics.render().decode()
    assert 'bridge_rows_in_doubt{organization="org-a"} 0.0' in text
    assert 'bridge_rows_in_doubt{organization="org-c"} 1.0' in text


def test_two_bridges_in_one_process_count_for_themselves() -> None:
    """Nothing is registered globally."""
    one, other = Metrics(), Metrics()
    one.webhook_received("CASE", "taken")
    assert "taken" not in other.render().decode()
