"""Routing: which organization a row belongs to, and what a refusal says."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bridge.batch import RowRefused
from bridge.organizations import Directory
from bridge.senders import Sender
from bridge.settings import load_settings

NORDLYS, FJELLHEIM, FOREIGN = (f"{digit * 8}-5717-4562-b3fc-2c963f66afa6" for digit in "345")
FILE = f"""
[[organization]]
id = "{NORDLYS}"
name = "Nordlys Energi AS"
creditors = ["984842252", "984842253"]
client_id = "nordlys"
client_secret = "nordlys-secret"
webhook_secrets = ["hook-secret"]

[[organization]]
id = "{FJELLHEIM}"
creditors = ["971274190"]
client_id = "fjellheim"
client_secret = "x"

[[organization]]
id = "{FOREIGN}"
creditors = ["555"]
client_id = "foreign"
client_secret = "x"

[[sender]]
id = "ONE"
organizations = ["{NORDLYS}"]
anonymous = true

[[sender]]
id = "TWO"
organizations = ["{NORDLYS}", "{FJELLHEIM}"]
anonymous = true
"""


def sender(sender_id: str) -> Sender:
    """Return a sender of the file."""
    return Sender(sender_id, "autocollect", (), 25, "unique", 24)


ONE, TWO = sender("ONE"), sender("TWO")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Directory:
    """Return the directory of the file above."""
    path: Path = tmp_path_factory.mktemp("organizations") / "bridge.toml"
    path.write_text(FILE)
    return Directory(load_settings(path, {}))


@pytest.mark.parametrize(
    ("who", "on_row", "batch_creditors", "expected"),
    [
        (TWO, "971274190", ["984842252"], FJELLHEIM),
        (TWO, " 971274190 ", [], FJELLHEIM),
        (TWO, "", ["984842253"], NORDLYS),
        (TWO, "", [" 971274190"], FJELLHEIM),
        (ONE, "", [], NORDLYS),
        (ONE, "", ["555", "666"], NORDLYS),
        (ONE, " ", [], NORDLYS),
    ],
)
def test_first_rule_that_applies(
    directory: Directory, who: Sender, on_row: str, batch_creditors: list[str], expected: str
) -> None:
    """The row's own creditor wins, then the batch's only creditor row, then the sender's only organization."""
    assert directory.route(who, on_row, batch_creditors).id == expected


@pytest.mark.parametrize(
    ("who", "on_row", "batch_creditors", "fault"),
    [
        (ONE, "999", ["984842252"], "creditorid: 999 is not a creditor this sender may write to"),
        (ONE, "555", [], "creditorid: 555 is not a creditor this sender may write to"),
        (ONE, "971274190", [], "creditorid: 971274190 is not a creditor this sender may write to"),
        (ONE, "", ["999"], "idnumber of the batch's creditor row: 999 is not a creditor this sender may write to"),
        (
            ONE,
            "",
            [""],
            "idnumber of the batch's creditor row: an empty one is not a creditor this sender may write to",
        ),
    ],
)
def test_a_reference_that_leads_nowhere_refuses(
    directory: Directory, who: Sender, on_row: str, batch_creditors: list[str], fault: str
) -> None:
    """An unknown creditor refuses the row, no later rule is tried, and the remedy is told."""
    with pytest.raises(RowRefused) as caught:
        directory.route(who, on_row, batch_creditors)
    remedy = "; correct it, or have the operator of the bridge list it under one of the sender's organizations"
    assert caught.value.faults == (fault + remedy,)


@pytest.mark.parametrize("batch_creditors", [[], ["984842252", "971274190"], ["984842252", "984842252"]])
def test_an_unsettled_row_is_told_what_would_settle_it(directory: Directory, batch_creditors: list[str]) -> None:
    """Without creditor, single creditor row or single organization, the message names all three ways out."""
    with pytest.raises(
        RowRefused, match=r"creditorid: .* set it on the row.*one creditor row.*exactly one organization"
    ):
        directory.route(TWO, "", batch_creditors)


def test_foreign_and_unknown_creditors_look_alike(directory: Directory) -> None:
    """A sender cannot find out which creditors other senders have."""
    messages = set()
    for creditor in ("555", "999"):
        with pytest.raises(RowRefused) as caught:
            directory.route(TWO, creditor, [])
        messages.add(str(caught.value).replace(creditor, ""))
    assert len(messages) == 1


@given(
    on_row=st.sampled_from(["", "984842252", "971274190", "555", "9"]),
    rows=st.lists(st.sampled_from(["555", "984842252"])),
)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_row_never_reaches_a_foreign_organization(directory: Directory, on_row: str, rows: list[str]) -> None:
    """Whatever a row and its batch say, it is routed to an organization of its sender, or refused."""
    for who, own in ((ONE, {NORDLYS}), (TWO, {NORDLYS, FJELLHEIM})):
        try:
            assert directory.route(who, on_row, rows).id in own
        except RowRefused as refusal:
            assert refusal.faults  # noqa: PT017  # both ends are right


def test_creditor_rows(directory: Directory) -> None:
    """A creditor row is known when its idnumber is configured for the sender itself."""
    assert directory.knows(ONE, " 984842253")
    assert directory.knows(TWO, "971274190")
    assert not directory.knows(ONE, "971274190")
    assert not directory.knows(ONE, "")


def test_a_sender_reads_its_own_organizations(directory: Directory) -> None:
    """All of them, or the one a creditor belongs to; none for an unknown creditor, and for one of somebody else's."""

    def readable(who: Sender, creditorid: str = "") -> list[str]:
        return [each.id for each in directory.readable(who, creditorid)]

    assert readable(ONE) == [NORDLYS]
    assert readable(TWO) == [NORDLYS, FJELLHEIM]
    assert readable(TWO, "971274190") == [FJELLHEIM]
    assert readable(ONE, "971274190") == readable(TWO, "555") == []


def test_organizations_can_be_looked_up(directory: Directory) -> None:
    """The journal knows organizations by id; one that is no longer configured is not found."""
    nordlys = directory.find(NORDLYS)
    assert nordlys is not None
    assert (nordlys.name, nordlys.client_id, nordlys.client_secret) == (
        "Nordlys Energi AS",
        "nordlys",
        "nordlys-secret",
    )
    assert nordlys.webhook_secrets == ("hook-secret",)
    assert directory.find("nobody") is None
    assert [each.id for each in directory.organizations] == [NORDLYS, FJELLHEIM, FOREIGN]


def test_secrets_are_not_shown(directory: Directory) -> None:
    """The repr of an organization shows no secret."""
    assert "-secret" not in repr(directory.organizations)
