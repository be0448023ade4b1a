"""What is kept of an exchange: who asked for it hears once that it left, and is let go."""

from __future__ import annotations

import gc
import weakref

from bridge.passthrough import Tap


class Listener:
    """Someone who holds the tap that tells him."""

    def __init__(self) -> None:
        self.heard = 0
        self.tap = Tap(grant=lambda _: True, sent=self.hear)

    def hear(self) -> None:
        self.heard += 1


def test_that_a_request_has_left_is_told_once() -> None:
    """However often it is said."""
    listener = Listener()
    listener.tap.end_request()
    listener.tap.end_request()
    assert (listener.heard, listener.tap.has_sent) == (1, True)


def test_who_has_heard_is_let_go() -> None:
    """A batch is forgotten at once, not when the collector comes round, which is seldom."""
    listener = Listener()
    listener.tap.end_request()
    seen = weakref.ref(listener)
    gc.disable()
    try:
        del listener
        assert seen() is None
    finally:
        gc.enable()
