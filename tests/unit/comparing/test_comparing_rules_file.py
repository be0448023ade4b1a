"""The rules file: what it may say, and every fault told with the rule it is in."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from bridge.comparing import Does, Kind, load_rules, read_rules
from bridge.errors import SettingsFault

ROOT = Path(__file__).resolve().parents[3]
SOUND = {
    "id": '"a"',
    "path": '"invoice.ledgerref"',
    "does": '"ignore"',
    "owner": '"team"',
    "reason": '"because"',
    "expires": "2027-06-30",
}


def rule(**keys: str) -> str:
    return "[[rule]]\n" + "".join(f"{key} = {value}\n" for key, value in {**SOUND, **keys}.items() if value)


def faults_of(text: str) -> list[str]:
    _, faults = read_rules(text, {"org-1"})
    return faults


def test_a_sound_rule() -> None:
    """A rule is read with everything it says."""
    found, faults = read_rules(
        rule(path='" *.fee"', does='"tolerance"', amount="0.01", organization='"org-1"')
        + '[fields]\nundocumented = ["invoice.fee"]',
        {"org-1"},
    )
    assert faults == []
    (one,) = found.rules
    assert (one.id, one.path, one.does, one.organization) == ("a", "*.fee", Does.TOLERANCE, "org-1")
    assert (one.amount, one.seconds, one.expires) == (Decimal("0.01"), None, date(2027, 6, 30))
    assert one.kinds == {Kind.VALUE}
    assert found.undocumented == ("invoice.fee",)


def test_kinds_when_none_are_named() -> None:
    """Without kinds a rule excuses whatever it can, a verdict excepted."""
    (one,) = read_rules(rule())[0].rules
    assert one.kinds == set(Kind) - {Kind.VERDICT}
    (other,) = read_rules(rule(kinds='["verdict", "value"]'))[0].rules
    assert other.kinds == {Kind.VERDICT, Kind.VALUE}


def test_an_empty_file() -> None:
    """A file without rules has none."""
    assert read_rules("") == read_rules("[fields]")
    assert read_rules("")[0].rules == ()


@pytest.mark.parametrize("key", ["id", "path", "owner", "reason"])
def test_mandatory_texts(key: str) -> None:
    """Every rule says what it is called, where, whose it is, and why."""
    name = "rule 1" if key == "id" else 'rule "a"'
    assert faults_of(rule(**{key: ""})) == [f"{name}: {key}: is missing; every rule needs it"]
    for value in ('" "', "1", '["x"]'):
        assert faults_of(rule(**{key: value})) == [f"{name}: {key}: must be a text, and not empty"]


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"does": ""}, "does: is missing; write one of ignore, tolerance, null_is_absent, reference"),
        ({"does": '"hide"'}, 'does: "hide" is none; write one of ignore, tolerance, null_is_absent, reference'),
        ({"does": "1"}, "does: a number is none; write one of"),
        ({"expires": ""}, "expires: must be a date without quotes, such as 2027-03-31"),
        ({"expires": '"2027-03-31"'}, "expires: must be a date without quotes"),
        ({"expires": "2027-03-31T10:00:00Z"}, "expires: must be a date without quotes"),
        ({"kinds": "[]"}, "kinds: must be a list of one or more of missing, extra, value, type, verdict"),
        ({"kinds": '"value"'}, "kinds: must be a list"),
        ({"kinds": '["values"]'}, 'kinds: "values" is none; write one of missing, extra'),
        (
            {"does": '"null_is_absent"', "kinds": '["value", "missing"]'},
            'kinds: does = "null_is_absent" cannot excuse value; remove it',
        ),
        ({"does": '"tolerance"'}, "does: a tolerance needs either amount = 0.01 or seconds = 60"),
        ({"does": '"tolerance"', "amount": "1", "seconds": "1"}, "does: a tolerance needs either"),
        ({"does": '"tolerance"', "amount": "0"}, "amount: must be a number above 0"),
        ({"does": '"tolerance"', "amount": '"x"'}, "amount: must be a number above 0"),
        ({"does": '"tolerance"', "amount": "true"}, "amount: must be a number above 0"),
        ({"does": '"tolerance"', "seconds": "inf"}, "seconds: must be a number above 0"),
        ({"amount": "1"}, 'amount: only does = "tolerance" takes it; remove it'),
        ({"organization": '"org-2"'}, 'organization: "org-2" is no [[organization]] of the configuration'),
        ({"organization": "2"}, "organization: a number is no [[organization]]"),
        ({"owners": '"x"'}, "owners: unknown; did you mean owner?"),
        ({"id": '"noise"'}, "id: the bridge uses this word itself; choose another one"),
        ({"path": '"ledgerref"'}, 'path: "ledgerref" is no path; write one such as "invoice.ledgerref"'),
        ({"path": '"invoice.a b"'}, 'path: "invoice.a b" is no path'),
        ({"path": '"invoice..x"'}, 'path: "invoice..x" is no path'),
        (
            {"path": '"invoice.legderref"'},
            'path: "invoice.legderref" cannot exist: no reply has such a field (did you mean "invoice.ledgerref"?)',
        ),
        ({"path": '"*.caseNumber"'}, 'path: "*.caseNumber" cannot exist'),
        ({"path": '"invoice.ledgerref.x"'}, "cannot exist"),
        ({"path": '"http.*"'}, "cannot exist"),
        ({"path": '"invoice.verdict"'}, 'kinds: a verdict is only excused by kinds = ["verdict"]'),
    ],
)
def test_faults(keys: dict[str, str], fault: str) -> None:
    """Whatever cannot be is told with the rule and the key, and with what to write instead."""
    (found,) = faults_of(rule(**keys))
    assert found.removeprefix('rule "a": ').removeprefix('rule "noise": ').startswith(fault) or fault in found


@pytest.mark.parametrize(
    "path", ["*.ledgerref", "invoice.*", "*.*", "http.status", "batch.row", "Payment.Message", "batch.errors", "*.row"]
)
def test_documented_paths(path: str) -> None:
    """What the documented reply holds needs no declaration."""
    assert faults_of(rule(path=f'"{path}"')) == []


@pytest.mark.parametrize(
    "path", ["invoice.ids", "Invoice.IDs", "*.ids", "invoice.ids.caseNumber", "invoice.ids[].x.y", "batch.a.b", "*.a.*"]
)
def test_declared_paths(path: str) -> None:
    """What is declared may be named, and everything within it."""
    assert faults_of(rule(path=f'"{path}"') + '[fields]\nundocumented = ["invoice.ids", "batch.a.b"]') == []


def test_every_fault_at_once() -> None:
    """All faults of all rules are told; sound rules are read all the same."""
    text = rule() + rule(id='"b"', owner="") + rule() + rule(id="", reason="") + "color = 1"
    found, faults = read_rules("stray = 1\n" + text)
    assert [one.id for one in found.rules] == ["a"]
    assert faults == [
        "stray: unknown; known here: fields, rule",
        'rule "b": owner: is missing; every rule needs it',
        'rule "a": id: another rule has it already; give each rule its own',
        (
            "rule 4: color: unknown; known here: amount, does, expires, id, kinds, organization, owner, path, reason, "
            "seconds"
        ),
        "rule 4: id: is missing; every rule needs it",
        "rule 4: reason: is missing; every rule needs it",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[[rule]", "is not TOML: "),
        ("rule = 1", "rule: write each rule as a [[rule]] of its own"),
        ("rule = [1]", "rule 1: rule: write it as a [[rule]] with its keys below"),
        ("fields = 1", "fields: holds nothing but undocumented"),
        ("[fields]\nother = 1", "fields: holds nothing but undocumented"),
        ('[fields]\nundocumented = "x"', 'fields: undocumented: "x" is no path'),
        ('[fields]\nundocumented = ["*.fee"]', 'fields: undocumented: "*.fee" is no path'),
        ("[fields]\nundocumented = [1]", "fields: undocumented: a number is no path"),
    ],
)
def test_faults_of_the_file(text: str, fault: str) -> None:
    """A file of another form is refused with what to write instead."""
    (found,) = faults_of(text)
    assert found.startswith(fault)


def test_loading(tmp_path: Path) -> None:
    """A file that cannot be used is named, with every fault on a line of its own; no file has no rules."""
    file = tmp_path / "differences.toml"
    assert load_rules(None).rules == ()
    with pytest.raises(SettingsFault, match=r"differences\.toml: cannot be read"):
        load_rules(file)
    file.write_bytes(b"\xff")
    with pytest.raises(SettingsFault, match="is not UTF-8"):
        load_rules(file)
    file.write_text(rule(owner="", reason=""))
    with pytest.raises(SettingsFault) as told:
        load_rules(file)
    assert str(told.value) == (
        f'{file}: rule "a": owner: is missing; every rule needs it\n'
        f'{file}: rule "a": reason: is missing; every rule needs it'
    )
    file.write_text(rule())
    assert [one.id for one in load_rules(file, set()).rules] == ["a"]


def test_the_shipped_file() -> None:
    """The example that is shipped is sound, and shows everything a rule can do."""
    file, organizations = ROOT / "config" / "differences.toml", {"3fa85f64-5717-4562-b3fc-2c963f66afa6"}
    rules = load_rules(file, organizations).rules
    assert all(Kind.VERDICT not in one.kinds for one in rules)
    text = file.read_text(encoding="utf-8")
    commented = re.sub(r"^# ?(?=\[\[|[a-z]+ = )", "", text, flags=re.MULTILINE).replace(
        "undocumented = [", 'undocumented = ["invoice.fee",'
    )
    everything, faults = read_rules(commented, organizations)
    assert faults == []
    assert {one.does for one in everything.rules} == set(Does)
    assert len(everything.rules) == len(rules) + 1
