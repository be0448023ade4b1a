"""The durable record of every batch, row, call and attempt: what the bridge can be asked about and resumes from.

One interface (`Journal`), one implementation a store. Whatever belongs together is written together: `write` takes any
number of changes and makes them durable in one transaction, or none of them. When `write` returns, the changes have
survived a power cut (docs: durability, sections 1 and 2).

- `records`    what is stored, and read back
- `changes`    what `write` takes, and why it may refuse
- `interface`  the protocols every store fulfils
- `sqlite`     one file, one process
- `postgres`   one database, any number of replicas
- `opening`    from `storage.url` to a store
"""

from bridge.journal.changes import (
    Change,
    CountUnknown,
    DecideRows,
    FinishBatch,
    FulfilOrder,
    IdentityTaken,
    LearnClaims,
    LostBatch,
    MoveCall,
    OpenBatch,
    PlaceOrder,
    PlanCall,
    SeeCreditor,
    StaleCall,
)
from bridge.journal.interface import Books, Journal, News, Office
from bridge.journal.records import (
    Attempt,
    BatchRecord,
    BatchSummary,
    BooksFault,
    CallRecord,
    Claim,
    Ledger,
    Order,
    RowRecord,
    SeenCreditor,
    Settlement,
    StoredBatch,
    UnknownField,
)

__all__ = [
    "Attempt",
    "BatchRecord",
    "BatchSummary",
    "Books",
    "BooksFault",
    "CallRecord",
    "Change",
    "Claim",
    "CountUnknown",
    "DecideRows",
    "FinishBatch",
    "FulfilOrder",
    "IdentityTaken",
    "Journal",
    "LearnClaims",
    "Ledger",
    "LostBatch",
    "MoveCall",
    "News",
    "Office",
    "OpenBatch",
    "Order",
    "PlaceOrder",
    "PlanCall",
    "RowRecord",
    "SeeCreditor",
    "SeenCreditor",
    "Settlement",
    "StaleCall",
    "StoredBatch",
    "UnknownField",
]
