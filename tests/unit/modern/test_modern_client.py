from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bridge.errors import ModernRefused, ModernUnreachable
from bridge.modern import exchange as exchange_module
from bridge.modern import reader as reader_module
from bridge.modern.answers import Answer, NotTaken, Refused, Taken, TakenAtOnce, Unknown
from bridge.modern.client import ModernClient
from bridge.modern.failures import ModernBusy
from bridge.modern.lists import Sighting
from bridge.modern.reader import LONGEST_PATIENCE_SECONDS, READ_ATTEMPTS
from bridge.modern.tokens import Access

BODY = b'{"invoices":[{"originalInvoiceAmount":9007199254740993.01}]}'
Connect = Callable[..., ModernClient]


def path(access: Access) -> str:
    return f"/orgs/{access.organization}/invoices"


async def submit(client: ModernClient, access: Access) -> Answer:
    return await client.submit(access, path(access), BODY, "key-1")


async def break_off(request: web.Request) -> web.StreamResponse:
    """Cut the connection without an answer, after the whole request has arrived."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def hang(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


def in_pieces(*pieces: bytes) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return a responder that accepts, and sends its answer bit by bit."""

    async def respond(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=202)
        await response.prepare(request)
        for piece in pieces:
            await asyncio.sleep(0.01)  # long enough for the client to have taken what came before
            await response.write(piece)
        await response.write_eof()
        return response

    return respond


