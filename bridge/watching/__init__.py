"""What the bridge learns from the legacy host's answers, beside them: recordings, comparisons, what traffic uses.

An `Exchange` is offered to the `queue`, which never waits; `watch` looks at one after the other: `decoding` makes JSON
of it, `placing` tells whose rows they are, `predicting` (or a shadow target) gives the bridge's answer, `comparing`
holds the two against each other, `reporting` counts. `exercise` notes which parts of the mapping files were used,
`memory` which claims would exist by now. By import rule nothing here reaches what writes to the modern system.
"""

from bridge.watching.exercise import Trail, attend
from bridge.watching.memory import ShadowClaims
from bridge.watching.queue import WatchQueue
from bridge.watching.scribe import PenAndKey
from bridge.watching.watch import Desks, Scribe, Target, Terms, Watcher

__all__ = [
    "Desks",
    "PenAndKey",
    "Scribe",
    "ShadowClaims",
    "Target",
    "Terms",
    "Trail",
    "WatchQueue",
    "Watcher",
    "attend",
]
