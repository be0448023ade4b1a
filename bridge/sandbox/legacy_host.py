"""A small stand-in for the legacy host: /webapi/api/Batch, Attachment and Ping, answered at once, in its own words."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from .answers import Dropped, Refused, break_connection, respond
from .faults import Strikes
from .legacy_books import LegacyCase, LegacySettlement
from .legacy_reading import LegacyBatch, Row, UnreadableError, read_batch, read_body, write_text
from .operations import LEGACY_BATCH, LEGACY_READ
from .play import Produce, play
from .request_log import Exchange
from .script import Refuse
from .stand_in import StandIn
from .wire import canonical, timestamp

CHALLENGE = {"WWW-Authenticate": 'Basic realm="AutoCollect"'}
UNREADABLE = {"title": "One or more validation errors occurred.", "status": 400}
NUMBER_DIGITS = 18


def legacy_routes(stand_in: StandIn) -> list[web.RouteDef]:
    """Return the routes of the legacy host; paths match in any letter case."""
    host = LegacyHost(stand_in)
    return [
        web.post("/{_:(?i:webapi/api/batch)/?}", host.post_batch),
        web.get("/{_:(?i:webapi/api/batch)/?}", host.get_batch, allow_head=False),
        web.route("*", "/{_:(?i:webapi/api/attachment)(/.*)?}", host.attachment),
        web.get("/{_:(?i:webapi/api/ping)/?}", host.ping),
    ]


class LegacyHost:
    """The handlers."""

    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in

    async def ping(self, _: web.Request) -> web.Response:
        """Say that the host is there."""
        return respond(200, {"status": "OK"})

    async def attachment(self, request: web.Request) -> web.Response:
        """Give back what was sent, or a few bytes of its own: it keeps no files."""
        return web.Response(body=await request.read() or b"%PDF-1.4 sandbox", content_type="application/pdf")

    async def post_batch(self, request: web.Request) -> web.StreamResponse:
        """Work a batch and answer it, in one go."""
        exchange = self._note(request, LEGACY_BATCH)
        if refusal := _challenge(request):
            return _close(exchange, refusal)
        try:
            body = await read_body(request)
            self._stand_in.log.keep_body(exchange, body)
            batch = read_batch(body)
        except UnreadableError:
            return _close(exchange, respond(400, UNREADABLE))
        exchange.rows = len(batch.rows)
        strikes = self._draw(exchange, [row.written for row in batch.rows])
        sender = _query(request).get("senderid", "")

        def answer() -> web.Response:
            return respond(200, self._work(sender, batch, strikes))

        return await self._play(request, exchange, strikes, answer)

    def _work(self, sender: str, batch: LegacyBatch, strikes: Strikes) -> dict[str, Any]:
        stand_in, behaviour = self._stand_in, self._stand_in.behaviour.legacy
        key = (sender, batch.batchid, hashlib.sha256(canonical(batch.fields)).hexdigest())
        if behaviour.resends == "repeat" and key in stand_in.legacy_answers:
            return stand_in.legacy_answers[key]
        refused = {row: fault.text for fault, struck in strikes.of(Refuse) for row in struck}
        reply = stand_in.legacy_books.work(batch, refused, behaviour, stand_in.now())
        if batch.batchid:
            stand_in.legacy_answers[key] = reply
        return reply

    async def get_batch(self, request: web.Request) -> web.StreamResponse:
        """Answer claims and settlements in the classic shape."""
        exchange = self._note(request, LEGACY_READ)
        if refusal := _challenge(request):
            return _close(exchange, refusal)
        query = _query(request)

        def answer() -> web.Response:
            return respond(200, self._read(query))

        return await self._play(request, exchange, self._draw(exchange, []), answer)

    def _read(self, query: Mapping[str, str]) -> dict[str, Any]:
        books, last = self._stand_in.legacy_books, _read_number(query.get("lastsettlementid", ""))
        cases = [one for one in books.cases if _is_meant(one, query)]
        numbers = {one.number for one in cases}
        settled = [one for one in books.settlements if one.number > last and one.case.number in numbers]
        return {
            "batchid": None,
            "offline": False,
            "creditor": [{"idnumber": name} for name in sorted({one.creditor for one in cases if one.creditor})],
            "case": [_render_case(one) for one in cases],
            "settlement": [_render_settlement(one) for one in settled],
        }

    def _note(self, request: web.Request, operation: str) -> Exchange:
        exchange = Exchange(self._stand_in.now(), operation, request.method, request.path, request.query_string)
        self._stand_in.log.append(exchange)
        return exchange

    def _draw(self, exchange: Exchange, rows: Sequence[Row]) -> Strikes:
        strikes = self._stand_in.deck.draw(exchange.operation, rows)
        exchange.faults = strikes.names
        return strikes

    async def _play(
        self, request: web.Request, exchange: Exchange, strikes: Strikes, answer: Produce
    ) -> web.StreamResponse:
        try:
            return _close(exchange, await play(self._stand_in, strikes, answer))
        except Refused as refusal:
            message = str(refusal.errors[0].get("message", ""))
            error = {"objectname": "batch", "objectindex": 0, "message": message}
            body = {"statuscode": 2, "errors": [error], "responses": []}
            return _close(exchange, respond(refusal.status, body, refusal.headers))
        except Dropped:
            break_connection(request)
            return web.Response(status=500)  # goes nowhere: the connection is gone


def _close(exchange: Exchange, response: web.Response) -> web.Response:
    exchange.status = response.status
    return response


def _challenge(request: web.Request) -> web.Response | None:
    """Refuse a caller without credentials; any will do."""
    return None if request.headers.get("Authorization") else web.Response(status=401, headers=CHALLENGE)


def _query(request: web.Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.query.items()}


def _read_number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= NUMBER_DIGITS else 0


def _is_meant(case: LegacyCase, query: Mapping[str, str]) -> bool:
    """Tell whether a claim fits what was asked for; a parameter that is empty asks for nothing."""
    known = {
        "creditorid": case.creditor,
        "ledgerref": case.ledgerref,
        "customerref": write_text(case.row.get("customerref")),
    }
    return all(query.get(name, "") in {"", value} for name, value in known.items())


def _render_case(case: LegacyCase) -> dict[str, Any]:
    row = case.row
    return {
        "customerref": row.get("customerref"),
        "ledgerref": case.ledgerref,
        "referencenumber": row.get("invoicenumber"),
        "casenumber": str(case.number),
        "currencycode": row.get("currency"),
        "regdate": timestamp(case.opened_at),
        "duedate": row.get("duedate"),
        "originalsum": case.original,
        "paidsum": case.paid,
        "remainingsum": case.remaining,
        "status_statuscode": "OPEN",
        "history": [],
    }


def _render_settlement(settlement: LegacySettlement) -> dict[str, Any]:
    return {
        "settlementid": str(settlement.number),
        "creditorid": settlement.case.creditor,
        "ledgerref": settlement.case.ledgerref,
        "casenumber": str(settlement.case.number),
        "amount": settlement.amount,
        "settlementdate": timestamp(settlement.settled_at),
    }
