"""What the pipeline asks of one kind of row: operation, references, creditor, what is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bridge.batch import Reference, RowRefused
from bridge.mapping import NotCarried, ObjectMapping, Profile
from bridge.shape import Field, FieldType

TWO = """
[fields]
type = "text"
owner = "text"
ref = "text"
number = "text"
id = "text"
note = "text"
"contact.mail" = "text"
"lines[].text" = "text"

[keys]
unique = "ref"
number = "number"

[reference]
target = "invoice"
id = "id"
into = "claim"
evidence = "assumed"
keys = { unique = "ref", number = "number" }

[[operation]]
name = "credit"
path = "/credits"
evidence = "assumed"

[[operation]]
name = "pay"
path = "/orgs/{org}/payments"
collection = "payments"
unique_id = "uid"
distinct = ["claim", "uid"]
evidence = "documented"

[choose]
field = "type"
table = "kinds"
absent = "pay"

[table.kinds]
rows = [
  { code = "C", value = "credit", evidence = "assumed" },
  { code = "P", value = "pay", evidence = "assumed" },
  { code = "X", refused = "cannot be sent", evidence = "assumed" },
]

[[require]]
fields = ["number"]
evidence = "assumed"

[[carry]]
fields = ["note"]
only = ["pay"]
evidence = "assumed"

[[drop]]
fields = ["note"]
only = ["credit"]
reason = "credits have no note"
evidence = "assumed"

[[drop]]
fields = ["contact", "lines[]"]
reason = "nobody reads it"
evidence = "assumed"
"""
TOP = 'creditor_field = "owner"\nreply_reference = ["ref", "number"]\nunknown = "reject"'


@pytest.fixture
def mapping(mapping_of: Callable[..., ObjectMapping]) -> ObjectMapping:
    """A mapping with two operations."""
    return mapping_of(TWO, TOP)


def test_the_operation_follows_the_code(mapping: ObjectMapping) -> None:
    """A row goes where its code says, and without a code where the file says."""
    assert [mapping.choose(row).name for row in ({"type": "c"}, {"type": "P"}, {})] == ["credit", "pay", "pay"]


def test_operations_are_as_the_file_declares_them(mapping: ObjectMapping) -> None:
    """Path, collection, unique id and distinct fields come from the file."""
    pay = mapping.operations["pay"]

    assert (pay.path, pay.collection, pay.unique_id, pay.distinct) == (
        "/orgs/{org}/payments",
        "payments",
        "uid",
        ("claim", "uid"),
    )
    assert mapping.operations["credit"].collection == ""


@pytest.mark.parametrize(("code", "why"), [("X", "code X is refused: cannot be sent"), ("Y", "code Y is not a code")])
def test_a_code_without_operation_refuses_the_row(mapping: ObjectMapping, code: str, why: str) -> None:
    """A refused or unknown code refuses the row, beside everything else that is wrong with it."""
    with pytest.raises(RowRefused) as caught:
        mapping.translate({"type": code})

    assert caught.value.faults[0] == "number: required"
    assert caught.value.faults[1].startswith(f"type: {why}")


def test_the_code_is_required_unless_the_file_says_what_its_absence_means(
    mapping_of: Callable[..., ObjectMapping],
) -> None:
    """Without an operation for absent codes, a row without its code is refused."""
    mapping = mapping_of(TWO.replace('absent = "pay"', ""), TOP)

    with pytest.raises(RowRefused, match=r"^type: required$"):
        mapping.translate({"number": "1"})


def test_a_row_names_its_claim(mapping: ObjectMapping) -> None:
    """The id goes into the item, too; other references come in the file's order."""
    by_id = mapping.translate({"id": "u", "number": "1"})
    by_names = mapping.translate({"number": "1", "ref": "r"})

    assert by_id.reference == Reference("invoice", "claim", "u", (("number", "1"),))
    assert by_id.item == {"claim": "u"}
    assert by_names.reference == Reference("invoice", "claim", "", (("unique", "r"), ("number", "1")))
    assert by_names.item == {}


def test_a_row_that_names_no_claim_is_refused(mapping_of: Callable[..., ObjectMapping]) -> None:
    """The message says by which fields a row can name its claim."""
    mapping = mapping_of(TWO.replace('["number"]\nevidence', '["note"]\nevidence'), TOP)

    with pytest.raises(RowRefused, match=r"^id: required to find the invoice, or ref or number$"):
        mapping.translate({"note": "x"})


