"""The durable record of every batch, row, call and attempt: what the bridge can be asked about and resumes from.

One interface (`Journal`), one implementation a store. Whatever belongs together is written together: `write` takes any
number of changes and makes them durable in one transaction, or none of them. When `write` returns, the changes have
survived a power cut (docs: durability, sections 1 and 2).

- `records`    what is stored, and read back
- `cutover`    the same, of a cutover: what went to the legacy host, what was seen, what was handed over
- `changes`    what `write` takes, and why it may refuse
- `interface`  the protocols every store fulfils
- `sqlite`     one file, one process
- `postgres`   one database, any number of replicas
- `opening`    from `storage.url` to a store
"""

from bridge.journal.changes import (
    SAMPLES_KEPT,
    Change,
    ClerkChange,
    CountUnknown,
    DecideRows,
    FinishBatch,
    FulfilOrder,
    HandedOverBefore,
    HandOver,
    Hook,
    IdentityTaken,
    KeepSamples,
    LearnClaims,
    LostBatch,
    MoveCall,
    NotePassed,
    NoteRebuild,
    Observe,
    OpenBatch,
    PlaceOrder,
    PlanCall,
    RegisterSettlements,
    SeeCreditor,
    SetSwitch,
    StaleCall,
    StaleSwitch,
)
from bridge.journal.claims import CLAIMS_AT_ONCE
from bridge.journal.cutover import HandedOver, Observation, PassedBatch, Sample
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
    Standing,
    StoredBatch,
    UnknownField,
)

__all__ = [
    "CLAIMS_AT_ONCE",
    "SAMPLES_KEPT",
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
    "HandOver",
    "HandedOver",
    "HandedOverBefore",
    "Hook",
    "IdentityTaken",
    "Journal",
    "KeepSamples",
    "LearnClaims",
    "Ledger",
    "LostBatch",
    "MoveCall",
    "News",
    "NotePassed",
    "NoteRebuild",
    "NumberedSettlement",
    "Observation",
    "Observe",
    "Office",
    "OpenBatch",
    "Order",
    "OrganizationBooks",
    "PassedBatch",
    "PendingInvoice",
    "PlaceOrder",
    "PlanCall",
    "Rebuild",
    "RegisterSettlements",
    "RowRecord",
    "Sample",
    "SeeCreditor",
    "SeenCreditor",
    "SetSwitch",
    "Settlement",
    "StaleCall",
    "StaleSwitch",
    "Standing",
    "StoredBatch",
    "UnknownField",
]