def cut_short(status: int) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Announce a body and break off in the middle of it."""

    async def respond(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"data":{"batchId":"b-')
        assert request.transport is not None
        request.transport.close()
        return response

    return respond


# --- writes --------------------------------------------------------------------------------------------------------


async def test_a_write_arrives_as_it_was_built(client: ModernClient, modern: Any, access: Access) -> None:
    """Path, body bytes, token and idempotency key arrive unchanged; the answer gives the modern batch."""
    assert await submit(client, access) == Taken("b-1")
    [arrival] = modern.arrivals
    assert (arrival.method, arrival.path, arrival.body) == ("POST", "/v1" + path(access), BODY)
    assert arrival.headers["Authorization"] == "Bearer token-1"
    assert arrival.headers["Idempotency-Key"] == "key-1"
    assert arrival.headers["Content-Type"] == "application/json"
    assert modern.token_requests == [
        {"grant_type": "client_credentials", "client_id": "nordlys", "client_secret": "s3cret-value"}
    ]


async def test_the_name_of_the_idempotency_header_is_configured(
    session: Any, modern: Any, access: Access, clock: Any
) -> None:
    """The assumed header name can be another one."""
    client = ModernClient(
        session, f"{modern.url}/v1/", f"{modern.url}/token", clock=clock, idempotency_header="IdempotencyKey"
    )
    await submit(client, access)
    assert modern.arrivals[0].headers["IdempotencyKey"] == "key-1"


async def test_one_token_serves_many_writes(client: ModernClient, modern: Any, access: Access) -> None:
    """Concurrent writes of one credential share its token."""
    answers = await asyncio.gather(*(submit(client, access) for _ in range(20)))
    assert answers == [Taken("b-1")] * 20
    assert len(modern.token_requests) == 1


async def test_a_case_action_may_be_answered_without_a_body(client: ModernClient, modern: Any, access: Access) -> None:
    """A 204 finishes a case action at once."""
    modern.then(204)
    answer = await client.submit(access, f"/orgs/{access.organization}/cases/c/resume", b"{}", "k", expects_batch=False)
    assert answer == TakenAtOnce()


async def test_an_encoded_path_arrives_as_it_was_encoded(client: ModernClient, modern: Any, access: Access) -> None:
    """An id with a slash in it stays one segment of the path."""
    received: list[str] = []

    async def note(request: web.Request) -> web.Response:
        received.append(request.raw_path)
        return web.Response(status=204)

    modern.script.append(note)
    await client.submit(access, "/orgs/o/cases/a%2Fb%3Fc/resume", b"{}", "k", expects_batch=False)
    assert received == ["/v1/orgs/o/cases/a%2Fb%3Fc/resume"]


async def test_an_old_token_is_replaced_once(client: ModernClient, modern: Any, access: Access) -> None:
    """A 401 drops the token, and the write goes out again, with the same key, under a fresh one."""
    modern.then(401)
    assert await submit(client, access) == Taken("b-1")
    assert [arrival.headers["Authorization"] for arrival in modern.arrivals] == ["Bearer token-1", "Bearer token-2"]
    assert {arrival.headers["Idempotency-Key"] for arrival in modern.arrivals} == {"key-1"}


@pytest.mark.parametrize("answers", [["too late"], ["", "too late"]], ids=["at once", "after a 401"])
async def test_a_write_that_may_not_leave_any_more_stays(
    client: ModernClient, modern: Any, access: Access, answers: list[str]
) -> None:
    """It is asked when the token is there, right before each time the write would leave."""
    modern.then(401)
    sent = len(answers) - 1
    answer = await client.submit(access, path(access), BODY, "key-1", hindrance=lambda: answers.pop(0))
    assert answer == NotTaken("too late")
    assert len(modern.arrivals) == sent


async def test_a_fresh_token_that_is_refused_ends_the_attempt(
    client: ModernClient, modern: Any, access: Access
) -> None:
    """Two 401 mean that nothing was taken and the credentials are wrong; the next attempt asks for a new token."""
    modern.then(401).then(401)
    answer = await submit(client, access)
    assert isinstance(answer, NotTaken)
    assert answer.why.startswith("credentials refused")
    assert len(modern.arrivals) == 2
    await submit(client, access)
    assert len(modern.token_requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_refused_credentials_leave_nothing_sent(
    status: int, client: ModernClient, modern: Any, access: Access
) -> None:
    """A token service that refuses the credentials keeps the write at home, and is asked again the next time."""
    modern.token_script.append(modern.answer(status, {"error": "invalid_client"}))
    answer = await submit(client, access)
    assert isinstance(answer, NotTaken)
    assert "client_secret" in answer.why
    assert "s3cret-value" not in answer.why
    assert modern.arrivals == []
    assert await submit(client, access) == Taken("b-1")


@pytest.mark.parametrize("status", [200, 408, 429, 500, 503])
async def test_a_token_service_in_trouble_leaves_nothing_sent(
    status: int, client: ModernClient, modern: Any, access: Access
) -> None:
    """A token service that does not hand out a token for now keeps the write at home."""
    modern.token_script.append(modern.answer(status, b"<html>"))
    assert isinstance(await submit(client, access), NotTaken)
    assert modern.arrivals == []


async def test_the_pause_a_token_service_asks_for_is_passed_on(
    client: ModernClient, modern: Any, access: Access
) -> None:
    """Retry-After of the token service reaches whoever sends the write again."""
    modern.token_script.append(modern.answer(503, b"", Retry_After="9"))
    answer = await submit(client, access)
    assert isinstance(answer, NotTaken)
    assert answer.retry_after_seconds == 9.0


async def test_a_token_service_that_cannot_be_reached_leaves_nothing_sent(
    connect: Connect, modern: Any, access: Access, unused_tcp_port: int
) -> None:
    """Not even a connection to the token service: nothing has left."""
    client = connect(modern.url, token_url=f"http://127.0.0.1:{unused_tcp_port}/token")
    assert isinstance(await submit(client, access), NotTaken)


async def test_please_wait_carries_the_pause(client: ModernClient, modern: Any, access: Access, clock: Any) -> None:
    """A Retry-After date is turned into seconds by the client's clock."""
    modern.then(429, b"", Retry_After=formatdate(clock.now + 12, usegmt=True))
    assert await submit(client, access) == NotTaken("HTTP 429", 12.0)


async def test_a_refusal_says_why(client: ModernClient, modern: Any, access: Access) -> None:
    """A documented 4xx is a refusal with the text of its body."""
    modern.then(422, {"message": "too many rows"})
    assert await submit(client, access) == Refused(422, "too many rows")


@pytest.mark.parametrize(
    "fault",
    [break_off, cut_short(202)],
    ids=["no answer", "half an answer"],
)
async def test_a_write_whose_answer_is_lost_is_in_doubt_and_sent_once(
    fault: Any, client: ModernClient, modern: Any, access: Access
) -> None:
    """A connection that breaks before the end of the answer says nothing, and nothing is repeated."""
    modern.script.append(fault)
    answer = await submit(client, access)
    assert isinstance(answer, Unknown)
    assert len(modern.arrivals) == 1


async def test_a_refusal_with_half_a_body_is_still_a_refusal(client: ModernClient, modern: Any, access: Access) -> None:
    """The status of an error decides, even when its body breaks off."""
    modern.script.append(cut_short(400))
    assert await submit(client, access) == Refused(400, "")


