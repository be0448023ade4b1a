"""The modern API over HTTP: token, writes, reads. Every request is logged, and may be struck by a fault."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from .acceptance import Call, accept
from .answers import Dropped, Refused, break_connection, respond, respond_refused
from .books import Account
from .faults import Strikes
from .ids import derived_uuid
from .operations import BASE_PATH, LISTS, READS, TOKEN, WRITES, Write
from .paging import BadPageToken, Place, read_token
from .play import play
from .reads import answer_read, read_query
from .request_log import Exchange
from .script import Circle
from .stand_in import StandIn
from .strict import is_uuid
from .tokens import TokenRefused
from .wire import NotJsonError, decode

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class _Arrival:
    """One request, whom it reached, and what the log says of it."""

    stand_in: StandIn
    request: web.Request
    exchange: Exchange


_Answer = Callable[[_Arrival], Awaitable[web.Response]]


def api_routes(stand_in: StandIn) -> list[web.RouteDef]:
    """Return the routes of the API and of its token service."""
    below = BASE_PATH + "/orgs/{organizationId}"
    writes = [web.post(below + write.path, _endpoint(stand_in, write.name, _writer(write))) for write in WRITES]
    reads = [
        web.get(below + path, _endpoint(stand_in, name, _reader(name)), allow_head=False)
        for name, path in READS.items()
    ]
    return [web.post("/token", _endpoint(stand_in, TOKEN, _answer_token)), *writes, *reads]


def _endpoint(stand_in: StandIn, operation: str, answer: _Answer) -> Handler:
    """Wrap an answer with what all have in common: the log, error bodies, broken connections."""

    async def handle(request: web.Request) -> web.Response:
        exchange = Exchange(stand_in.now(), operation, request.method, request.path, request.query_string)
        stand_in.log.append(exchange)
        try:
            response = await answer(_Arrival(stand_in, request, exchange))
        except Refused as refusal:
            response = respond_refused(refusal, silent=stand_in.behaviour.error_body == "silent")
        except Dropped:
            break_connection(request)
            return web.Response(status=500)  # goes nowhere: the connection is gone
        exchange.status = response.status
        return response

    return handle


async def _answer_token(arrival: _Arrival) -> web.Response:
    stand_in = arrival.stand_in
    form = await arrival.request.post()

    def issue() -> web.Response:
        try:
            return respond(200, stand_in.tokens.issue(form, stand_in.now()), {"Cache-Control": "no-store"})
        except TokenRefused as refusal:
            return respond(refusal.status, {"error": refusal.code})

    return await play(stand_in, _draw(arrival), issue)


def _reader(operation: str) -> _Answer:
    async def read(arrival: _Arrival) -> web.Response:
        _authenticate(arrival)
        account = _find_account(arrival)
        path = arrival.request.match_info
        ident = path.get("batchId", "") or path.get("invoiceId", "") or path.get("settlementId", "")
        place = _find_place(arrival.request) if operation in LISTS else Place(page=0)
        strikes = _draw(arrival, page=place.page)

        def answer() -> web.Response:
            query = read_query(operation, list(arrival.request.query.items()))
            body = answer_read(operation, arrival.stand_in, account, ident, query)
            if operation in LISTS and strikes.last(Circle) is not None:
                body["summary"]["nextPageToken"] = place.token
            return respond(200, body)

        return await play(arrival.stand_in, strikes, answer)

    return read


def _find_place(request: web.Request) -> Place:
    """Return which page is asked for, so that faults may strike it; page 0 for a token that cannot be read."""
    token = next((value for name, value in request.query.items() if name.lower() == "pagetoken"), "")
    try:
        return read_token(token)
    except BadPageToken:
        return Place(page=0)


def _writer(write: Write) -> _Answer:
    async def take(arrival: _Arrival) -> web.Response:
        client = _authenticate(arrival)
        call = await _read_call(arrival, write, _find_account(arrival), client)
        strikes = _draw(arrival, call.rows)
        return await play(arrival.stand_in, strikes, lambda: _answer_write(arrival, call, strikes))

    return take


async def _read_call(arrival: _Arrival, write: Write, account: Account, client: str) -> Call:
    request, exchange, stand_in = arrival.request, arrival.exchange, arrival.stand_in
    body = await request.read()
    stand_in.log.keep_body(exchange, body)
    exchange.key = request.headers.get(stand_in.options.idempotency_header, "")
    if body and request.content_type != "application/json":
        raise Refused(415, "Content-Type must be application/json")
    document = _read_document(write, body)
    rows = _find_rows(write, document)
    exchange.rows = len(rows)
    case_id = request.match_info.get("caseId", "")
    return Call(write, request.path, account, client, exchange.key, document, rows, case_id)


def _read_document(write: Write, body: bytes) -> Any:
    if not body and not write.collection:
        return {}
    try:
        return decode(body)
    except NotJsonError as fault:
        raise Refused(400, str(fault)) from fault


def _find_rows(write: Write, document: Any) -> list[Any]:
    """Return the rows for the faults to look at; the strict checks come later."""
    if not write.collection:
        return [document]
    rows = document.get(write.collection) if isinstance(document, dict) else None
    return rows if isinstance(rows, list) else []


def _answer_write(arrival: _Arrival, call: Call, strikes: Strikes) -> web.Response:
    accepted = accept(arrival.stand_in, call, strikes)
    arrival.exchange.batch_id, arrival.exchange.replayed = accepted.batch_id, accepted.replayed
    if not accepted.batch_id:
        return respond(204)
    # as documented: the address in batchUrl lacks /orgs/…, is being removed, and does not exist here
    request = arrival.request
    batch_url = f"{request.scheme}://{request.host}{BASE_PATH}/batches/{accepted.batch_id}"
    data = {"batchId": accepted.batch_id, "batchUrl": batch_url}
    return respond(202, {"summary": {"status": "SUCCESS"}, "data": data})


def _draw(arrival: _Arrival, rows: Sequence[Any] = (), page: int = 0) -> Strikes:
    strikes = arrival.stand_in.deck.draw(arrival.exchange.operation, rows, page)
    arrival.exchange.faults = strikes.names
    return strikes


def _authenticate(arrival: _Arrival) -> str:
    """Return the UUID of the client, or answer 401."""
    stand_in, header = arrival.stand_in, arrival.request.headers.get("Authorization", "")
    client = stand_in.tokens.client_of(header, stand_in.now())
    if client is None:
        raise Refused(401, "the access token is missing, unknown or expired", {"WWW-Authenticate": "Bearer"})
    return derived_uuid("client", client)


def _find_account(arrival: _Arrival) -> Account:
    organization = arrival.request.match_info["organizationId"]
    known = arrival.stand_in.options.organizations
    if not is_uuid(organization) or (known and organization.lower() not in {name.lower() for name in known}):
        raise Refused(404, "no organization with this organizationId")
    account = arrival.stand_in.books.account(organization)
    arrival.exchange.organization = account.organization
    return account