def test_the_names_of_a_claim_are_told(mapping: ObjectMapping) -> None:
    """Other rows may refer to a row by its keys; absent ones are left out."""
    assert mapping.translate({"number": "1"}).keys == (("number", "1"),)
    assert mapping.key_fields == {"unique": "ref", "number": "number"}


def test_creditor_and_reply_reference_come_from_the_row(mapping: ObjectMapping) -> None:
    """The first reference that is there answers for the row; both are empty when nothing is there."""
    assert mapping.creditor({"owner": "9"}) == "9"
    assert mapping.reply_reference({"number": "1"}) == "1"
    assert mapping.reply_reference({"number": "1", "ref": "r"}) == "r"
    assert (mapping.creditor({}), mapping.reply_reference({})) == ("", "")


def test_what_is_not_carried_is_told_with_its_reason(mapping: ObjectMapping) -> None:
    """Every dropped field that is there is told by its path, the drops of other operations are not."""
    row = {"type": "C", "note": "n", "contact": {"mail": "m"}, "lines": [{}, {"text": "t"}]}

    assert mapping.account(row) == [
        NotCarried("note", "credits have no note"),
        NotCarried("contact.mail", "nobody reads it"),
        NotCarried("lines[].text", "nobody reads it"),
    ]
    assert mapping.account({**row, "type": "P"})[0].field == "contact.mail"
    assert mapping.account({"contact": {}, "lines": []}) == []


def test_a_row_without_an_operation_still_tells_what_would_be_lost(mapping: ObjectMapping) -> None:
    """A refused code does not hide what is dropped for every operation."""
    assert [entry.field for entry in mapping.account({"type": "X", "note": "n", "contact": {"mail": "m"}})] == [
        "contact.mail"
    ]


def test_rows_without_operations_are_only_accounted_for(profile_of: Callable[..., Profile]) -> None:
    """A creditor row has nothing to send; everything in it is told as not carried over."""
    creditor = profile_of().objects["creditor"]

    assert creditor.account({"id": "1"}) == [NotCarried("id", "unused")]


def test_the_shape_is_what_the_file_declares(mapping_of: Callable[..., ObjectMapping]) -> None:
    """Fields keep their order and nesting; required ones and the rule for unknown ones are told to the reader."""
    mapping = mapping_of(TWO + '\n[[rule]]\nfrom = "id"\nto = "z"\nrequired = true\nevidence = "assumed"\n', TOP)
    fields = {field.name: field for field in mapping.shape.fields}

    assert list(fields) == ["type", "owner", "ref", "number", "id", "note", "contact", "lines"]
    assert fields["contact"] == Field("contact", fields=(Field("mail", FieldType.TEXT),))
    assert fields["lines"] == Field("lines", fields=(Field("text", FieldType.TEXT),), many=True)
    assert [name for name, field in fields.items() if field.required] == ["number", "id"]
    assert mapping.shape.refuse_unknown


def test_a_missing_reference_is_told_once(mapping: ObjectMapping) -> None:
    """A reference that is required anyway is not asked for a second time."""
    with pytest.raises(RowRefused) as caught:
        mapping.translate({})

    assert caught.value.faults == ("number: required",)


def test_what_one_operation_requires_is_not_asked_of_every_row(mapping_of: Callable[..., ObjectMapping]) -> None:
    """A rule that is required for one operation only leaves the field optional in the shape."""
    rule = '\n[[rule]]\nfrom = "id"\nto = "z"\nrequired = true\nonly = ["pay"]\nevidence = "assumed"\n'
    mapping = mapping_of(TWO + rule, TOP)

    assert [field.name for field in mapping.shape.fields if field.required] == ["number"]
    assert mapping.translate({"type": "C", "number": "1"}).item == {}
    with pytest.raises(RowRefused, match=r"^id: required$"):
        mapping.translate({"type": "P", "number": "1"})


def test_dropping_an_object_does_not_drop_its_namesakes(mapping_of: Callable[..., ObjectMapping]) -> None:
    """A drop of `contact` covers what lies in it, and nothing of `contact2`."""
    mapping = mapping_of(
        '[fields]\n"contact.mail" = "text"\ncontact2 = "text"\n[[carry]]\nfields = ["contact2"]\nevidence = "assumed"\n'
        '[[drop]]\nfields = ["contact"]\nreason = "r"\nevidence = "assumed"\n'
    )

    assert mapping.account({"contact": {"mail": "m"}, "contact2": "x"}) == [NotCarried("contact.mail", "r")]
