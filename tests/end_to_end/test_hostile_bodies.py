"""Whatever a caller sends over real HTTP: never a 5xx, never HTML, always the legacy shape, every row answered once.

The bridge runs in a process of its own; after each body it must still be there, and its memory must stay bounded.
"""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import random
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MB = 1024 * 1024
LIMIT_MB = 64
PEAK_BYTES = 800 * MB
"""Twice what the bridge held at most for the bodies below; the largest of them are 60 MB."""
READING_MB = 256
"""What bodies may take together by default."""
REST_BYTES = 500 * MB
"""Twice what it kept once they were answered: freed memory goes back only in part."""
OBJECTNAMES = ("creditor", "invoice", "payment", "action")
REFUSALS = {400, 401, 403, 413, 415, 422}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Hostile:
    """Somebody who sends what no ERP would, with valid credentials."""

    bridge: Any

    def post(self, body: Any, query: str = "", **headers: str) -> Answer:
        """Send one body; check what must be true of every answer."""
        sent = {"Authorization": "Bearer token1", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection("127.0.0.1", self.bridge.port, timeout=60)) as connection:
            with suppress(BrokenPipeError):  # refused before all of it was sent: the answer is there to be read
                connection.request("POST", "/webapi/api/Batch" + query, body, sent)
            response = connection.getresponse()
            answer = Answer(
                response.status, {k.lower(): v for k, v in response.getheaders()}, json.loads(response.read())
            )
        self.check(answer)
        return answer

    def check(self, answer: Answer) -> None:
        """Check the shape, and that the bridge can still take work."""
        assert answer.status == 200 or answer.status in REFUSALS, answer.body
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.body.keys() == {"statuscode", "errors", "responses"}
        for line in answer.body["errors"]:
            assert line.keys() == {"objectname", "objectindex", "message"}
            assert line["message"]
            assert "Traceback" not in line["message"]
        for line in answer.body["responses"]:
            assert line.keys() == {"objectname", "objectindex", "ledgerref", "status_statuscode"}
        if answer.status != 200:
            assert answer.body["statuscode"] == 2
            assert [(one["objectname"], one["objectindex"]) for one in answer.body["errors"]] == [("batch", 0)]
        self.check_health()

    def check_health(self) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self.bridge.port, timeout=10)) as connection:
            connection.request("GET", "/webapi/api/Ping")
            assert connection.getresponse().status == 200


def check_conservation(answer: Answer, **counts: int) -> None:
    """Check that every row is answered exactly once, in request order."""
    lines = [(one["objectname"], one["objectindex"]) for one in (*answer.body["errors"], *answer.body["responses"])]
    assert sorted(lines) == sorted((name, index) for name, count in counts.items() for index in range(count))
    order = {name: place for place, name in enumerate(OBJECTNAMES)}
    for part in ("errors", "responses"):
        places = [(order[one["objectname"]], one["objectindex"]) for one in answer.body[part]]
        assert places == sorted(places)


@pytest.fixture(scope="module")
def hostile(
    launch_for_module: Any, write_config: Any, free_port: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hostile]:
    """A bridge and a sandbox; at the end, nothing unexpected happened and the memory is bounded."""
    sandbox_port, port = free_port(), free_port()
    launch_for_module("sandbox", "--port", str(sandbox_port), port=sandbox_port)
    config = write_config(
        tmp_path_factory.mktemp("hostile"),
        port=port,
        sandbox=f"http://127.0.0.1:{sandbox_port}",
        max_body_mb=LIMIT_MB,
        hold_seconds=5,
    )
    bridge = launch_for_module("serve", "--config", str(config), port=port)
    yield Hostile(bridge)
    assert bridge.alive
    assert '"event":"unexpected"' not in bridge.said
    assert "Traceback" not in bridge.said
    peak, rest = bridge.memory_bytes("VmHWM"), bridge.memory_bytes()
    assert peak < PEAK_BYTES, f"{peak // MB} MB at the peak"
    assert rest < REST_BYTES, f"{rest // MB} MB in the end"


# --- any JSON at any place ------------------------------------------------------------------------------------------

