"""Bodies are read within bounds: each of its own, and all of them together."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, cast

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import TransferEncodingError

from bridge.bodies import EXPANSION, LARGE_BODY_BYTES, Bodies, read_bounded
from bridge.errors import BatchTooLarge, CannotTakeNow, UnreadableBatch

MB = 1024 * 1024


class Request:
    """A request whose body comes in pieces; each piece may be an error, or something to wait for first."""

    def __init__(self, *pieces: bytes | Exception | asyncio.Event, length: int | None = None, **headers: str) -> None:
        self._pieces = pieces
        self.content_length = length
        self.headers = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        self.content = self
        self.given = 0

    def is_eof(self) -> bool:
        return False  # none of it has come yet

    async def iter_any(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            else:
                self.given += 1
                yield piece


def request(*pieces: bytes | Exception | asyncio.Event, **more: Any) -> web.Request:
    return cast("web.Request", Request(*pieces, **more))


def arrived(*pieces: bytes, **more: Any) -> web.Request:
    """Return a request whose body is there already."""
    made, loop = request(**more), asyncio.get_running_loop()
    content = StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    for piece in pieces:
        content.feed_data(piece)
    content.feed_eof()
    made.content = content  # aiohttp's is read-only, the stand-in's is not
    return made


def make(*, max_body_mb: float = 64, max_reading_mb: float = 64) -> Bodies:
    return Bodies(max_body_bytes=int(max_body_mb * MB), max_reading_bytes=int(max_reading_mb * MB))


def document(size: int) -> bytes:
    """Return a JSON object of this size."""
    return b'{"a":"' + b"x" * (size - 8) + b'"}'


def pieces_of(body: bytes, size: int = 64 * 1024) -> Iterable[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


@pytest.mark.parametrize("size", [100, LARGE_BODY_BYTES, LARGE_BODY_BYTES + 1])
async def test_a_body_comes_out_as_it_came(size: int) -> None:
    """In one piece or in many, decoded on the loop or in a thread; its room is taken until the context ends."""
    bodies, body = make(), document(size)
    async with bodies.read_json(request(*pieces_of(body))) as read:
        assert read == body
        assert bodies.in_use == size * EXPANSION
    assert bodies.in_use == 0


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
async def test_a_body_that_came_with_its_headers_is_taken_as_it_lies_there(packed: bool) -> None:
    """Within the same bounds as one that comes in pieces."""
    bodies, body = make(max_body_mb=0.01), document(10_000)
    more = {"Content_Encoding": "gzip"} if packed else {}
    async with bodies.read_json(arrived(gzip.compress(body) if packed else body, **more)) as read:
        assert read == body
        assert bodies.in_use == 10_000 * EXPANSION
    with pytest.raises(BatchTooLarge):
        async with bodies.read_json(arrived(gzip.compress(body * 2) if packed else body * 2, **more)):
            raise AssertionError("never reached")
    assert bodies.in_use == 0


async def test_a_body_that_came_broken_cannot_be_read() -> None:
    """Its end being there says nothing about the middle."""
    broken = arrived(b"{}")
    broken.content.set_exception(TransferEncodingError("x"))
    with pytest.raises(UnreadableBatch, match="broke off"):
        await read_bounded(broken, MB)
    assert await read_bounded(arrived(), MB) == b""


async def test_room_is_taken_for_what_a_body_inflates_to() -> None:
    """A small body may be a large one in disguise."""
    bodies, body = make(), document(2 * MB)
    async with bodies.read_json(request(gzip.compress(body), Content_Encoding="gzip")) as read:
        assert read == body
        assert bodies.in_use == pytest.approx(2 * MB * EXPANSION, rel=0.01)
    assert bodies.in_use == 0


async def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    """Not one piece of it."""
    large = Request(b"{}", length=2 * MB)
    with pytest.raises(BatchTooLarge, match="larger than 1 MB"):
        await read_bounded(cast("web.Request", large), MB)
    assert large.given == 0


async def test_a_body_that_turns_out_too_large_is_read_no_further() -> None:
    """Nothing said its length; its room is given back."""
    bodies = make(max_body_mb=1)
    endless = Request(*[b"x" * MB] * 10)
    with pytest.raises(BatchTooLarge):
        async with bodies.read_json(cast("web.Request", endless)):
            raise AssertionError("never reached")
    assert (endless.given, bodies.in_use) == (2, 0)


@pytest.mark.parametrize("broken", [TransferEncodingError("x"), ConnectionResetError(), TimeoutError()])
async def test_a_body_that_breaks_off_cannot_be_read(broken: Exception) -> None:
    """The caller is asked to send it again, and no room stays taken."""
    bodies = make()
    with pytest.raises(UnreadableBatch, match="broke off"):
        async with bodies.read_json(request(b"{", broken)):
            raise AssertionError("never reached")
    assert bodies.in_use == 0


async def test_a_body_that_stops_coming_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only pauses count: a slow body that goes on coming is read to its end."""
    monkeypatch.setattr("bridge.bodies.PAUSE_SECONDS", 0.05)
    with pytest.raises(UnreadableBatch):
        await read_bounded(request(b"{", asyncio.Event()), MB)
    pieces: list[bytes | Exception | asyncio.Event] = []
    for number in range(6):
        bell = asyncio.Event()
        asyncio.get_running_loop().call_later(0.02 * number, bell.set)
        pieces += [bell, b"x"]
    assert await read_bounded(request(*pieces), MB) == b"xxxxxx"


