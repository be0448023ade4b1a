"""One line per event, from closed lists of names and fields, with nothing personal in it."""

import asyncio
import io
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from bridge.errors import CannotTakeNow
from bridge.logs import Event, Fields, Log, LossyStream, configure_logs, describe_error, get_log

SECRET = "Kari Nordmann 01017012345"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Configure JSON logs into a stream, and undo it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logs(stream, pretty=False)
    yield stream
    structlog.reset_defaults()
    Log.strict = True
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """Return what was logged."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail(value: str) -> None:
    """Raise with a value in the text, in a local variable and in a cause."""
    try:
        int(value)
    except ValueError as error:
        raise KeyError(value) from error


def test_line(stream: io.StringIO) -> None:
    """A line is one JSON object with event, level, time and fields."""
    get_log().info(Event.BATCH_TAKEN, batch="b1", rows=3, duration_ms=1.5)
    (line,) = lines(stream)
    assert line.pop("at").endswith("Z")
    assert line == {"event": "batch_taken", "level": "info", "batch": "b1", "rows": 3, "duration_ms": 1.5}


def test_levels(stream: io.StringIO) -> None:
    """Each level is told."""
    log = get_log()
    log.warning(Event.CALL_IN_DOUBT)
    log.error(Event.JOURNAL_UNAVAILABLE)
    assert [line["level"] for line in lines(stream)] == ["warning", "error"]


def test_bound_fields(stream: io.StringIO) -> None:
    """A bound log carries its fields on each line and leaves the one it came from alone."""
    log = get_log()
    bound = log.bind(batch="b1", sender="ERP-1").bind(sender="ERP-2")
    bound.info(Event.BATCH_FINISHED, call="c1")
    log.info(Event.DRAINING)
    first, second = lines(stream)
    assert (first["batch"], first["sender"], first["call"]) == ("b1", "ERP-2", "c1")
    assert "batch" not in second


def test_a_field_that_is_not_listed_raises_in_tests() -> None:
    """Unless logs were configured for service, a field outside the list is a fault of the program."""
    with pytest.raises(ValueError, match=r"not a log field: amount, debtor; see logs\.Fields"):
        get_log().info(Event.BATCH_TAKEN, debtor=SECRET, amount="1", batch="b")  # type: ignore[call-arg]  # the point


def test_a_field_that_is_not_listed_is_dropped_in_service(stream: io.StringIO) -> None:
    """In service the line comes without it, and says that something was dropped."""
    get_log().bind(debtor=SECRET).info(Event.BATCH_TAKEN, batch="b")  # type: ignore[call-arg]  # the point
    (line,) = lines(stream)
    assert (line["batch"], line["dropped"]) == ("b", ["debtor"])
    assert SECRET not in stream.getvalue()


def test_strict_service() -> None:
    """Configured to be strict, the logs raise as in tests."""
    try:
        configure_logs(io.StringIO(), pretty=False, strict=True)
        with pytest.raises(ValueError, match="not a log field"):
            get_log().info(Event.BATCH_TAKEN, debtor=SECRET)  # type: ignore[call-arg]  # the point
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers.clear()


def test_unexpected_error(stream: io.StringIO) -> None:
    """An unforeseen exception is told by class and way, never by its text or the values around it."""
    try:
        fail(SECRET)
    except KeyError:
        get_log().exception(Event.UNEXPECTED, batch="b1")
    (line,) = lines(stream)
    assert (line["event"], line["error"], line["batch"]) == ("unexpected", "KeyError", "b1")
    assert line["trace"][0].endswith(" fail")
    assert "then KeyError" in line["trace"]
    assert "unit/test_logs.py" in line["trace"][-1]
    assert SECRET not in stream.getvalue()


def test_exception_without_one(stream: io.StringIO) -> None:
    """Outside a handler the event is told all the same."""
    get_log().exception(Event.UNEXPECTED, why="none at hand")
    (line,) = lines(stream)
    assert (line["level"], line["why"]) == ("error", "none at hand")
    assert "error" not in line


def test_reasons_that_may_be_told() -> None:
    """The text of our own errors and of the operating system is told; that of others is not."""
    assert describe_error(CannotTakeNow("full"))["why"] == "full"
    assert describe_error(OSError(28, "No space left on device"))["why"] == "No space left on device"
    assert "why" not in describe_error(OSError(SECRET))
    assert "why" not in describe_error(ValueError(SECRET))


def test_context_of_an_error() -> None:
    """What was being handled when another error struck is part of the way, unless it was declared irrelevant."""
    errors = []
    for cause in (None, "hide"):
        try:
            try:
                fail("x")
            except KeyError:
                if cause:
                    raise RuntimeError from None
                raise RuntimeError  # noqa: B904  # the context is what is tested
        except RuntimeError as error:
            errors.append(describe_error(error)["trace"])
    assert "then RuntimeError" in errors[0]
    assert "then RuntimeError" not in errors[1]


def test_library_messages(stream: io.StringIO) -> None:
    """What a library logs arrives without its arguments, and its exceptions without their text."""
    logger = logging.getLogger("aiohttp.server")
    try:
        fail(SECRET)
    except KeyError:
        logger.exception("Error handling request from %s", SECRET)
    logger.warning(ValueError(SECRET))
    logger.info("not told")
    first, second = lines(stream)
    assert first["message"] == "Error handling request from %s"
    assert (first["event"], first["level"], first["logger"]) == ("library_message", "error", "aiohttp.server")
    assert first["error"] == "KeyError"
    assert (second["message"], second["level"]) == ("ValueError", "warning")
    assert SECRET not in stream.getvalue()


async def test_forgotten_tasks(stream: io.StringIO) -> None:
    """A task whose error nobody looked at is told without the error's text."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    loop.call_exception_handler(
        {"message": "Task exception was never retrieved", "exception": ValueError(SECRET), "future": future}
    )
    (line,) = lines(stream)
    assert (line["message"], line["error"]) == ("Task exception was never retrieved", "ValueError")


