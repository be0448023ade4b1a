"""A stateful stand-in for the modern collection API on a real socket, and a small one for the legacy host; with faults.

It imports nothing of the rest. A request travels: `server` (socket) → `api` (HTTP in and out) → `faults` (what strikes
it) → `play` → `acceptance` (`strict`, idempotency) → `postings` → `books`, `settlements`. `reads` and `rendering`
show what is there, `lifecycle` finishes batches, `events` and `webhooks` tell of it all; `admin` lets tests look in,
`planting` lets them put things there. `script` says what may go wrong, `limits` what is assumed. Beside it all stands
the legacy host that is being replaced: `legacy_host` (HTTP) → `legacy_reading` → `legacy_books`.
"""

from .limits import LIMITS
from .options import SandboxOptions
from .script import Script, ScriptFault, load_script, read_script
from .server import Running, create_app, running, serve

__all__ = [
    "LIMITS",
    "Running",
    "SandboxOptions",
    "Script",
    "ScriptFault",
    "create_app",
    "load_script",
    "read_script",
    "running",
    "serve",
]
