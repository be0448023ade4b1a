"""The files of a `read/` folder: what is found, what is lent by another profile, and what every fault is told as."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.errors import MappingFault
from bridge.mapping import AlwaysNull, Assumption, assumptions, load_profile, load_profiles, nulls
from bridge.mapping.reading import rebuild_reading

Write = Callable[..., Path]
Faults = Callable[..., list[str]]
CASES = tomllib.loads((Path(__file__).parent / "reading_contradictions.toml").read_text(encoding="utf-8"))["case"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_what_cannot_be_is_told(reading_faults: Faults, case: dict[str, str]) -> None:
    """Every contradiction of a file is told once, with its key and a remedy."""
    files = {name: case[name] for name in ("creditor", "settlement") if name in case}
    faults = reading_faults(case.get("text", ""), case.get("top", ""), **files)
    file = next(iter(files), "case")

    assert [line for line in faults if line.startswith(f"small/read/{file}.toml: {case['fault']}")], faults
    assert len(faults) == case.get("count", 1), faults


def test_a_profile_without_the_folder_answers_no_reads(write_profile: Write) -> None:
    """A profile need not have a read/ folder."""
    profile = load_profile(write_profile())

    assert profile.read is None
    assert nulls(profile) == []


@pytest.mark.parametrize("missing", ["creditor", "case", "settlement"])
def test_all_three_files_are_needed(write_reading: Write, missing: str) -> None:
    """A read/ folder that lacks a file is a fault."""
    folder = write_reading()
    (folder / "read" / f"{missing}.toml").unlink()

    with pytest.raises(MappingFault, match=rf"^small/read/{missing}\.toml: is missing; every profile needs it"):
        load_profile(folder)


def test_an_empty_folder_lacks_all(write_profile: Write) -> None:
    """A read/ folder without any file is told three times."""
    folder = write_profile()
    (folder / "read").mkdir()

    with pytest.raises(MappingFault) as caught:
        load_profile(folder)
    assert len(str(caught.value).splitlines()) == 3


def test_an_unknown_file_is_told(reading_faults: Faults) -> None:
    """A file that nobody reads is a fault, with the name it may have meant."""
    assert reading_faults(cases="") == [
        'small/read/cases.toml: is no file of a profile; rename or remove it (did you mean "read/case.toml"?)'
    ]


def test_faults_of_all_files_are_told_at_once(reading_faults: Faults) -> None:
    """Faults of several files, of both directions, stand in one message."""
    faults = reading_faults("fields = 1", creditor="x = 1", settlement="= 1")

    assert {fault.partition(":")[0] for fault in faults} == {
        "small/read/case.toml",
        "small/read/creditor.toml",
        "small/read/settlement.toml",
    }


def test_the_objectname_is_that_of_the_file(reading_faults: Faults) -> None:
    """A copied file that still says it is another one is told."""
    other = '[fields]\nid = "text"\n[[null]]\nfields = ["id"]\nreason = "r"\nevidence = "assumed"\n'
    settlement = f'objectname = "creditor"\nevidence = "assumed"\n{other}'

    assert reading_faults(settlement=settlement) == [
        'small/read/settlement.toml: objectname: must be "settlement" in this file'
    ]


MARKED = """
[fields]
a = "text"
b = "boolean"
c = "text"
[[carry]]
from = "case"
fields = ["a"]
evidence = "assumed"
note = "n1"
[[rule]]
from = "case.b"
to = "b"
transform = { name = "table", table = "t" }
evidence = "documented"
[[null]]
fields = ["c"]
reason = "nobody says"
evidence = "assumed"
[table.t]
rows = [{ code = "P", value = true, evidence = "assumed", note = "n2" }]
"""


def test_assumptions_and_nulls_are_listed(write_reading: Write) -> None:
    """What is assumed is listed where it stands; what is always null is listed apart, with its reason."""
    profile = load_profile(write_reading(MARKED))
    file = "small/read/case.toml"

    assert [entry for entry in assumptions(profile) if entry.file == file] == [
        Assumption(file, "closed", ""),
        Assumption(file, 'carry "a"', "n1"),
        Assumption(file, 'table "t" code "p"', "n2"),
    ]
    assert nulls(profile) == [
        AlwaysNull("small/read/creditor.toml", "id", "unused", "documented"),
        AlwaysNull(file, "c", "nobody says", "assumed"),
        AlwaysNull("small/read/settlement.toml", "id", "unused", "documented"),
    ]


def test_a_mapping_can_be_compiled_to_tell_what_it_uses(write_reading: Write) -> None:
    """The rebuilt mapping names each rule that writes a value, each default, and each code row that is hit."""
    case = MARKED.replace('table = "t" }', 'table = "t" }\ndefault = false')
    read = load_profile(write_reading(case)).read
    assert read is not None
    noticed: list[str] = []
    mapping = rebuild_reading(read.case, None, noticed.append)

    mapping.render({"case": {"a": "1", "b": "P"}})
    mapping.render({"case": {"a": 1, "b": "Q"}})

    assert noticed == ['carry "a"', 'table "t" code "p"', 'rule to "b"', 'rule to "b", its default']


# --- profiles that extend another ----------------------------------------------------------------------------------


@pytest.fixture
def extend(write_reading: Write) -> Callable[..., Path]:
    """Return a writer of a profile "near" beside "small", with the files given."""

    def write(settings: str = 'extends = "small"', **files: str) -> Path:
        folder = write_reading(MARKED).parent / "near"
        (folder / "read").mkdir(parents=True)
        (folder / "profile.toml").write_text(settings, encoding="utf-8")
        for stem, text in files.items():
            name = f"{stem.replace('__', '/').replace('_examples', '.examples')}.toml"
            (folder / name).write_text(text, encoding="utf-8")
        return folder

    return write


OWN_CASE = """
objectname = "case"
evidence = "documented"
[fields]
own = "text"
[[null]]
fields = ["own"]
reason = "r"
evidence = "documented"
[closed]
field = "state"
values = ["X"]
evidence = "documented"
"""


def test_missing_files_are_taken_from_the_extended_profile(extend: Write) -> None:
    """Own files win; all others, those of read/ included, are those of the other profile, and are named after it."""
    profile = load_profile(extend(read__case=OWN_CASE))

    assert profile.name == "near"
    assert list(profile.objects) == ["creditor", "invoice", "payment", "action"]
    assert profile.read is not None
    assert profile.read.case.fields == ("own",)
    assert profile.read.creditor.fields == ("id",)
    assert profile.read.is_closed({"state": "x"})
    assert [null.file for null in nulls(profile)] == [
        "small/read/creditor.toml",
        "near/read/case.toml",
        "small/read/settlement.toml",
    ]
    assert {entry.file for entry in assumptions(profile)} >= {"small/reply.toml", "small/invoice.toml"}
    assert "small/read/case.toml" not in {entry.file for entry in assumptions(profile)}


def test_the_folder_itself_may_be_lent(extend: Write) -> None:
    """A profile without read/ answers as the one that it extends."""
    folder = extend()
    (folder / "read").rmdir()
    read = load_profile(folder).read

    assert read is not None
    assert read.case.fields == ("a", "b", "c")


@pytest.mark.parametrize(("own", "zone"), [("", "Europe/Oslo"), ('time_zone = ""', ""), ('time_zone = "UTC"', "UTC")])
def test_the_time_zone_is_lent_too(extend: Write, own: str, zone: str) -> None:
    """The other profile's time zone holds, unless the own profile.toml names one."""
    folder = extend(f'extends = "small"\n{own}')
    (folder.parent / "small" / "profile.toml").write_text('time_zone = "Europe/Oslo"', encoding="utf-8")

    assert load_profile(folder).time_zone == zone


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ('extends = "smal"', 'near/profile.toml: extends: there is no other profile "smal" (did you mean "small"?)'),
        ('extends = "near"', 'near/profile.toml: extends: there is no other profile "near"'),
        ('extends = "../x"', "near/profile.toml: extends: is not written as it must be here: ^["),
    ],
)
def test_a_profile_that_is_not_there_cannot_be_extended(extend: Write, settings: str, fault: str) -> None:
    """An unknown name, the own one, or a path is a fault; with an unknown one, missing files are not told as well."""
    with pytest.raises(MappingFault) as caught:
        load_profile(extend(settings))
    assert str(caught.value).startswith(fault)


