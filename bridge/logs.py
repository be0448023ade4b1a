"""One structured line per event, with names and fields from two closed lists, so that nothing personal slips in.

A field that is not in `Fields` raises until `configure_logs` has run (so in every test) and is dropped afterwards.
Whatever libraries log through `logging` arrives as LIBRARY_MESSAGE: the message's template without its arguments, and
of an exception its class and the lines it passed, never its text or a local value.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from enum import StrEnum, auto
from pathlib import Path
from typing import Any, ClassVar, TextIO, TypedDict, Unpack, cast

import msgspec
import structlog

from bridge.errors import BridgeError


class Event(StrEnum):
    """Everything the bridge tells its operator."""

    BRIDGE_STARTED = auto()
    BRIDGE_STOPPED = auto()
    DRAINING = auto()
    BATCH_TAKEN = auto()
    BATCH_REPLAYED = auto()
    BATCH_JOINED = auto()
    BATCH_RESUMED = auto()
    BATCH_PARKED = auto()
    BATCH_LOST = auto()
    BATCH_FINISHED = auto()
    CALL_TAKEN = auto()
    CALL_NOT_TAKEN = auto()
    CALL_IN_DOUBT = auto()
    CALL_RECONCILED = auto()
    CALL_SPLIT = auto()
    DOUBLED_BATCH = auto()
    LOOK_UP_FAILED = auto()
    ROWS_WAITING = auto()
    ORGANIZATION_HELD = auto()
    KEYS_UNREACHABLE = auto()
    WEBHOOK_RECEIVED = auto()
    WEBHOOK_REJECTED = auto()
    READ_ANSWERED = auto()
    READ_FAILED = auto()
    CLAIMS_NOT_KEPT = auto()
    AMOUNT_NOT_READ = auto()
    SETTLEMENT_MISSING = auto()
    LEGACY_HOST_FAILED = auto()
    RECORDING_FAILED = auto()
    NOTES_LOST = auto()
    SHADOW_FAILED = auto()
    REQUEST_ANSWERED = auto()
    JOURNAL_UNAVAILABLE = auto()
    ORDER_CARRIED_OUT = auto()
    ROUND_FAILED = auto()
    SWITCHED = auto()
    SWITCH_IGNORED = auto()
    SWITCHES_NOT_READ = auto()
    GUARDRAIL_TRIPPED = auto()
    PAYLOADS_ERASED = auto()
    LIBRARY_MESSAGE = auto()
    UNEXPECTED = auto()


class Fields(TypedDict, total=False):
    """Everything that may stand beside an event; none may hold personal data, a new one is a decision about privacy."""

    batch: str
    sender: str
    organization: str
    call: str
    modern_batch: str
    operation: str
    objectname: str
    objectindex: int
    state: str
    rows: int
    accepted: int
    refused: int
    pending: int
    cases: int
    settlements: int
    settlement: str
    in_doubt: int
    calls: int
    count: int
    attempt: int
    status: int
    method: str
    route: str
    way: str
    request: str
    duration_ms: float
    lag_ms: float
    retry_seconds: float
    host: str
    port: int
    version: str
    profile: str
    names: tuple[str, ...]
    why: str
    error: str
    trace: tuple[str, ...]
    logger: str
    message: str
    dropped: tuple[str, ...]


ALLOWED = frozenset(Fields.__annotations__)


class Log:
    """Writes events; immutable, `bind` returns one that carries fields."""

    strict: ClassVar[bool] = True
    """Whether a field that is not allowed raises; `configure_logs` decides."""

    def __init__(self, **bound: Unpack[Fields]) -> None:
        self._bound = bound

    def bind(self, **fields: Unpack[Fields]) -> Log:
        """Return a log that puts these fields on each of its lines."""
        together: Fields = {**self._bound, **fields}
        return Log(**together)

    def info(self, event: Event, **fields: Unpack[Fields]) -> None:
        """Tell what happened."""
        _write("info", event, {**self._bound, **fields})

    def warning(self, event: Event, **fields: Unpack[Fields]) -> None:
        """Tell what somebody should look at when it keeps happening."""
        _write("warning", event, {**self._bound, **fields})

    def error(self, event: Event, **fields: Unpack[Fields]) -> None:
        """Tell what somebody must look at."""
        _write("error", event, {**self._bound, **fields})

    def exception(self, event: Event, **fields: Unpack[Fields]) -> None:
        """Tell of the exception that is being handled: its class and way, not its text."""
        caught = sys.exception()
        together: Fields = {**(describe_error(caught) if caught else {}), **fields}
        self.error(event, **together)


def get_log() -> Log:
    """Return a log without bound fields."""
    return Log()


def describe_error(error: BaseException) -> Fields:
    """Return class and way of an exception; its text only where it is ours, or the operating system's."""
    fields = Fields(error=type(error).__name__, trace=_trace(error))
    if isinstance(error, BridgeError):
        fields["why"] = str(error)
    elif isinstance(error, OSError) and error.strerror:
        fields["why"] = error.strerror
    return fields


