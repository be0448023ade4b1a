"""The modern language: what is sent to the collection API, and what its answers mean.

No I/O, in payload order:

- `wire`         the shapes of what is sent (pydantic; checked when mappings are loaded, never per row)
- `requests`     items → bytes of a call; paths
- `answers`      answer of a write → taken, not taken, refused, or unknown
- `results`      a modern batch; `correlation` ties its entries to the rows of the call
- `lists`        pages of batches, invoices and cases; of whole entries, unread
- `webhooks`     signature and content of a webhook
- `schedule`     when to poll, and how much of it is allowed
- `reading`, `faults`  undocumented JSON and error texts, read tolerantly
- `tokens`       one token per credential, one request at a time

I/O:

- `reader`       every read: tokens, patience, lists to their end; `exchange` makes the single request
- `client`       on it, what the pipeline needs: one attempt of a write, reads by what rows know
- `catalogue`    on it, whole lists in the vendor's own words
- `waiting`      poll or webhook, whichever comes first; `watch` decides who polls next in an organization, `ears` hear
                 it, `listing` knows how far the list of batches can be relied on
- `failures`     the one table that says what a broken exchange means
"""