def test_only_one_level_can_be_extended(extend: Write) -> None:
    """Neither a chain nor a loop is followed."""
    folder = extend()
    (folder.parent / "small" / "profile.toml").write_text('extends = "near"', encoding="utf-8")

    with pytest.raises(MappingFault) as caught:
        load_profiles(folder.parent)
    assert str(caught.value).splitlines() == [
        'near/profile.toml: extends: "small" extends a profile itself; extend that one instead',
        'small/profile.toml: extends: "near" extends a profile itself; extend that one instead',
    ]


def test_faults_of_lent_files_are_told_once(extend: Write) -> None:
    """A fault of the extended profile is told under its name, once, whoever loads it."""
    folder = extend()
    (folder.parent / "small" / "read" / "case.toml").write_text("x = 1", encoding="utf-8")
    (folder.parent / "small" / "profile.toml").write_text("y = 1", encoding="utf-8")

    for load, path in ((load_profile, folder), (load_profiles, folder.parent)):
        with pytest.raises(MappingFault) as caught:
            load(path)
        faults = str(caught.value).splitlines()
        assert {fault.partition(":")[0] for fault in faults} == {"small/profile.toml", "small/read/case.toml"}
        assert len(faults) == len(set(faults))


def test_examples_stand_beside_their_mapping(extend: Write) -> None:
    """Examples of a file that is lent are misplaced in the folder of the borrower."""
    with pytest.raises(MappingFault) as caught:
        load_profile(extend(read__creditor_examples="", read__case=OWN_CASE, read__case_examples=""))
    assert str(caught.value) == (
        "near/read/creditor.examples.toml: its mapping is that of small; put the examples there"
    )
