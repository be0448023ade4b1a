"""What old callers put on the wire: spellings, encodings, framings, and bodies that are too large or broken."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
MEGABYTE = 1024 * 1024
Invoice = Callable[..., dict[str, Any]]
EMPTY = {"statuscode": 0, "errors": [], "responses": []}


async def talk(world: Any, request: bytes, *, wait_for: bytes = b"", then: bytes = b"") -> tuple[int, bytes, bytes]:
    """Speak over a raw socket; return status, head and body of the final answer."""
    host, _, port = world.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        if wait_for:
            assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == wait_for + b"\r\n\r\n"
            writer.write(then)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return int(head.split(b" ")[1]), head, await reader.readexactly(int(length.split(b":")[1]))
    finally:
        writer.close()
        await writer.wait_closed()


def head(*lines: str, version: str = "1.1", path: str = "/webapi/api/Batch") -> bytes:
    return "\r\n".join(
        [f"POST {path} HTTP/{version}", "Host: bridge", "Authorization: Bearer token1", *lines, "", ""]
    ).encode()


async def test_names_match_whatever_their_letter_case(world: Any, invoice: Invoice) -> None:
    """Path, query and property names; of two spellings of one property the last wins."""
    rows = json.dumps([{key.swapcase(): value for key, value in invoice("1").items()}])
    body = f'{{"INVOICE": [{{}}], "BatchID": "x", "Invoice": {rows}}}'.encode()
    headers = {"authorization": "bearer token1", "content-type": "text/json"}
    address = world.url + "/WebApi/API/batch?SENDERID=ERP-1"
    async with world.session.post(address, data=body, headers=headers) as response:
        assert (response.status, (await response.json())["statuscode"]) == (200, 0)
    assert world.accepted("invoices") == {"erp-1": 1}


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json-patch+json",
        "text/json",
        "application/vnd.erp+json",
        "Application/JSON; charset=UTF-8",
        None,
    ],
)
async def test_json_by_any_name_is_taken(world: Any, content_type: str | None) -> None:
    """The content types of the old host, and none at all."""
    lines = [f"Content-Type: {content_type}"] if content_type else []
    status, _, body = await talk(world, head(*lines, "Content-Length: 2") + b"{}")
    assert (status, json.loads(body)) == (200, EMPTY)


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded"])
async def test_anything_else_is_not_json(world: Any, content_type: str) -> None:
    """415 in the legacy shape."""
    reply = await world.post(b"{}", **{"Content-Type": content_type})
    assert (reply.status, reply.code, list(reply.errors)) == (415, 2, [("batch", 0)])


@pytest.mark.parametrize(
    ("charset", "codec"),
    [("iso-8859-1", "latin-1"), ("windows-1252", "cp1252"), ("utf-8", "utf-8"), ("utf-8", "utf-8-sig")],
)
async def test_the_charset_is_honoured(world: Any, invoice: Invoice, charset: str, codec: str) -> None:
    """Norwegian letters arrive on the modern side as they left the ERP, byte-order mark or not."""
    batch = {"invoice": [invoice("1", description="Strøm på Ærø, blåbærsyltetøy")]}
    body = json.dumps(batch, ensure_ascii=False).encode(codec)
    reply = await world.post(body, **{"Content-Type": f"application/json; charset={charset}"})
    assert reply.code == 0
    assert world.sandbox.state.account(ORG_A).invoices[0].row["description"] == "Strøm på Ærø, blåbærsyltetøy"


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compress(body, wbits=-15)),
        ("identity", bytes),
    ],
)
async def test_compressed_bodies_are_taken(
    world: Any, invoice: Invoice, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    """Gzip, and deflate with and without its wrapping."""
    body = pack(json.dumps({"invoice": [invoice("1")]}).encode())
    assert (await world.post(body, **{"Content-Encoding": encoding})).code == 0


@pytest.mark.parametrize(("encoding", "status"), [("gzip", 400), ("deflate", 400), ("br", 415)])
async def test_damaged_or_unknown_compression_is_refused(world: Any, encoding: str, status: int) -> None:
    """In the legacy shape, saying what to send."""
    reply = await world.post(b"not compressed at all", **{"Content-Encoding": encoding})
    assert (reply.status, reply.code) == (status, 2)


async def test_large_bodies_are_refused_before_they_are_held(world: Any) -> None:
    """Plain, announced, chunked, or inflating from next to nothing: 413 (the limit here is 4 MB)."""
    plain = b'{"x":"' + b" " * (4 * MEGABYTE) + b'"}'
    assert (await world.post(plain)).status == 413
    bomb = gzip.compress(b" " * (200 * MEGABYTE), compresslevel=1)
    reply = await world.post(bomb, **{"Content-Encoding": "gzip"})
    assert (reply.status, reply.code) == (413, 2)
    status, _, _ = await talk(world, head("Content-Type: application/json", "Content-Length: 999999999999"))
    assert status == 413
    chunk = b"%x\r\n%s\r\n" % (MEGABYTE, b" " * MEGABYTE)
    status, _, _ = await talk(world, head("Transfer-Encoding: chunked") + chunk * 5)
    assert status == 413


async def test_chunked_bodies_are_taken(world: Any) -> None:
    """A body in pieces of any size."""
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (b'{"inv', b'oice"', b": []}"))
    status, _, body = await talk(world, head("Transfer-Encoding: chunked") + pieces + b"0\r\n\r\n")
    assert (status, json.loads(body)) == (200, EMPTY)


async def test_a_caller_that_expects_100_continue_gets_it(world: Any) -> None:
    """.NET Framework clients wait for it before they send the body."""
    status, _, body = await talk(
        world,
        head("Expect: 100-continue", "Content-Length: 2"),
        wait_for=b"HTTP/1.1 100 Continue",
        then=b"{}",
    )
    assert (status, json.loads(body)) == (200, EMPTY)


async def test_http_1_0_callers_are_answered(world: Any) -> None:
    """With a length and without keeping the connection."""
    status, headers, body = await talk(world, head("Content-Length: 2", version="1.0") + b"{}")
    assert (status, json.loads(body)) == (200, EMPTY)
    assert b"transfer-encoding" not in headers.lower()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b'"text"',
        b'{"invoice": {}}',
        b'{"invoice": [',
        b'{"payment": "x"}',
        b"\xff\xfe\xfa",
        b"null",
        b'{"offline": "maybe"}',
        b'{"batchid": []}',
    ],
    ids=range(11),
)
async def test_what_is_no_batch_is_unreadable(world: Any, body: bytes) -> None:
    """400, statuscode 2, one error about the batch, and nothing is taken."""
    reply = await world.post(body)
    assert (reply.status, reply.code, list(reply.errors)) == (400, 2, [("batch", 0)])
    assert reply.body["responses"] == []
    assert (await world.ledger()).accepted == 0


@pytest.mark.parametrize(
    "row", ["null", "1", "[]", '"x"', "{}", '{"originalInvoiceAmount": 1e999999}', '{"a": "\\ud800"}']
)
async def test_a_row_that_is_no_row_is_refused_alone(world: Any, invoice: Invoice, row: str) -> None:
    """Its neighbour is accepted."""
    body = f'{{"invoice": [{row}, {json.dumps(invoice("1"))}]}}'.encode()
    assert (await world.post(body)).states == {("invoice", 0): "REFUSED", ("invoice", 1): "OK"}


@pytest.mark.parametrize("amount", ["1e200", "1E-300", "-0", "1e15", '"NaN"', '"Infinity"', "1" + "0" * 400])
async def test_an_amount_of_any_size_never_breaks_a_batch(world: Any, invoice: Invoice, amount: str) -> None:
    """Accepted or refused, but always answered row by row."""
    row = json.dumps(invoice("1", originalInvoiceAmount="AMOUNT", claims=None)).replace('"AMOUNT"', amount)
    reply = await world.post(f'{{"invoice": [{row}, {json.dumps(invoice("2"))}]}}'.encode())
    assert reply.status == 200
    assert reply.states["invoice", 1] == "OK"


async def test_amounts_keep_every_digit(world: Any, invoice: Invoice) -> None:
    """Numerically what the ERP wrote, as number or text, beyond what a binary float can hold."""
    written = ["9007199254740993.01", '"9007199254740993.01"', '"1 250,00"', "0.1", "1250.50"]
    rows = [
        json.dumps(invoice(str(index), originalInvoiceAmount="AMOUNT", claims=None)).replace('"AMOUNT"', amount)
        for index, amount in enumerate(written)
    ]
    assert (await world.post(f'{{"invoice": [{",".join(rows)}]}}'.encode())).code == 0
    held = [claim.original for claim in world.sandbox.state.account(ORG_A).invoices]
    big = Decimal("9007199254740993.01")
    assert held == [big, big, Decimal(1250), Decimal("0.1"), Decimal("1250.5")]
