"""Faults in action: what strikes before a request is carried out, and what strikes its answer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from aiohttp import web

from .answers import Dropped, Refused, respond_garbage, respond_refused
from .faults import Strikes
from .script import Fail, Fault, Garbage, Reset, Slow
from .stand_in import StandIn

Produce = Callable[[], web.Response]
"""Carries out the request; may raise Refused."""


async def play(stand_in: StandIn, strikes: Strikes, produce: Produce) -> web.Response:
    """Carry out a request with the faults that strike it, in script order. Raises Dropped and Refused."""
    for strike in strikes.all:
        early = await _strike_before(stand_in, strike.fault, strike.rows, produce)
        if early is not None:
            return early
    try:
        response = produce()
    except Refused as refusal:
        response = respond_refused(refusal, silent=stand_in.behaviour.error_body == "silent")
    for strike in strikes.all:
        response = await _strike_after(stand_in, strike.fault, strike.rows, response)
    return response


async def _strike_before(
    stand_in: StandIn, fault: Fault, rows: tuple[int, ...], produce: Produce
) -> web.Response | None:
    match fault:
        case Slow(when="before"):
            await stand_in.options.sleep(fault.seconds)
        case Reset(when="before"):
            raise Dropped
        case Reset(when="late"):
            stand_in.later(fault.seconds, lambda: _accept_unheard(produce))
            raise Dropped
        case Fail(when="before"):
            raise _failure(fault, rows)
        case Garbage(when="before"):
            return respond_garbage(fault.body, fault.status or 502, b'{"summary":{"status":"ERROR"}}')
        case _:
            pass
    return None


async def _strike_after(stand_in: StandIn, fault: Fault, rows: tuple[int, ...], response: web.Response) -> web.Response:
    match fault:
        case Slow(when="after"):
            await stand_in.options.sleep(fault.seconds)
        case Reset(when="after"):
            raise Dropped
        case Fail(when="after"):
            raise _failure(fault, rows)
        case Garbage(when="after"):
            proper = response.body if isinstance(response.body, bytes) else b""
            return respond_garbage(fault.body, fault.status or response.status, proper)
        case _:
            pass
    return response


def _accept_unheard(produce: Produce) -> None:
    """Carry out a request nobody waits for any more."""
    with contextlib.suppress(Refused):
        produce()


def _failure(fault: Fail, rows: tuple[int, ...]) -> Refused:
    headers = {} if fault.retry_after_seconds is None else {"Retry-After": str(fault.retry_after_seconds)}
    if not (fault.is_conditional and fault.tells_rows):
        return Refused(fault.status, fault.text, headers)
    field = next(iter(fault.where), "")
    errors = [{"index": index, "field": field, "message": fault.text} for index in rows]
    return Refused(fault.status, errors, headers)
