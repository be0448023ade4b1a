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
    ClerkChange,
    CountUnknown,
    DecideRows,
    FinishBatch,
    FulfilOrder,
    Hook,
    IdentityTaken,
    LearnClaims,
    LostBatch,
    MoveCall,
    NoteRebuild,
    OpenBatch,
    PlaceOrder,
    PlanCall,
    RegisterSettlements,
    SeeCreditor,
    StaleCall,
)
from bridge.journal.claims import CLAIMS_AT_ONCE
from bridge.journal.interface import Books, Journal, News, Office
from bridge.journal.records import (
    Attempt,
    BatchRecord,
    BatchSummary,
    BooksFault,
    CallRecord,
    CaseEvent,
    Claim,
    Ledger,
    NumberedSettlement,
    Order,
    OrganizationBooks,
    PendingInvoice,
    Rebuild,
    RowRecord,
    SeenCreditor,
    Settlement,
    StoredBatch,
    UnknownField,
)

__all__ = [
    "CLAIMS_AT_ONCE",
    "Attempt",
    "BatchRecord",
    "BatchSummary",
    "Books",
    "BooksFault",
    "CallRecord",
    "CaseEvent",
    "Change",
    "Claim",
    "ClerkChange",
    "CountUnknown",
    "DecideRows",
    "FinishBatch",
    "FulfilOrder",
    "Hook",
    "IdentityTaken",
    "Journal",
    "LearnClaims",
    "Ledger",
    "LostBatch",
    "MoveCall",
    "News",
    "NoteRebuild",
    "NumberedSettlement",
    "Office",
    "OpenBatch",
    "Order",
    "OrganizationBooks",
    "PendingInvoice",
    "PlaceOrder",
    "PlanCall",
    "Rebuild",
    "RegisterSettlements",
    "RowRecord",
    "SeeCreditor",
    "SeenCreditor",
    "Settlement",
    "StaleCall",
    "StoredBatch",
    "UnknownField",
]
