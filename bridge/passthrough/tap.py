"""What is kept of an exchange with the legacy host, beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping


class Tap:
    """What is kept of an exchange beside it: both bodies, as they pass.

    It slows nothing and refuses nothing: when there is no room for more, it lets go of everything and says so.
    """

    def __init__(
        self,
        *,
        grant: Callable[[int], bool],
        sent: Callable[[], None],
        keep_request: bool = True,
        keep_reply: bool = True,
    ) -> None:
        """`grant` is asked for the room of so many bytes more, `sent` called once the whole request has left."""
        self._grant = grant
        self._sent = sent
        self._keep_request = keep_request
        self._keep_reply = keep_reply
        self._request: list[bytes] = []
        self._reply: list[bytes] = []
        self.whole = True
        """Whether it holds everything that has passed so far."""
        self.has_sent = False
        """Whether the request has left to its end: the legacy host may have taken it."""
        self.status = 0
        """Of an answer that has reached the caller to its end."""
        self.headers: Mapping[str, str] = {}
        """Of the same answer."""

    @property
    def request(self) -> bytes:
        """Return what is kept of the request's body."""
        return self._request[0] if len(self._request) == 1 else b"".join(self._request)

    @property
    def reply(self) -> bytes:
        """Return what is kept of the answer's body."""
        return self._reply[0] if len(self._reply) == 1 else b"".join(self._reply)

    def see_request(self, piece: bytes) -> None:
        """Keep a piece of the request."""
        if self._keep_request:
            self._keep(self._request, piece)

    def see_reply(self, piece: bytes) -> None:
        """Keep a piece of the answer."""
        if self._keep_reply:
            self._keep(self._reply, piece)

    def end_request(self) -> None:
        """Hear that the whole request has left."""
        self.has_sent = True
        sent, self._sent = self._sent, _do_nothing  # once; and whoever listens holds this: no circle for the collector
        sent()

    def end_reply(self, status: int, headers: Mapping[str, str]) -> None:
        """Hear that the whole answer has reached the caller."""
        self.status, self.headers = status, headers

    def let_go(self) -> None:
        """Keep nothing any more."""
        self.whole = False
        self._request.clear()
        self._reply.clear()

    def _keep(self, side: list[bytes], piece: bytes) -> None:
        if self.whole and self._grant(len(piece)):
            side.append(piece)
        else:
            self.let_go()


def _do_nothing() -> None:
    pass