async def test_a_body_of_its_own_is_never_too_much() -> None:
    """However little room there is for all of them: it could never be sent at all."""
    bodies, body = make(max_body_mb=3, max_reading_mb=1), document(3 * MB)
    async with bodies.read_json(request(*pieces_of(body))) as read:
        assert len(read) == 3 * MB
    assert (bodies.in_use, bodies.in_use_by_large) == (0, 0)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
async def test_large_bodies_that_are_too_much_together_are_put_off(packed: bool) -> None:
    """Those that find no room are told to come back, and shut nobody out: neither the others nor small ones."""
    bodies, ends = make(max_body_mb=4, max_reading_mb=16), asyncio.Event()
    size = 1300 * 1024  # thrice that counts: three of them fit into the three quarters that are for large ones

    async def read() -> int:
        body = document(size)
        sent, more = (gzip.compress(body), {"Content_Encoding": "gzip"}) if packed else (body, {})
        async with bodies.read_json(request(*pieces_of(sent[:-1]), ends, sent[-1:], **more)) as whole:
            return len(whole)

    readers = [asyncio.create_task(read()) for _ in range(5)]
    await _until(lambda: sum(reader.done() for reader in readers) == 2)
    refused = [reader for reader in readers if reader.done()]
    for reader in refused:
        with pytest.raises(CannotTakeNow, match="too many large batches at once"):
            await reader
    async with bodies.read_json(request(document(LARGE_BODY_BYTES))):
        assert bodies.in_use <= 16 * MB
    ends.set()
    assert [await reader for reader in readers if reader not in refused] == [size] * 3
    assert (bodies.in_use, bodies.in_use_by_large) == (0, 0)


async def test_small_bodies_have_an_end_too() -> None:
    """They may take the room of the large ones, and no more."""
    bodies, ends = make(max_body_mb=1, max_reading_mb=4), asyncio.Event()
    body = document(400 * 1024)

    async def read() -> None:
        async with bodies.read_json(request(body[:-1], ends, body[-1:])):
            pass

    readers = [asyncio.create_task(read()) for _ in range(5)]
    await asyncio.sleep(0.01)
    assert sum(reader.done() for reader in readers) == 2  # 3.5 MB are taken, 4.7 would be
    ends.set()
    answers = await asyncio.gather(*readers, return_exceptions=True)
    assert sum(isinstance(answer, CannotTakeNow) for answer in answers) == 2
    assert bodies.in_use == 0


async def test_a_packed_body_is_not_inflated_beyond_its_room() -> None:
    """The bound holds at every moment for what a body becomes; nothing more of it is made, or read."""
    bodies, ends = make(max_body_mb=16, max_reading_mb=1), asyncio.Event()
    first = asyncio.create_task(_hold_large(bodies, ends, 8 * MB))
    await _until(lambda: bodies.in_use_by_large)
    packed = gzip.compress(bytes(12 * MB))
    second = Request(*pieces_of(packed, 1024), Content_Encoding="gzip")
    taken: list[int] = []
    watcher = asyncio.create_task(_watch(bodies, taken))
    with pytest.raises(CannotTakeNow):
        async with bodies.read_json(cast("web.Request", second)):
            raise AssertionError("never reached")
    watcher.cancel()
    assert max(taken) <= bodies.room_for_large
    assert 0 < second.given < len(packed) // 1024
    ends.set()
    await first
    assert bodies.in_use == 0


async def _until(condition: Callable[[], object]) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("the condition never came true")


async def _watch(bodies: Bodies, taken: list[int]) -> None:
    while True:
        taken.append(bodies.in_use_by_large)
        await asyncio.sleep(0)


async def _hold_large(bodies: Bodies, ends: asyncio.Event, size: int) -> None:
    body = document(size)
    async with bodies.read_json(request(*pieces_of(body[:-1]), ends, body[-1:])):
        pass


@pytest.mark.parametrize("bomb", [gzip.compress(bytes(64 * MB)), b"\x00\x00\x00\xff\xff" * MB], ids=["much", "nothing"])
async def test_a_packed_body_that_becomes_too_large_is_read_no_further(bomb: bytes) -> None:
    """One that inflates to more than the limit, and one that inflates to nothing and never ends."""
    coding = "gzip" if bomb.startswith(b"\x1f") else "deflate"
    endless = Request(*pieces_of(bomb, 1024), Content_Encoding=coding)
    bodies = make(max_body_mb=1)
    with pytest.raises(BatchTooLarge, match="larger than 1 MB"):
        async with bodies.read_json(cast("web.Request", endless)):
            raise AssertionError("never reached")
    assert endless.given < len(bomb) // 1024
    assert bodies.in_use == 0


async def test_others_take_their_turns_while_a_body_is_inflated() -> None:
    """One small piece of a packed body may keep the processor busy for long."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counter = asyncio.create_task(count())
    packed = gzip.compress(document(16 * MB))
    async with make().read_json(request(packed, Content_Encoding="gzip")):
        counter.cancel()
    assert turns >= 60


async def _hold(bodies: Bodies, ends: asyncio.Event) -> None:
    async with bodies.read_json(request(b'{"a":1', ends, b"}")):
        pass


async def test_a_caller_that_is_cancelled_gives_its_room_back() -> None:
    """In the middle of its body."""
    bodies = make()
    reader = asyncio.create_task(_hold(bodies, asyncio.Event()))
    await asyncio.sleep(0)
    assert bodies.in_use > 0
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    assert bodies.in_use == 0