def _trace(error: BaseException) -> tuple[str, ...]:
    """Return the lines an exception passed, outermost first, its causes before it."""
    lines: list[str] = []
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        lines += [*_trace(cause), f"then {type(error).__name__}"]
    for frame in traceback.extract_tb(error.__traceback__):
        lines.append(f"{'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno} {frame.name}")
    return tuple(lines)


def _write(level: str, event: Event, fields: Mapping[str, Any]) -> None:
    """Hand a line to structlog if all its fields are allowed."""
    if not fields.keys() <= ALLOWED:
        unknown = tuple(sorted(fields.keys() - ALLOWED))
        if Log.strict:
            raise ValueError(f"not a log field: {', '.join(unknown)}; see logs.Fields")
        fields = {name: value for name, value in fields.items() if name in ALLOWED} | {"dropped": unknown}
    getattr(_sink(), level)(event.value, **fields)


_bound: Any = None
"""What `configure_logs` had structlog make ready: to look for it again would cost a line more than to write it."""
_bound_to: list[Any] = []
"""The processors it was made for; others are in force when somebody has configured structlog since."""


def _sink() -> Any:
    """Return structlog's logger as configured now."""
    return _bound if structlog.get_config()["processors"] is _bound_to else structlog.get_logger()


class LossyStream:
    """Writes what can be written: a log nobody can take (a full disk, a reader that is gone) costs its lines only."""

    lost: ClassVar[int] = 0
    """How many writes have failed in this process."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, or lose it."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError):  # the latter of a stream that was closed
            LossyStream.lost += 1
            return len(text)

    def flush(self) -> None:
        """Have everything leave that can."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            LossyStream.lost += 1


class LibraryHandler(logging.Handler):
    """Passes what libraries log on to our own log, stripped to what cannot be personal."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record as LIBRARY_MESSAGE."""
        # a template is the library's own text; asyncio puts the repr of values on the lines below the first one
        template = record.msg.partition("\n")[0] if isinstance(record.msg, str) else type(record.msg).__name__
        fields = Fields(logger=record.name, message=template)
        if record.exc_info and record.exc_info[1]:
            fields.update(describe_error(record.exc_info[1]))
        _write("error" if record.levelno >= logging.ERROR else "warning", Event.LIBRARY_MESSAGE, fields)


def configure_logs(stream: TextIO, pretty: bool, *, strict: bool = False) -> None:
    """Send every line to a stream, as JSON or, for people, in colour; route `logging` there too."""
    global _bound, _bound_to  # noqa: PLW0603 - as global as structlog's configuration, whose product it is
    _bound_to = (
        [
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.dev.ConsoleRenderer(colors=stream.isatty()),
        ]
        if pretty
        else [_render]
    )
    structlog.configure(
        processors=_bound_to,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", LossyStream(stream))),
        cache_logger_on_first_use=False,
    )
    _bound = structlog.get_logger().bind()
    Log.strict = strict
    logging.basicConfig(handlers=[LibraryHandler()], level=logging.WARNING, force=True)


def _render(_: Any, level: str, line: MutableMapping[str, Any]) -> str:
    """Return a line as JSON, with its level and time; the three steps structlog has for this cost twice as much."""
    line["level"] = level
    line["at"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return _encode(line).decode()


_encode = msgspec.json.Encoder().encode
