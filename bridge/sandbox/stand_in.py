"""Everything one stand-in holds, and what happens by itself as time passes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any

import aiohttp

from .books import Account, Books
from .events import BATCH_COMPLETED, tell_batch
from .faults import Deck
from .ids import Ids
from .legacy_books import LegacyBooks
from .lifecycle import Announcement, Batch, Tidings
from .options import SandboxOptions
from .request_log import RequestLog
from .script import Behaviour, Script, load_script
from .tokens import TokenOffice
from .webhooks import Event, WebhookSender


class StandIn:
    """One stand-in for the modern API, without its HTTP surface. Raises ScriptFault when its script cannot be used."""

    def __init__(self, options: SandboxOptions) -> None:
        self.options = options
        self.tokens = TokenOffice(Ids(options.seed, "tokens"), options.clients, options.token_lifetime_seconds)
        self.log = RequestLog(options.log_size, options.log_body_bytes)
        self.webhooks = WebhookSender(options, Ids(options.seed, "webhooks"))
        self._tasks: set[asyncio.Task[None]] = set()
        self.books = Books()
        self.ids = Ids(options.seed, "books")
        self.legacy_books = LegacyBooks()
        self.legacy_answers: dict[tuple[str, str, str], dict[str, Any]] = {}
        """(senderid, batchid, digest) → the answer that was given."""
        self.deck = Deck(load_script(options.script) if options.script else Script(), options.seed)

    @property
    def behaviour(self) -> Behaviour:
        """The behaviour in force."""
        return self.deck.script.behaviour

    def now(self) -> float:
        """Return Unix seconds by the stand-in's clock."""
        return self.options.clock()

    def play_script(self, script: Script, *, append: bool = False) -> None:
        """Put a script in force, or add it to the one that is."""
        if append:
            self.deck.extend(script)
        else:
            self.deck = Deck(script, self.options.seed)

    def reset(self) -> None:
        """Forget everything accepted and start the seed over; script and tokens stay, fault counters go to zero."""
        for task in self._tasks:
            task.cancel()
        self.log.clear()
        self.webhooks.deliveries.clear()
        self.webhooks.ids = Ids(self.options.seed, "webhooks")
        self.books = Books()
        self.ids = Ids(self.options.seed, "books")
        self.legacy_books = LegacyBooks()
        self.legacy_answers.clear()
        self.play_script(self.deck.script)

    # --- the life of batches ---------------------------------------------------------------------------------------

    def set_going(self, batch: Batch) -> None:
        """Let a new batch finish at once, or when its time comes."""
        self.tick(batch)
        seconds = batch.pace.after_seconds
        if batch.finished_at is None and seconds is not None:
            # a timer may fire a hair early by the clock; for this batch the time has come all the same
            due = batch.created_at + seconds
            self.later(seconds, lambda: self.tick(batch, at_least=due))

    def poll(self, batch: Batch) -> None:
        """Count a look at a batch; tell the world if that finished it."""
        if batch.poll(self.now()):
            self._announce(batch)

    def poll_queued(self, account: Account) -> None:
        """Count a look at every batch of an organization that has not finished."""
        for batch in list(account.queued.values()):
            self.poll(batch)

    def tick(self, batch: Batch, at_least: float = 0.0) -> None:
        """Finish a batch whose time has come, and tell the world."""
        if batch.tick(max(self.now(), at_least)):
            self._announce(batch)

    def _announce(self, batch: Batch) -> None:
        self.books.account(batch.organization).queued.pop(batch.id, None)
        if self.tells(BATCH_COMPLETED):
            self.tell([tell_batch(batch)], batch.announcement)
        self.tell(batch.tidings, batch.announcement)
        batch.tidings = []

    # --- events ----------------------------------------------------------------------------------------------------

    def tells(self, event: str) -> bool:
        """Return whether anybody is told of events of this name."""
        return bool(self.options.webhook_url) and self.behaviour.tells(event)

    def tell(self, tidings: Iterable[Tidings], announcement: Announcement) -> None:
        """Send webhooks, in the way the announcement says."""
        for one in tidings:
            event = self.webhooks.compose(one, self.now(), with_comma=self.behaviour.case_event_comma)
            if announcement.lost:
                self.webhooks.lose(event)
                continue
            for copy in range(announcement.copies):
                self._start(self._send_later(event, copy, announcement.delay_seconds))

    async def _send_later(self, event: Event, copy: int, seconds: float) -> None:
        if seconds:
            await self.options.sleep(seconds)
        await self.webhooks.send(event, copy)

    # --- time ------------------------------------------------------------------------------------------------------

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something once this much time has passed, unless the stand-in is reset or stopped before."""

        async def wait() -> None:
            await self.options.sleep(seconds)
            action()

        self._start(wait())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @contextlib.asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Hold what needs the event loop; on leaving, nothing is left running."""
        timeout = aiohttp.ClientTimeout(total=self.options.webhook_timeout_seconds)
        async with aiohttp.ClientSession(timeout=timeout) as self.webhooks.session:
            try:
                yield
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