ROWS: dict[str, dict[str, Any]] = {
    "creditor": {"idnumber": "984842252", "vattype": 1, "hasforeigndebtors": True, "contact": {"email": "a@b.no"}},
    "invoice": {
        "invoiceNumber": "1",
        "type": "PAYMENT_REMINDER",
        "vat": True,
        "originalInvoiceAmount": 100.5,
        "currency": "NOK",
        "invoiceDate": "2024-01-15",
        "dueDate": "2024-02-15",
        "uniqueSourceInvoiceId": "u-1",
        "debtors": [{"name": "n", "dateOfBirth": "1980-01-01", "phoneNumbers": [{"value": "4712345678"}]}],
        "claims": [{"type": "PRINCIPAL", "remainingAmount": 100.5}],
    },
    "payment": {"invoiceNumber": "1", "amount": 1, "date": "2024-03-01", "type": "DIRECT_PAYMENT"},
    "action": {"ledgerref": "1", "actiontype": 1, "duedate": "2024-04-01", "message": "m"},
}
AWKWARD = st.sampled_from(
    [
        *("", " ", "\x00", "\ud800", "\udfff\ud800", "1e999999999", "-0", "1,250", "Infinity", "2024-02-30"),
        *("/Date(99999999999999999999)/", "9999-12-31T23:59:59+14:00", "0001-01-01T00:00:00-14:00", "../..", "%2e"),
        *("true", "٣", "﷽" * 20, "🦆", "<script>", "'; drop table row; --", "{organizationId}"),
        *(10**400, -(10**30), 1e308, 5e-324, -0.0, 2**63, 2**64, float("nan"), float("inf"), True, None),
    ]
)
TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
SCALARS = st.one_of(AWKWARD, TEXT, st.integers(), st.floats(), st.booleans(), st.none())
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=8
)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value within a row."""
    yield path
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from leaves(inner, (*path, step))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a copy with one value replaced."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(value[path[0]], path[1:], new)
    return copy


@st.composite
def damaged_rows(draw: Any, name: str) -> Any:
    """Draw a proper row with something else at one place, or in one more field; or anything at all."""
    row: Any = ROWS[name]
    if draw(st.integers(0, 9)) == 0:
        return draw(VALUES)
    if draw(st.booleans()):
        row = put(row, draw(st.sampled_from(list(leaves(row)))), draw(VALUES))
    if isinstance(row, dict) and draw(st.integers(0, 3)) == 0:
        spellings = st.sampled_from([spelling for key in ROWS[name] for spelling in (key.upper(), key.lower())])
        row = {**row, draw(st.one_of(TEXT, spellings)): draw(VALUES)}
    return row


@st.composite
def batches(draw: Any) -> dict[str, Any]:
    batch: dict[str, Any] = {name: draw(st.lists(damaged_rows(name), max_size=3)) for name in OBJECTNAMES}
    batch["batchid"] = draw(st.one_of(st.none(), st.uuids().map(str), SCALARS))
    if draw(st.integers(0, 4)) == 0:
        batch["offline"] = draw(SCALARS)
    if draw(st.integers(0, 9)) == 0:
        batch[draw(TEXT)] = draw(VALUES)
    return batch


FUZZ = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)


@FUZZ
@given(batches())
def test_any_json_at_any_place_of_a_batch(hostile: Hostile, batch: dict[str, Any]) -> None:
    """Each row is answered once, or the batch is refused as a whole."""
    answer = hostile.post(json.dumps(batch).encode())
    if answer.status == 200:
        check_conservation(answer, **{name: len(batch[name]) for name in OBJECTNAMES})


@FUZZ
@given(VALUES)
def test_any_json_instead_of_a_batch(hostile: Hostile, value: Any) -> None:
    """What is not an object is refused; an object is a batch, with whatever arrays it has."""
    answer = hostile.post(json.dumps(value).encode())
    if not isinstance(value, dict):
        assert answer.status == 400


@FUZZ
@given(st.data())
def test_a_batch_whose_bytes_were_damaged(hostile: Hostile, data: Any) -> None:
    """Bytes changed, lost or doubled on the way: refused as a whole, or read as what is left."""
    body = bytearray(json.dumps({"batchid": "x", **{name: [row] for name, row in ROWS.items()}}).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    charset = data.draw(st.sampled_from(["", "; charset=iso-8859-1", "; charset=utf-16", '; charset="windows-1252"']))
    hostile.post(bytes(body), Content_Type="application/json" + charset)


@FUZZ
@given(
    st.binary(max_size=200),
    st.sampled_from(["", "gzip", "deflate", "gzip, gzip", "br", "identity"]),
    st.sampled_from(["application/json", "text/plain", "", "application/json; charset=utf-7", ";;", "a/b+json"]),
)
def test_any_bytes_under_any_declaration(hostile: Hostile, body: bytes, coding: str, kind: str) -> None:
    """Random bytes are refused, but for those that happen to be a JSON object."""
    answer = hostile.post(body, Content_Encoding=coding, Content_Type=kind)
    assert answer.status != 200 or b"{" in body


@FUZZ
@given(st.text(st.characters(exclude_categories=["Cc"], max_codepoint=255), max_size=60), st.binary(max_size=20))
def test_any_credentials(hostile: Hostile, header: str, secret: bytes) -> None:
    """Credentials that nobody was given are answered with 401 and a challenge."""
    wrong = base64.b64encode(secret).decode()
    for authorization in (header, f"Basic {header}", f"Basic {wrong}", f"Bearer {wrong}"):
        answer = hostile.post(b"{}", Authorization=authorization)
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Basic realm=")


@FUZZ
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=60))
def test_any_query(hostile: Hostile, query: str) -> None:
    """A query that cannot be read, or names nobody, is a 401 or none at all; the other parameters are not looked at."""
    assert hostile.post(b"{}", query="?" + query).status in {200, 401}


# --- bodies made to hurt --------------------------------------------------------------------------------------------


def nested(opening: str, closing: str, inner: str = "0", depth: int = 100_000) -> str:
    return opening * depth + inner + closing * depth


def one_row(row: str) -> bytes:
    return b'{"invoice":[' + row.encode() + b"]}"


def row_with(field: str, value: str) -> bytes:
    """Return a batch of one good invoice row in which one field is put last as raw JSON."""
    return one_row(json.dumps(ROWS["invoice"])[:-1] + f',"{field}":{value}}}')


UNREADABLE: dict[str, Callable[[], bytes]] = {
    "brackets": lambda: nested("[", "]").encode(),
    "brackets that are never closed": lambda: b"[" * 100_000,
    "nested objects": lambda: nested('{"a":', "}").encode()[:-1],
    "brackets in an array's place": lambda: b'{"invoice":' + b"[" * 100_000 + b"}",
    "nothing": lambda: b"",
    "blanks": lambda: b" " * 60 * MB,
    "one number": lambda: b"1" * 60 * MB,
    "one string": lambda: b'"' + b"x" * 60 * MB + b'"',
    "a string that never ends": lambda: b'{"batchid":"' + b"\\" * 60 * MB,
    "a batchid of many megabytes": lambda: b'{"batchid":"' + b"x" * 60 * MB + b'"}',
    "noise": lambda: random.Random(1).randbytes(60 * MB),
}

ONE_ROW: dict[str, Callable[[], bytes]] = {
    "brackets as a row": lambda: one_row(nested("[", "]")),
    "objects as a row": lambda: one_row(nested('{"a":', "}")),
    "brackets in a known field": lambda: row_with("debtors", nested("[", "]")),
    "brackets in a text field": lambda: row_with("description", nested("[", "]")),
    "brackets in an unknown field": lambda: row_with("shoeSize", nested("[", "]")),
    "an amount of many digits": lambda: row_with("originalInvoiceAmount", "9" * 5_000_000),
    "an amount of many digits as text": lambda: row_with("originalInvoiceAmount", f'"{"9" * 5_000_000}"'),
    "an amount with a huge exponent": lambda: row_with("originalInvoiceAmount", "1e999999999"),
    "an amount with a tiny exponent": lambda: row_with("originalInvoiceAmount", "1e-999999999"),
    "an amount with a huge exponent as text": lambda: row_with("originalInvoiceAmount", '"1E+999999999"'),
    "a date of many digits": lambda: row_with("dueDate", f'"/Date({"9" * 1_000_000})/"'),
    "a lone surrogate": lambda: row_with("invoiceNumber", r'"\ud800"'),
    "a text of many megabytes": lambda: row_with("description", f'"{"x" * 20 * MB}"'),
    "many escapes": lambda: row_with("description", '"' + r"\u0000" * 2 * MB + '"'),
    "many unknown fields": lambda: row_with("a", "0," + ",".join(f'"f{n}":0' for n in range(200_000))),
    "one field over and over": lambda: row_with("a", "0," + ",".join(['"vat":true'] * 200_000)),
    "many debtors": lambda: row_with("debtors", "[" + ",".join(["{}"] * 50_000) + "]"),
    "many wrong debtors": lambda: row_with("debtors", "[" + ",".join(["0"] * 50_000) + "]"),
}


@pytest.mark.parametrize("make", UNREADABLE.values(), ids=UNREADABLE)
def test_a_monster_is_refused(hostile: Hostile, make: Callable[[], bytes]) -> None:
    """Nested a hundred thousand deep or sixty megabytes long: 400 with a message, and no rows."""
    assert hostile.post(make()).status == 400


@pytest.mark.parametrize("make", ONE_ROW.values(), ids=ONE_ROW)
def test_a_monstrous_row_is_answered_once(hostile: Hostile, make: Callable[[], bytes]) -> None:
    """The row is accepted or refused on its own, with a message that does not repeat it."""
    answer = hostile.post(make())
    if answer.status == 200:
        check_conservation(answer, invoice=1)
    else:
        assert answer.status == 400
    assert all(len(line["message"]) < 20_000 for line in answer.body["errors"])


@pytest.mark.parametrize(
    ("row", "count"), [("{}", 50_000), ("null", 50_000), pytest.param("{}", 200_000, marks=pytest.mark.chaos)]
)
def test_an_array_of_very_many_rows(hostile: Hostile, row: str, count: int) -> None:
    """Tens of thousands of worthless rows, or hundreds, are refused one by one."""
    answer = hostile.post(f'{{"invoice":[{",".join([row] * count)}]}}'.encode())
    assert (answer.status, len(answer.body["errors"]), answer.body["responses"]) == (200, count, [])
    assert [line["objectindex"] for line in answer.body["errors"]] == list(range(count))


@pytest.mark.parametrize(("megabytes", "status"), [(LIMIT_MB - 4, 200), (LIMIT_MB + 1, 413)])
@pytest.mark.parametrize("coding", ["", "gzip", "deflate"])
def test_the_size_limit_counts_after_decompression(hostile: Hostile, megabytes: int, status: int, coding: str) -> None:
    """A body just below the limit is taken, one above it refused, packed or not."""
    body = b'{"invoice":[]' + b" " * (megabytes * MB) + b"}"
    packed = gzip.compress(body, 1) if coding == "gzip" else zlib.compress(body, 1) if coding else body
    assert hostile.post(packed, Content_Encoding=coding or "identity").status == status


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compression_bomb_is_not_unpacked(hostile: Hostile, coding: str) -> None:
    """Half a megabyte that would become four hundred is refused without holding it."""
    before = hostile.bridge.memory_bytes("VmHWM")
    squeezer = zlib.compressobj(9, wbits=31 if coding == "gzip" else 15)
    bomb = b"".join(squeezer.compress(bytes(10 * MB)) for _ in range(40)) + squeezer.flush()
    assert len(bomb) < MB
    assert hostile.post(bomb, Content_Encoding=coding).status == 413
    assert hostile.bridge.memory_bytes("VmHWM") <= max(before + 16 * MB, 300 * MB)


def test_packed_bodies_at_once_take_no_more_memory_than_they_may(
    launch: Any, write_config: Any, free_port: Any, tmp_path: Any
) -> None:
    """Eight that become sixty megabytes each: those without room are put off, and a small batch is taken meanwhile."""
    port = free_port()
    bridge = launch("serve", "--config", str(write_config(tmp_path, port=port, max_body_mb=LIMIT_MB)), port=port)
    packed, before = gzip.compress(b"{" + b" " * 60 * MB + b"}", 1), bridge.memory_bytes()

    def post(body: bytes, **headers: str) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", bridge.port, timeout=60)) as connection:
            sent = {"Authorization": "Bearer token1", "Content-Type": "application/json", **headers}
            connection.request("POST", "/webapi/api/Batch", body, sent)
            return connection.getresponse().status

    with ThreadPoolExecutor(9) as callers:
        large = [callers.submit(post, packed, **{"Content-Encoding": "gzip"}) for _ in range(8)]
        small = [callers.submit(post, b"{}").result() for _ in range(10)]
        statuses = [one.result() for one in large]
    assert set(small) == {200}
    assert set(statuses) == {200, 503}
    grown = bridge.memory_bytes("VmHWM") - before
    assert grown < READING_MB * MB, f"{grown // MB} MB"


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        ("{}".encode("utf-16"), "utf-8"),
        ("{}".encode("utf-32"), "utf-32"),
        (b'{"batchid":"\xff"}', "utf-8"),
        (b'{"batchid":"\xc0\x80"}', "utf-8"),
        (b'{"batchid":"\xed\xa0\x80"}', "utf-8"),
        (b"+AHs-+AH0-", "utf-7"),
        (b'{"batchid":"\x81"}', "windows-1252"),
        (b"{}", "rot13"),
        (b"{}", "idna"),
        (b"{}", "\\"),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}", "utf-8"),
    ],
)
def test_a_wrong_charset_is_told(hostile: Hostile, body: bytes, charset: str) -> None:
    """Bytes that do not fit the declared charset, or a charset nobody knows: 400 or, as UTF-16 by its mark, read."""
    answer = hostile.post(body, Content_Type=f"application/json; charset={charset}")
    assert answer.status == (200 if body[:4] == "{}".encode("utf-16")[:4] else 400)


def test_duplicate_keys_are_settled_by_the_last_one(hostile: Hostile) -> None:
    """The last spelling of an array is the array; its rows are the ones that are answered."""
    answer = hostile.post(b'{"invoice":[{},{}],"INVOICE":[{}],"invoice":[{},{},{}],"Payment":null}')
    check_conservation(answer, invoice=3)
