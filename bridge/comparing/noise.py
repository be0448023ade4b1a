"""What the legacy system itself is not sure of, learnt from two of its answers to one payload."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.batch import Address
from bridge.comparing.judging import Judge, compare
from bridge.comparing.paths import guarded
from bridge.comparing.values import Answer, Kind


def learn_noise(first: Answer, second: Answer) -> Iterator[tuple[Address | None, str]]:
    """Yield where two legacy answers to one payload give other values for one field; address None: of the batch.

    Only values count: a row that is there once, or refused once, is no noise. Neither is anything in an answer to a
    batch that was refused as a whole.
    """
    if not 200 <= first.status < 300 or not 200 <= second.status < 300:
        return
    for difference in compare(first, second, Judge()).differences:
        if difference.kind is Kind.VALUE and not guarded(difference.path):
            yield difference.address, difference.path
