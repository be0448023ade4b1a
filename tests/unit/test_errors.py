"""Errors: what their messages owe to whoever reads them."""

from collections.abc import Iterator

import pytest

from bridge.errors import CallerError


def list_kinds(kind: type[CallerError]) -> Iterator[type[CallerError]]:
    """Yield every kind of caller's error, however deep."""
    for narrower in kind.__subclasses__():
        yield narrower
        yield from list_kinds(narrower)


@pytest.mark.parametrize("kind", list(list_kinds(CallerError)))
def test_a_caller_is_told_what_to_do(kind: type[CallerError]) -> None:
    """First what is wrong; behind the colon the remedy, which begins with its verb."""
    wrong, colon, remedy = kind.default_message().partition(": ")
    assert wrong
    assert colon
    assert remedy.split()[0] in {"send", "correct", "use", "name", "split", "ask", "wait"}
