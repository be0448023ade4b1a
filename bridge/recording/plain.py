"""Which fields hold nothing personal and are recorded as they are, and why; everything else gets pseudonyms.

Names are in lower case. A plain text keeps its numbers, and of its letters those that stand alone or are words of the
vocabulary; whatever looks personal in it is replaced all the same. To let another field of yours pass, name it in
`[recording] plain_fields` instead of adding it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Treatment(StrEnum):
    """What is done to the values of a field."""

    CONCEAL = "conceal"
    """Every word and every number gets a pseudonym: what nobody declared harmless."""
    PLAIN = "plain"
    """Stays, but for what looks personal: codes, references, flags."""
    FIGURE = "figure"
    """The same for amounts and dates, which often look like phone numbers and are none."""
    COUNTRY = "country"
    """A country stays; anything else is treated as PLAIN."""
    PHONE = "phone"
    """As CONCEAL, in letters of the same number, since phone numbers may be spelled in letters."""
    TELL = "tell"
    """A message: words of the vocabulary stay, and numbers that plain fields of the request hold."""
    SECRET = "secret"  # noqa: S105 - the name of a treatment
    """Nothing of it is kept, not even its shape."""


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that are treated alike, for one reason."""

    treatment: Treatment
    reason: str
    names: str
    """Separated by blanks."""


GROUPS = (
    Group(
        Treatment.PLAIN,
        "code of the batch protocol or of the agreement with the creditor; the bridge decides by it",
        "type invoicetype customertype actiontype vattype sourceid reminderflow debtcollectiontransfer invoicearchive "
        "reminders statuscode status_statuscode objectname objectindex currency currencycode",
    ),
    Group(
        Treatment.PLAIN,
        "reference of a batch or claim: rows find their claims, and answers their rows by it",
        "batchid invoicenumber uniquesourceinvoiceid uniquesourcepaymentid ledgerref referencenumber invoiceid "
        "casenumber caseid paymentid settlementid",
    ),
    Group(
        Treatment.PLAIN,
        "number of a creditor, a business: it says whose row it is",
        "creditorid idnumber parentidnumber",
    ),
    Group(
        Treatment.PLAIN,
        "yes or no",
        "offline vat fees onlydebtcollection hasforeigndebtors hasforeigncurrency disabled isinvoicequery "
        "isremittancereport isorderconfirmation iscollectionlist isweb",
    ),
    Group(
        Treatment.FIGURE,
        "amount of money, of nobody any more once the names are gone",
        "originalinvoiceamount remainingamount amount originalsum remainingsum paidsum",
    ),
    Group(
        Treatment.FIGURE,
        "day on which something happened to a claim",
        "invoicedate duedate collectionnoticedate date billdate paiddate",
    ),
    Group(Treatment.COUNTRY, "country: mappings read it, and too many live there", "countrycode"),
    Group(
        Treatment.PHONE,
        "phone number",
        "originalvalue phone mobile workphone homephone phonenumber mobilephone cellphone telephone fax tlf telefon "
        "mobil phonenumbers",
    ),
    Group(
        Treatment.SECRET,
        "secret",
        "password passwd pwd passord secret token apikey api_key accesstoken access_token refreshtoken refresh_token "
        "authorization credential credentials clientsecret client_secret",
    ),
    Group(
        Treatment.CONCEAL,
        "personal, but no secret by its name",
        "bankaccountno birthdate birthno city conversationid customername customernumber customerref dateofbirth "
        "description email emailinvoice emails erpclientid erpsettingid firstname fullname iban identificationnumber "
        "kid lastname message name ocrreferencenumber orgno organizationnumber service_description street "
        "street2 subject swift value vismanetcompanyid zipcode",
    ),
)

TREATMENTS: Mapping[str, Treatment] = {name: group.treatment for group in GROUPS for name in group.names.split()}
"""Field name → what is done to it; one that is not here is concealed, and so is its name."""
TOLD = frozenset(
    {"message", "error", "errors", "title", "detail", "details", "description", "reason", "exceptionmessage"}
)
"""Fields of an answer that hold messages."""
ARRAYS = frozenset(
    {"creditor", "invoice", "payment", "action", "errors", "responses", "debtors", "addresses", "claims", "contact"}
)
"""Names of what holds fields."""
