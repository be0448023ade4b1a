"""Hand a request to the legacy host and its answer back, byte for byte, streamed both ways.

Nothing is read, decoded, compressed or kept. Headers that belong to one connection stay with it (RFC 9110, section
7.6.1); all others pass as they are, the caller's credentials included: who may do what is the legacy host's decision.
"""

from __future__ import annotations

import asyncio
from urllib.parse import unquote

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from bridge.errors import NoAnswer, NotSetUp, UnreadableQuestion
from bridge.logs import Event, get_log
from bridge.settings import LegacySettings

log = get_log()

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
OURS = frozenset({"host", "expect"})
"""Of a request: what the next connection has its own of. `Expect` is answered before anything is passed on."""
CHUNK_BYTES = 256 * 1024
CONNECT_SECONDS = 10.0
CALLER_GONE = 499
"""What an exchange is counted as whose caller went away."""
LOOK_SECONDS = 0.5
"""How often to look whether the caller is still there while the legacy host is silent."""
NO_HOST = (
    "this call needs the legacy host, which the modern system has no counterpart for: have the operator of the bridge "
    "set [legacy] base_url while that host still runs"
)
CROOKED = "the path steps upwards (..): write it straight"
UNREACHED = "the legacy host could not be reached: send the same request again later"
BROKEN = "the exchange with the legacy host broke: what it did with the request is not known"
SILENT = "the legacy host did not answer in time: what it did with the request is not known"


def open_legacy_session(settings: LegacySettings) -> aiohttp.ClientSession:
    """Return a session that changes nothing: no cookies, no headers of its own, no decompression, no redirects."""
    silence = settings.request_timeout_seconds
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
        auto_decompress=False,
        skip_auto_headers=(hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence),
        read_bufsize=CHUNK_BYTES,
    )


class PassThrough:
    """The way to the legacy host."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str | None) -> None:
        self._session = session
        self._base_url = base_url

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """Pass one request on, and its answer back. Raises NotSetUp without a legacy host, NoAnswer when it fails.

        A caller that goes away ends the exchange with the legacy host as well. An answer that breaks off breaks off for
        the caller, too: it must not look whole.
        """
        if self._base_url is None:
            raise NotSetUp(NO_HOST)
        if _is_crooked(request.rel_url.raw_path):
            raise UnreadableQuestion(CROOKED)
        url = URL(self._base_url + request.rel_url.raw_path_qs, encoded=True)
        exchange = asyncio.create_task(self._exchange(request, url))
        try:
            while not (await asyncio.wait({exchange}, timeout=LOOK_SECONDS))[0]:
                if _is_gone(request):
                    return web.StreamResponse(status=CALLER_GONE)
            return exchange.result()
        finally:
            exchange.cancel()  # does nothing to one that has ended

    async def _exchange(self, request: web.Request, url: URL) -> web.StreamResponse:
        answer: web.StreamResponse | None = None
        try:
            async with self._session.request(
                request.method,
                url,
                headers=pass_headers(request.headers, OURS),
                data=request.content if request.body_exists else None,
                allow_redirects=False,
            ) as reply:
                answer = web.StreamResponse(
                    status=reply.status, reason=reply.reason, headers=pass_headers(reply.headers, frozenset())
                )
                return await _stream(request, reply, answer)
        except TimeoutError:
            return _give_up(request, answer, 504, SILENT)
        except aiohttp.ClientConnectorError:
            return _give_up(request, answer, 502, UNREACHED)
        except (aiohttp.ClientError, ConnectionError):
            return _give_up(request, answer, 502, BROKEN)


async def _stream(
    request: web.Request, reply: aiohttp.ClientResponse, answer: web.StreamResponse
) -> web.StreamResponse:
    if hdrs.CONTENT_LENGTH not in answer.headers and _has_body(request, reply):
        if request.version >= aiohttp.HttpVersion11:
            answer.enable_chunked_encoding()
        else:
            answer.force_close()
    await answer.prepare(request)
    async for chunk in reply.content.iter_any():
        await answer.write(chunk)
    await answer.write_eof()
    return answer


def pass_headers(headers: CIMultiDictProxy[str], own: frozenset[str]) -> CIMultiDict[str]:
    """Return the headers that travel on: neither those of one connection, nor those that `Connection` names."""
    named = ",".join(headers.getall(hdrs.CONNECTION, ())).lower().split(",")
    stay = HOP_BY_HOP | own | {name.strip() for name in named}
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in stay)


def _has_body(request: web.Request, reply: aiohttp.ClientResponse) -> bool:
    return request.method != hdrs.METH_HEAD and reply.status not in {204, 304}


def _is_crooked(path: str) -> bool:
    """Tell whether a path leads somewhere else than it seems to."""
    return ".." in unquote(path).replace("\\", "/").split("/")


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _give_up(request: web.Request, answer: web.StreamResponse | None, status: int, message: str) -> web.StreamResponse:
    """Say that there is no answer; one that has begun is broken off, so that nobody takes it for a whole one."""
    if _is_gone(request):
        return answer or web.StreamResponse(status=CALLER_GONE)
    log.warning(Event.LEGACY_HOST_FAILED, status=status)
    if answer is None or not answer.prepared:
        raise NoAnswer(message, status=status)
    if request.transport is not None:
        request.transport.abort()
    return answer
