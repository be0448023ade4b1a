"""Which way a call goes: to the legacy host, through the bridge, or both.

- `batches`: batches that come in. A batch goes where it went first; a new one as the modes of its organizations say.
- `beside`: what happens beside a batch on its way to the legacy host: it is noted, and shown to whoever watches.
- `questions`: calls that read back.
- `junction`: all of it, introduced to each other.
"""

from bridge.crossing.batches import Batches
from bridge.crossing.beside import Watch
from bridge.crossing.junction import Bank, Crossing, make_crossing
from bridge.crossing.questions import Questions
from bridge.crossing.ways import WAY

__all__ = ["WAY", "Bank", "Batches", "Crossing", "Questions", "Watch", "make_crossing"]
