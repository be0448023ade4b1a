"""AutoCollect Bridge: a legacy batch goes in, modern calls go out, one folded reply comes back.

A batch travels downwards through the rooms once:

1. `endpoints`      HTTP request → bytes, by `bodies`; `senders` says who is calling
2. `legacy`         bytes → rows, and refused rows
3. `identity`       rows → what makes the batch the same again: new, join or replay
4. `organizations`  row → organization
5. `mapping`        row → modern object, and what was not carried over
6. `plan`           rows → calls, in the order their dependencies allow
7. `journal`        batch and intents → it is ours now
8. `calls`          call → modern batch → per-row outcomes: `submission`, `gates`, `verdicts` and, in doubt, `reconcile`
9. `folding`        rows and outcomes → reply, in the caller's order, stored with the last verdict
10. `lobby`, `endpoints`  reply, or what is known at the deadline → HTTP

`pipeline` takes batches in, by `intake` (2, 4 to 6), and answers; `workshop` works them, whether anybody waits or not,
takes over what a dead replica left, and carries out operators' orders; both introduce the rooms to each other, which
do not know one another. `claims` knows which claim a row belongs to. The way back is `readback`: what connectors ask
about claims and settlements, from modern lists to legacy entries.

Which system a row goes to is said by `steering`, and obeyed by `crossing`: `passthrough` hands whole requests to the
legacy host, `calls.delivery` the legacy half of a batch that both systems share. `watching` compares the legacy host's
answers with what `predicting` says, `readiness` draws the conclusion, `debts` counts what a way back leaves behind.

`assembly` puts everything together, `app` opens it, `server` runs it; `sandbox` stands in for the modern API and
imports nothing of the rest.
"""

__version__ = "0.5.0"
