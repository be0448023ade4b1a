"""AutoCollect Bridge: a legacy batch goes in, modern calls go out, one folded reply comes back.

A batch travels downwards through the rooms once:

1. `endpoints`      HTTP request → bytes; `senders` says who is calling
2. `legacy`         bytes → rows, and refused rows
3. `organizations`  row → organization
4. `mapping`        row → modern object, and what was not carried over
5. `plan`           rows → calls, in the order their dependencies allow
6. `journal`        batch and intents → it is ours now (or: seen before, join or replay)
7. `submission`     call → modern batch → per-row outcomes, by way of `modern` and, in doubt, `reconcile`
8. `folding`        rows and outcomes → reply, in the caller's order
9. `legacy`, `endpoints`  reply → HTTP

`pipeline` introduces the rooms to each other; they do not know one another. `app` puts everything together;
`sandbox` stands in for the modern API and imports nothing of the rest.
"""

__version__ = "0.1.0"
