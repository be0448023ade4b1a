"""The stand-in's own endpoints under /sandbox: look into the books, change the script. They never need a token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from .answers import respond
from .claims import Invoice
from .planting import PlantingFault, plant_claims, plant_settlements
from .request_log import render_exchange
from .script import Script, ScriptFault, read_script
from .settlements import render_settlement
from .stand_in import StandIn
from .wire import NotJsonError, decode

_Answer = Callable[[StandIn, web.Request], Awaitable[web.Response]]


def admin_routes(stand_in: StandIn) -> list[web.RouteDef]:
    """Return the routes under /sandbox, and /health."""

    def bind(answer: _Answer) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.Response:
            return await answer(stand_in, request)

        return handle

    return [
        web.get("/health", bind(_health)),
        web.get("/sandbox/state", bind(_show_state)),
        web.delete("/sandbox/state", bind(_reset_state)),
        web.get("/sandbox/legacy", bind(_show_legacy)),
        web.post("/sandbox/claims", bind(_plant_claims)),
        web.post("/sandbox/settlements", bind(_plant_settlements)),
        web.get("/sandbox/requests", bind(_show_requests)),
        web.get("/sandbox/webhooks", bind(_show_webhooks)),
        web.get("/sandbox/script", bind(_show_script)),
        web.post("/sandbox/script", bind(_play_script)),
        web.delete("/sandbox/script", bind(_clear_script)),
        web.delete("/sandbox/tokens", bind(_revoke_tokens)),
    ]


async def _health(_stand_in: StandIn, _request: web.Request) -> web.Response:
    return respond(200, {"status": "ok"})


async def _show_state(stand_in: StandIn, request: web.Request) -> web.Response:
    """Counts, unique ids with how often each was accepted (`?ids=false` leaves them out), and every doubled id."""
    books = stand_in.books.describe(ids=request.query.get("ids") != "false")
    more = {"seed": stand_in.options.seed, "requests": stand_in.log.total, "tokensIssued": stand_in.tokens.issued}
    return respond(200, books | more)


async def _show_legacy(stand_in: StandIn, _request: web.Request) -> web.Response:
    """What the legacy host has accepted, and every id it accepted twice."""
    return respond(200, stand_in.legacy_books.describe())


async def _reset_state(stand_in: StandIn, _request: web.Request) -> web.Response:
    stand_in.reset()
    return respond(204)


async def _plant_claims(stand_in: StandIn, request: web.Request) -> web.Response:
    """Enter `{"organization", "count"?, "prefix"?, "invoice"?}`; answer the ids of the first and the last claim."""
    try:
        claims = plant_claims(stand_in, decode(await request.read()))
    except (NotJsonError, PlantingFault) as fault:
        return respond(400, {"error": str(fault)})
    return respond(201, {"planted": len(claims), "first": _name_claim(claims[0]), "last": _name_claim(claims[-1])})


async def _plant_settlements(stand_in: StandIn, request: web.Request) -> web.Response:
    """Enter `{"organization", "settlements": [{…}]}`, any field of each; answer them as the API will show them."""
    try:
        settlements = plant_settlements(stand_in, decode(await request.read()))
    except (NotJsonError, PlantingFault) as fault:
        return respond(400, {"error": str(fault)})
    return respond(201, {"settlements": [render_settlement(settlement) for settlement in settlements]})


def _name_claim(invoice: Invoice) -> dict[str, Any]:
    return {
        "invoiceId": invoice.id,
        "invoiceNumber": invoice.number,
        "uniqueSourceInvoiceId": invoice.unique_id,
        "caseId": invoice.case.id,
        "caseNumber": invoice.case.number,
    }


async def _show_requests(stand_in: StandIn, request: web.Request) -> web.Response:
    """The newest `?limit=` requests (all that are remembered), of one `?operation=`; `?bodies=false` is short."""
    limit = request.query.get("limit", "")
    exchanges = stand_in.log.newest(int(limit) if limit.isdigit() else None, request.query.get("operation", ""))
    with_body = request.query.get("bodies") != "false"
    return respond(200, {"requests": [render_exchange(exchange, with_body=with_body) for exchange in exchanges]})


async def _show_webhooks(stand_in: StandIn, _request: web.Request) -> web.Response:
    return respond(200, {"webhooks": stand_in.webhooks.describe()})


async def _show_script(stand_in: StandIn, _request: web.Request) -> web.Response:
    """The script in force; each fault with how many requests it matched, and how many it struck."""
    behaviour: dict[str, Any] = stand_in.behaviour.model_dump(mode="json")
    return respond(200, {"behaviour": behaviour, "fault": stand_in.deck.describe()})


async def _play_script(stand_in: StandIn, request: web.Request) -> web.Response:
    """Replace the script, or with `?mode=append` add to it."""
    mode = request.query.get("mode", "replace")
    if mode not in {"replace", "append"}:
        return respond(400, {"error": "mode: use replace or append"})
    try:
        script = read_script(decode(await request.read()), source="script")
    except (NotJsonError, ScriptFault) as fault:
        return respond(400, {"error": str(fault)})
    stand_in.play_script(script, append=mode == "append")
    return await _show_script(stand_in, request)


async def _clear_script(stand_in: StandIn, _request: web.Request) -> web.Response:
    stand_in.play_script(Script())
    return respond(204)


async def _revoke_tokens(stand_in: StandIn, _request: web.Request) -> web.Response:
    """Make all tokens stale, so that the next call of every client gets a 401."""
    stand_in.tokens.revoke_all()
    return respond(204)
