"""What the legacy system itself is not sure of, learnt from two of its answers to one payload."""

from __future__ import annotations

from collections.abc import Generator

from bridge.batch import Address
from bridge.comparing.judging import Judge, compare_by_steps
from bridge.comparing.paths import guarded
from bridge.comparing.values import Answer, Kind

Found = tuple[tuple[Address | None, str], ...]


def learn_noise(first: Answer, second: Answer) -> Found:
    """Return where two legacy answers to one payload give other values for one field; address None: of the batch.

    Only values count: a row that is there once, or refused once, is no noise. Neither is anything in an answer to a
    batch that was refused as a whole.
    """
    steps = learn_by_steps(first, second)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Found = end.value
            return found


def learn_by_steps(first: Answer, second: Answer) -> Generator[None, None, Found]:
    """Do the same in slices of about a millisecond, for whoever has an event loop to keep going."""
    if first == second or not 200 <= first.status < 300 or not 200 <= second.status < 300:
        return ()
    comparison = yield from compare_by_steps(first, second, Judge())
    values = (one for one in comparison.differences if one.kind is Kind.VALUE)
    return tuple((one.address, one.path) for one in values if not guarded(one.path))
