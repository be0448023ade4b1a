"""What the bridge learns from the legacy host's answers, beside them: recordings, comparisons, what traffic uses.

An `Exchange` is offered to the `queue`, which never waits, and works at a `pace` that leaves the core to callers.
`watch` looks at one after the other: `sight` makes it readable (`decoding`: bytes to JSON) and tells whose rows it
holds, `predicting` (or, by `asking`, a shadow target) gives the bridge's answer, `comparing` holds the two against each
other, `reporting` counts, under `paths` that hold nothing personal. `exercise` notes which parts of the mapping files
were used, `memory` which claims would exist by now, `noise` what the legacy host is not sure of; `scribe` records. By
import rule nothing here reaches what writes to the modern system.
"""

from bridge.watching.asking import Target
from bridge.watching.exercise import Trail, attend
from bridge.watching.memory import ShadowClaims
from bridge.watching.queue import WatchQueue
from bridge.watching.scribe import PenAndKey
from bridge.watching.sight import Desks
from bridge.watching.watch import Scribe, Terms, Watcher

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
