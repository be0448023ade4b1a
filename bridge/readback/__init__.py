"""Reading back: what `GET /webapi/api/Batch` answers, composed from the modern system's own lists.

- `question`    what a caller asks: the parameters of the query
- `shelf`       what was read lately, for whoever asks the same again; one read for many who ask at once
- `found`       a case with its invoices, and what they are called by
- `gathering`   cases with their invoices, of one organization: all, one customer's, or those of one reference
- `shaping`     from those to the bytes of legacy entries; teaches the cross-reference what it did not know
- `settling`    settlements, each told under a number of ours, so that none is missed or told twice
- `telling`     settlements as a caller asked for them
- `owning`      whose settlements are, where an organization has several creditors
- `marks`       how far a caller has got with settlements, in whoever's numbers
- `counterpart` the legacy host's part of an answer that both systems give
- `composing`   the answer, put together
- `answering`   the whole answer, over all organizations a sender may read
"""

from bridge.readback.answering import Readback, ReadingTerms, read_terms
from bridge.readback.composing import Account
from bridge.readback.counterpart import Half
from bridge.readback.question import Question, read_question

__all__ = ["Account", "Half", "Question", "Readback", "ReadingTerms", "read_question", "read_terms"]
