"""What this stand-in does not know."""

LIMITS = """\
The sandbox stands in for the modern collection API so that the bridge can be tried and tested without the
vendor. It is built from the public pages only. A green run against it proves the bridge, not the vendor.

Documented, and played as documented: the token call; creating invoices, payments and corrections; the 202
answer with batchId and batchUrl; reading batches, invoices, cases and settlements by their documented query
parameters; QUEUED followed by SUCCESS, PARTIAL or FAILED; the success entry of an invoice; webhook headers,
envelope and data of BATCH_COMPLETED, SETTLEMENT_CREATED, CASE and CASE_UPDATED, each in its own spelling;
caseNumber as text in results, events and settlements, and as a number in cases.

Assumed, because nobody outside the vendor can see it: every body of a 4xx; which fields are required
(invoiceNumber and originalInvoiceAmount; invoiceId and amount); the idempotency header and its 409; entries
of failed[], and of succeeded[] for anything but invoices; paths, bodies and answers of case actions; batch
types other than INVOICE; statuses other than OPEN and PAUSED; a positive correction lowers the claim; the
webhook signature (HMAC-SHA256, hex); that a uniqueSource id is unique per organization; page sizes (50, at
most 500); what the documentation cuts off in invoices, cases and settlements (all behind exchangeRate);
that each payment is settled, on the day it was booked and in full; the order of settlements (as they were
made) and that fromDate and toDate are inclusive; when CASE and CASE_UPDATED are told. Some of it can be
turned around by script: see config/sandbox/undocumented.toml and config/sandbox/reading.toml.

Not played: the vendor's own validation of names, amounts, currencies, due dates or debtors (use a "refuse"
fault); fees, interest, reminders, letters and the passing of time on a claim; several invoices on one case;
eviction cases; scopes and rights of a client (every client may use every organization); rate limits (use a
"fail" fault with 429); pause dates (a paused case stays paused); retries of webhooks, and events other than
the four; GET /batches/{batchId} without organization, which batchUrl still names and the vendor is
removing. All state is in memory and gone when the sandbox stops. A row takes effect when its call is
accepted; only its visibility waits for the batch to finish.

Stricter than the vendor may be: unknown fields, null, numbers as text, dates without offset and unknown
query parameters are refused.

The legacy host it also stands in for (POST and GET /webapi/api/Batch, Attachment and Ping, on the same port) is
assumed in all of it but the shape of the published answer: what it needs of a row and in which words it
refuses one, status codes, which row it holds to be there already, what it answers to a batch that comes
again, every field of its claims and settlements. It takes any credentials, keeps no files, and answers only
when a batch is worked to its end. It is there so that a cutover can be tried, not to show what the real one
does; config/sandbox/legacy.toml has it say more than is published.

The seed: with equal seed, script, clock and order of requests, two runs give equal ids, case numbers,
tokens, faults and answers. Not equal between runs: times (unless the clock is given), the order in which
concurrent requests arrive and what follows from it, ids the caller makes, and the order in which webhooks
arrive."""
"""Printed by `bridge sandbox --limits`."""
