"""A write that something on the way sent twice: the second answer speaks of the first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Invoice = Callable[..., dict[str, Any]]


async def test_a_conflict_with_its_own_echo_is_no_refusal(open_world: Any, invoice: Invoice) -> None:
    """409 to a first attempt, while the lists do not show yet that it was accepted: the payment is booked, once."""
    async with open_world(settle_seconds=0.5, request_timeout_seconds=1) as world:
        assert (await world.post({"invoice": [invoice("1")]})).code == 0
        echo = {"operation": "payments", "kind": "fail", "status": 409, "when": "after", "times": 1}
        world.sandbox.play({"behaviour": {"lists_lag_seconds": 0.3}, "fault": [echo]})
        reply = await world.post({"payment": [{"invoiceNumber": "1", "amount": 100, "uniqueSourcePaymentId": "p1"}]})
        assert reply.states == {("payment", 0): "OK"}
        assert world.accepted("payments") == {"p1": 1}
        assert len(world.writes("payments")) == 1
