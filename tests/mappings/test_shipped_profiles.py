"""The profiles that are shipped: they load, their examples hold, and what they send fits the wire."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.batch import OBJECTNAMES
from bridge.mapping import Profile, assumptions, check_targets, load_profiles, nulls, run_examples
from bridge.mapping.examples import Reader
from bridge.mapping.paths import parse_path
from bridge.modern.wire import OPERATIONS_SCHEMAS

ROOT = Path(__file__).parents[2]
PROFILES = load_profiles(ROOT / "mappings")

profiles = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)


@profiles
def test_every_example_holds_and_every_rule_has_one(profile: Profile, reader: Callable[[Profile], Reader]) -> None:
    """Every example comes out as written, and every rule, code row, operation and drop is exercised."""
    assert run_examples(profile, reader(profile)) == []


@profiles
def test_every_target_fits_the_wire(profile: Profile) -> None:
    """Every target exists in the modern models, every type fits, every required target is set."""
    schemas = {name: model.model_json_schema() for name, model in OPERATIONS_SCHEMAS.items()}

    assert check_targets(profile, schemas) == []


@profiles
def test_every_file_of_a_profile_is_there(profile: Profile) -> None:
    """A profile maps all four kinds of rows."""
    assert tuple(profile.objects) == OBJECTNAMES


def test_all_dialects_are_shipped() -> None:
    """The published dialect, with cases in either shape, and the classic one are there."""
    assert PROFILES.keys() >= {"autocollect", "autocollect-modern", "classic"}


@profiles
def test_every_profile_answers_reads(profile: Profile) -> None:
    """A connector of any dialect can be moved over whole."""
    assert profile.read is not None
    assert [mapping.objectname for mapping in profile.read.mappings] == ["creditor", "case", "settlement"]


def _read_fields(profile: str, objectname: str) -> list[str]:
    read = PROFILES[profile].read
    assert read is not None
    return list({mapping.objectname: mapping for mapping in read.mappings}[objectname].document.fields)


def test_answers_have_every_field_of_the_pages() -> None:
    """Classic cases, creditors and modern cases have the fields of the page; settlements those before the cut, too."""
    counts = {
        # 27 at the top of a classic case, 6 of an event, 5 of how to pay
        ("classic", "case"): 27 + 6 + 5,
        ("autocollect", "case"): 27 + 6 + 5,
        ("autocollect-modern", "case"): 12 + 14 + 7,
        ("classic", "creditor"): 18 + 2 * 8,
    }

    assert {key: len(_read_fields(*key)) for key in counts} == counts
    assert _read_fields("autocollect", "settlement")[:5] == [
        "caseNumber",
        "collectionType",
        "currency",
        "customerReference",
        "exchangeRate",
    ]
    assert _read_fields("classic", "settlement")[:5] == [
        "creditorid",
        "customerref",
        "ledgerref",
        "referencenumber",
        "casenumber",
    ]


def test_what_an_answer_cannot_say_is_listed_with_its_reason() -> None:
    """Nulls are known beforehand: nobody has to find out from an answer."""
    listed = {(entry.file, entry.field) for entry in nulls(PROFILES["autocollect"])}

    assert {
        ("autocollect/read/case.toml", "remainingfee"),
        ("autocollect/read/case.toml", "paymentDetails.kid"),
        ("autocollect/read/creditor.toml", "contact"),
    } <= listed
    assert all(entry.reason for entry in nulls(PROFILES["autocollect"]))


@pytest.mark.parametrize("part", ['action.toml: operation "withdraw"', "reply.toml: codes, texts"])
def test_what_nobody_can_see_is_listed_as_assumed(part: str) -> None:
    """Case actions and status codes are marked as assumptions."""
    listed = [f"{entry.file}: {entry.key}" for entry in assumptions(PROFILES["autocollect"])]

    assert f"autocollect/{part}" in listed


def test_the_classic_dialect_rests_on_assumptions_only() -> None:
    """No page shows classic rows, so every rule of theirs is an assumption."""
    for mapping in PROFILES["classic"].objects.values():
        assert {rule.evidence for rule in mapping.rules} <= {"assumed"}


def test_autocollect_accounts_for_every_field_of_the_published_page() -> None:
    """The invoice, payment, action and creditor fields of the published page are all declared."""
    counts = {name: len(mapping.document.fields) for name, mapping in PROFILES["autocollect"].objects.items()}

    # leaves on the page: creditor 25 + 2 contacts of 8; invoice 12 + 8 + 1 + 3 + 4 + 3; payment 7; action 7
    assert counts == {"creditor": 41, "invoice": 31 + 2, "payment": 7 + 4, "action": 7}


def test_the_mapping_code_knows_neither_api() -> None:
    """Field names of the two APIs stand in mapping files only (`date` and `sum` are Python words, too)."""
    names = {
        step
        for profile in PROFILES.values()
        for mapping in profile.objects.values()
        for rule in mapping.rules
        for path in (rule.target, *rule.sources)
        for step in (part.name for part in path)
    }
    names |= {
        step.name
        for profile in PROFILES.values()
        for mapping in (profile.read.mappings if profile.read else ())
        for rule in mapping.rules
        for path in (parse_path(rule.target), *rule.sources)
        for step in path
    }
    distinctive = {name for name in names if re.search("[a-z][A-Z]", name) or name.endswith(("ref", "sum", "date"))}
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "bridge" / "mapping").rglob("*.py"))

    assert len(distinctive) > 20
    assert [name for name in sorted(distinctive - {"date", "sum"}) if re.search(rf"\b{name}\b", code)] == []
