"""Hand a request to the legacy host and its answer back, byte for byte, streamed both ways.

Nothing is decoded or compressed, and nothing is kept but what a `Tap` asks for. Headers that belong to one connection
stay with it (RFC 9110, section 7.6.1); all others pass as they are, the caller's credentials included: who may do what
is the legacy host's decision.
"""

from bridge.passthrough.host import PassThrough
from bridge.passthrough.line import Line, open_line
from bridge.passthrough.tap import Tap

__all__ = ["Line", "PassThrough", "Tap", "open_line"]