async def test_a_write_that_times_out_is_in_doubt(connect: Connect, modern: Any, access: Access) -> None:
    """An answer that does not come in time says nothing."""
    client = connect(modern.url, timeout_seconds=0.2)
    modern.script.append(hang)
    assert isinstance(await submit(client, access), Unknown)
    assert len(modern.arrivals) == 1


async def test_a_redirect_is_not_followed(client: ModernClient, modern: Any, access: Access) -> None:
    """A redirected write is in doubt; nobody goes where it points."""
    modern.then(307, b"", Location=f"{modern.url}/v1/elsewhere")
    assert await submit(client, access) == Unknown("HTTP 307")
    assert len(modern.arrivals) == 1


async def test_an_answer_without_end_is_in_doubt(
    client: ModernClient, modern: Any, access: Access, monkeypatch: Any
) -> None:
    """An acceptance larger than any real one is not read to its end, compressed or not."""
    monkeypatch.setattr(exchange_module, "LARGEST_ANSWER_BYTES", 1000)
    bomb = gzip.compress(b" " * 100_000)
    modern.then(202, bomb, Content_Encoding="gzip").then(202, b" " * 2000).then(400, b" " * 2000)
    assert isinstance(await submit(client, access), Unknown)
    assert isinstance(await submit(client, access), Unknown)
    assert await submit(client, access) == Refused(400, "")


async def test_an_answer_may_come_in_pieces(
    client: ModernClient, modern: Any, access: Access, monkeypatch: Any
) -> None:
    """They are put together, and counted together."""
    modern.script.append(in_pieces(b'{"data": {"batchId"', b': "b-7"}}'))
    assert await submit(client, access) == Taken("b-7")
    monkeypatch.setattr(exchange_module, "LARGEST_ANSWER_BYTES", 1000)
    modern.script.append(in_pieces(*[b" " * 600] * 2))
    assert isinstance(await submit(client, access), Unknown)


async def test_a_refused_connection_leaves_nothing_sent(
    client: ModernClient, connect: Connect, modern: Any, access: Access, unused_tcp_port: int
) -> None:
    """Where nobody listens, nothing was taken."""
    nobody = connect(f"http://127.0.0.1:{unused_tcp_port}", token_url=f"{modern.url}/token")
    answer = await submit(nobody, access)
    assert isinstance(answer, NotTaken)
    assert "ClientConnectorError" in answer.why


async def test_a_name_that_does_not_resolve_leaves_nothing_sent(connect: Connect, modern: Any, access: Access) -> None:
    """Without an address nothing was taken."""
    answer = await submit(connect("http://nowhere.invalid", token_url=f"{modern.url}/token"), access)
    assert isinstance(answer, NotTaken)
    assert "ClientConnectorDNSError" in answer.why


async def test_a_failed_handshake_leaves_nothing_sent(connect: Connect, modern: Any, access: Access) -> None:
    """A server that does not speak TLS has taken nothing."""
    answer = await submit(connect(modern.url.replace("http:", "https:"), token_url=f"{modern.url}/token"), access)
    assert isinstance(answer, NotTaken)
    assert "ClientConnectorSSLError" in answer.why
    assert modern.arrivals == []