def test_pretty(stream: io.StringIO) -> None:
    """For people, a line is words rather than JSON."""
    configure_logs(stream, pretty=True)
    get_log().info(Event.BRIDGE_STARTED, host="127.0.0.1", port=8080)
    assert "bridge_started" in stream.getvalue()
    assert "port=8080" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_names() -> None:
    """Event names are lower-case words, and every field is of a plain type."""
    assert all(event.value == event.name.lower() for event in Event)
    assert set(map(str, Fields.__annotations__.values())) <= {
        f"ForwardRef('{kind}', module='bridge.logs')" for kind in ("str", "int", "float", "tuple[str, ...]")
    }


def test_a_line_is_fast(stream: io.StringIO) -> None:
    """A line costs microseconds (measured 9, bound with much room to spare)."""
    log = get_log().bind(batch="b1", sender="ERP-1")
    started = time.process_time()
    for _ in range(1000):
        log.info(Event.CALL_TAKEN, call="c1", rows=100, duration_ms=1.5)
    assert time.process_time() - started < 0.2


class Unwritable(io.StringIO):
    """A stream that fails in one way."""

    def __init__(self, failure: Exception) -> None:
        super().__init__()
        self._failure = failure

    def write(self, _: str) -> int:
        """Fail."""
        raise self._failure

    def flush(self) -> None:
        """Fail again."""
        raise self._failure


@pytest.mark.usefixtures("stream")
@pytest.mark.parametrize("failure", [OSError(28, "a full disk"), BrokenPipeError(), ValueError("a closed file")])
def test_a_log_that_cannot_be_written_disturbs_nobody(failure: Exception) -> None:
    """Its lines are lost and counted; neither our own events nor what libraries say raises."""
    configure_logs(Unwritable(failure), pretty=False)
    before = LossyStream.lost
    get_log().info(Event.BATCH_TAKEN)
    logging.getLogger("aiohttp").error("a template")
    assert LossyStream.lost >= before + 2