async def test_waiting_for_a_free_connection_leaves_nothing_sent(modern: Any, access: Access, clock: Any) -> None:
    """A write that never got a connection out of the pool is known not to have left."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as narrow:
        patient = ModernClient(
            narrow, f"{modern.url}/v1", f"{modern.url}/token", clock=clock, request_timeout_seconds=60
        )
        hasty = ModernClient(
            narrow, f"{modern.url}/v1", f"{modern.url}/token", clock=clock, request_timeout_seconds=0.2
        )
        hasty.reader.tokens = patient.reader.tokens
        await submit(patient, access)
        arrived = asyncio.Event()

        async def arrive_and_hang(request: web.Request) -> web.StreamResponse:
            arrived.set()
            return await hang(request)

        modern.script.append(arrive_and_hang)
        blocking = asyncio.create_task(submit(patient, access))
        await arrived.wait()
        answer = await submit(hasty, access)
        blocking.cancel()
        await asyncio.gather(blocking, return_exceptions=True)
    assert isinstance(answer, NotTaken)
    assert len(modern.arrivals) == 2


async def test_a_stopping_bridge_sends_nothing(client: ModernClient, modern: Any, session: Any, access: Access) -> None:
    """Once the session is closed nothing leaves, and that is known."""
    await submit(client, access)
    await session.close()
    answer = await submit(client, access)
    assert isinstance(answer, NotTaken)
    assert "stopping" in answer.why


async def test_a_write_on_a_connection_that_the_server_closes_is_never_repeated(
    connect: Connect, modern: Any, access: Access
) -> None:
    """The HTTP library repeats idempotent requests on a stale connection by itself; a write it must not."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the first request of a connection, and hang up on the second once it has been read."""
        for number in range(2):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            received.append(head.split(b" ", 1)[0])
            if head.startswith(b"POST"):
                await reader.readexactly(len(BODY))
            if number == 0:
                answer = b'{"data":{"batchId":"b-9","status":"QUEUED"}}'
                writer.write(b"HTTP/1.1 202 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = connect(f"http://127.0.0.1:{port}", token_url=f"{modern.url}/token")
        assert await submit(client, access) == Taken("b-9")
        assert await submit(client, access) == Unknown(
            "the exchange with the modern system broke (ServerDisconnectedError)"
        )
        assert received == [b"POST", b"POST"]
        assert (await client.glance(access, "b-9")).id == "b-9"
        await client.glance(
            access, "b-9"
        )  # the library's own repetition, harmless here, proves that the test can see one
        assert received == [b"POST", b"POST", b"GET", b"GET", b"GET"]


# --- reads ---------------------------------------------------------------------------------------------------------


def batch(number: int, **more: Any) -> dict[str, Any]:
    return {"batchId": f"b-{number}", "status": "SUCCESS", **more}


async def test_a_batch_is_read_by_its_id(client: ModernClient, modern: Any, access: Access) -> None:
    """The path is built from the batch id, whatever is in it."""
    modern.then(200, {"data": batch(1)})
    read = await client.batch(access, "b-1/../x")
    assert read.finished
    assert modern.arrivals[0].path == f"/v1/orgs/{access.organization}/batches/b-1/../x"
    assert modern.arrivals[0].headers["Authorization"] == "Bearer token-1"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
async def test_a_read_that_failed_is_made_again(
    status: int, client: ModernClient, modern: Any, access: Access, clock: Any
) -> None:
    """Reads get over passing trouble, with growing pauses between the attempts."""
    modern.then(status).then(200, b"<html>").then(200, {"data": batch(1)})
    modern.script.insert(1, break_off)
    modern.script.insert(2, break_off)
    assert (await client.batch(access, "b-1")).id == "b-1"
    assert clock.slept == sorted(clock.slept)
    assert len(clock.slept) >= 2


async def test_a_read_gives_up_in_the_end(client: ModernClient, modern: Any, access: Access) -> None:
    """After a few attempts the caller is told that the modern system is not there."""
    for _ in range(10):
        modern.then(502)
    with pytest.raises(ModernUnreachable, match="502"):
        await client.batch(access, "b-1")
    assert len(modern.arrivals) == READ_ATTEMPTS


async def test_a_read_honours_the_pause_it_is_asked_for(
    client: ModernClient, modern: Any, access: Access, clock: Any
) -> None:
    """Retry-After sets the pause; one longer than the read's patience ends it, and the caller learns the pause."""
    modern.then(429, b"", Retry_After="7").then(503, b"", Retry_After="3").then(200, {"data": batch(1)})
    await client.batch(access, "b-1")
    assert clock.slept == [7.0, 3.0]
    modern.then(503, b"", Retry_After=str(int(LONGEST_PATIENCE_SECONDS) + 1))
    with pytest.raises(ModernBusy) as raised:
        await client.batch(access, "b-1")
    assert raised.value.retry_after_seconds == LONGEST_PATIENCE_SECONDS + 1
    assert clock.slept == [7.0, 3.0]


async def test_a_glance_is_a_single_attempt(client: ModernClient, modern: Any, access: Access, clock: Any) -> None:
    """Somebody who asks again anyway is not kept waiting."""
    modern.then(502)
    with pytest.raises(ModernUnreachable):
        await client.glance(access, "b-1")
    assert clock.slept == []


@pytest.mark.parametrize("status", [302, 400, 403, 404, 422])
async def test_a_question_that_is_refused_is_not_repeated(
    status: int, client: ModernClient, modern: Any, access: Access
) -> None:
    """A 4xx, a 404 for a batch included, and a redirect end the read, telling the status."""
    modern.then(status, b"", Location="/elsewhere")
    with pytest.raises(ModernRefused, match=f"HTTP {status}") as raised:
        await client.batch(access, "b-1")
    assert raised.value.status == status
    assert len(modern.arrivals) == 1


async def test_a_read_renews_its_token_once(client: ModernClient, modern: Any, access: Access) -> None:
    """A 401 drops the token and asks again; a second one refuses the question."""
    modern.then(401).then(200, {"data": batch(1)})
    await client.batch(access, "b-1")
    modern.then(401).then(401)
    with pytest.raises(ModernRefused) as raised:
        await client.batch(access, "b-1")
    assert raised.value.status == 401
    assert len(modern.token_requests) == 3


async def test_a_read_with_wrong_credentials_says_what_to_do(client: ModernClient, modern: Any, access: Access) -> None:
    """Credentials that the token service refuses are named, without their value."""
    modern.token_script.append(modern.answer(401, {"error": "invalid_client"}))
    with pytest.raises(ModernRefused, match="client_secret") as raised:
        await client.batch(access, "b-1")
    assert "s3cret-value" not in str(raised.value)


async def test_an_answer_that_is_too_large_is_not_read(
    client: ModernClient, modern: Any, access: Access, monkeypatch: Any
) -> None:
    """A read does not swallow an answer of any size."""
    monkeypatch.setattr(exchange_module, "LARGEST_ANSWER_BYTES", 1000)
    modern.then(200, b" " * 2000)
    with pytest.raises(ModernUnreachable, match="too large"):
        await client.glance(access, "b-1")


async def test_a_list_is_read_to_its_end(client: ModernClient, modern: Any, access: Access) -> None:
    """All pages are read, each with the filter and the token of the one before."""
    modern.then(200, {"summary": {"nextPageToken": "p 2&"}, "data": [{"id": "i1"}]}).then(200, {"data": [{"id": "i2"}]})
    read = await client.invoices(access, unique_source_invoice_id="erp/1 æ&b", invoice_number=None)
    assert [invoice.id for invoice in read] == ["i1", "i2"]
    assert [arrival.query for arrival in modern.arrivals] == [
        {"UniqueSourceInvoiceId": "erp/1 æ&b"},
        {"UniqueSourceInvoiceId": "erp/1 æ&b", "PageToken": "p 2&"},
    ]


async def test_a_list_without_end_is_not_half_read(
    client: ModernClient, modern: Any, access: Access, monkeypatch: Any
) -> None:
    """A list that does not end raises: what was not read must not pass for "not there"."""
    monkeypatch.setattr(reader_module, "MOST_PAGES", 3)
    for number in range(4):
        modern.then(200, {"summary": {"nextPageToken": f"p{number}"}, "data": []})
    with pytest.raises(ModernUnreachable, match="did not end"):
        await client.invoices(access, invoice_number="17")
    assert len(modern.arrivals) == 3


async def test_a_list_that_goes_round_in_circles_is_not_half_read(
    client: ModernClient, modern: Any, access: Access
) -> None:
    """A page that names one that was there before raises, however far back it was."""
    for token in ("a", "b", "c", "a"):
        modern.then(200, {"summary": {"nextPageToken": token}, "data": []})
    with pytest.raises(ModernUnreachable, match="circles"):
        await client.invoices(access, invoice_number="17")
    assert len(modern.arrivals) == 4


async def test_a_page_that_names_the_next_unreadably_is_no_page(
    client: ModernClient, modern: Any, access: Access
) -> None:
    """A next page there is, but not which: the list must not end there."""
    for _ in range(READ_ATTEMPTS):
        modern.then(200, {"summary": {"nextPageToken": {"page": 2}}, "data": []})
    with pytest.raises(ModernUnreachable, match="not what was asked"):
        await client.invoices(access, invoice_number="17")


async def test_an_empty_filter_is_a_fault_of_the_caller(client: ModernClient, modern: Any, access: Access) -> None:
    """Asking for the empty reference would list everything."""
    with pytest.raises(ValueError, match="invoices"):
        await client.invoices(access, unique_source_invoice_id="")
    assert modern.arrivals == []


async def test_invoices_of_another_name_are_left_out(client: ModernClient, modern: Any, access: Access) -> None:
    """A filter that the API ignored, or took for a search, does not bring in strangers."""
    data = [{"id": "i1", "invoiceNumber": "17"}, {"id": "i2", "invoiceNumber": "171"}, {"id": "i3"}]
    modern.then(200, {"data": data})
    assert [invoice.id for invoice in await client.invoices(access, invoice_number="17")] == ["i1", "i3"]
    modern.then(200, {"data": [{"id": "i1", "uniqueSourceInvoiceId": "x"}]})
    assert await client.invoices(access, unique_source_invoice_id="u") == []


async def test_cases_are_found_by_number_or_invoice(client: ModernClient, modern: Any, access: Access) -> None:
    """Cases are asked for by either name, and those of another number or invoice left out."""
    ours = {"caseId": "c1", "caseNumber": 1, "invoices": [{"invoiceId": "i", "uniqueSourceInvoiceId": "u"}]}
    other = {"caseId": "c2", "caseNumber": 2, "invoices": [{"invoiceId": "j", "uniqueSourceInvoiceId": "v"}]}
    silent = {"caseId": "c3"}
    for _ in range(2):
        modern.then(200, {"data": [ours, other, silent]})
    assert [case.id for case in await client.cases(access, case_number="1")] == ["c1", "c3"]
    assert [case.id for case in await client.cases(access, unique_source_invoice_id="u")] == ["c1", "c3"]
    assert [arrival.query for arrival in modern.arrivals] == [{"CaseNumber": "1"}, {"UniqueSourceInvoiceId": "u"}]


async def test_an_invoice_is_read_by_its_id(client: ModernClient, modern: Any, access: Access) -> None:
    """GetInvoiceById gives one invoice."""
    modern.then(200, {"data": {"id": "i1", "collectionCaseNumber": "5"}})
    assert (await client.invoice(access, "i1")).case_number == "5"
    assert modern.arrivals[0].path == f"/v1/orgs/{access.organization}/invoices/i1"


async def test_batches_are_found_by_key(client: ModernClient, modern: Any, access: Access) -> None:
    """Batches are asked for by idempotency key; one that names another key is left out."""
    modern.then(200, {"data": [batch(1), batch(2, idempotencyKey="k"), batch(3, idempotencyKey="other")]})
    assert [found.id for found in await client.batches(access, idempotency_key="k")] == ["b-1", "b-2"]
    assert modern.arrivals[0].query == {"IdempotencyKey": "k"}


def made_at(*hours: int) -> list[dict[str, Any]]:
    return [batch(hour, createdAt=f"1970-01-01T{hour:02}:00:00Z") for hour in hours]


async def test_batches_are_read_until_they_get_older(client: ModernClient, modern: Any, access: Access) -> None:
    """Newest first, the first page that runs past the moment is the last one; undated batches are kept."""
    modern.then(200, {"summary": {"nextPageToken": "2"}, "data": [*made_at(9, 8), batch(0)]})
    modern.then(200, {"summary": {"nextPageToken": "3"}, "data": made_at(7, 6)})
    found = await client.batches(access, created_since=7 * 3600.0)
    assert [one.id for one in found] == ["b-9", "b-8", "b-0", "b-7"]
    assert len(modern.arrivals) == 2


@pytest.mark.parametrize("first_page", [(1, 2), (2,), (1, 1), (3, 1, 2)])
async def test_batches_in_another_order_are_read_to_the_end(
    first_page: tuple[int, ...], client: ModernClient, modern: Any, access: Access
) -> None:
    """Where the order is not surely newest first, old batches do not end the list."""
    modern.then(200, {"summary": {"nextPageToken": "2"}, "data": made_at(*first_page)}).then(200, {"data": made_at(9)})
    assert [one.id for one in await client.batches(access, created_since=7 * 3600.0)] == ["b-9"]


async def test_recent_batches_come_page_by_page(client: ModernClient, modern: Any, access: Access) -> None:
    """Newest first and of the wanted size; entries that name no batch are hints about nothing."""
    running, ended, strange = {"batchId": "b1", "status": "QUEUED"}, batch(2, succeeded=[{}]), {"type": "NONE"}
    modern.then(200, {"summary": {"nextPageToken": "2"}, "data": [running, strange]}).then(200, {"data": [ended]})
    pages = [list(page) async for page in client.recent_batches(access, 50)]
    assert pages == [[Sighting("b1", False), Sighting("", False)], [Sighting("b-2", True)]]
    assert [arrival.query for arrival in modern.arrivals] == [
        {"SortDirection": "Desc", "PageSize": "50"},
        {"SortDirection": "Desc", "PageSize": "50", "PageToken": "2"},
    ]


@pytest.mark.parametrize(("status", "failure"), [(400, ModernRefused), (502, ModernUnreachable)])
async def test_a_page_of_recent_batches_is_a_single_attempt(
    status: int, failure: type[Exception], client: ModernClient, modern: Any, access: Access, clock: Any
) -> None:
    """Whoever asks for them asks again anyway."""
    modern.then(status)
    with pytest.raises(failure):
        await anext(client.recent_batches(access, 50))
    assert clock.slept == []
    assert len(modern.arrivals) == 1
