"""Profiles from their folders: what is found, and what every fault is told as."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.batch import Verdict
from bridge.errors import MappingFault
from bridge.mapping import Assumption, Profile, ReplyTable, assumptions, load_profile, load_profiles
from bridge.mapping.profiles import rebuild

A = '[fields]\na = "text"\n'
SENT = A + '[[carry]]\nfields = ["a"]\nevidence = "assumed"\n'


def _rule(text: str, fields: str = A) -> str:
    return f'{fields}[[rule]]\n{text}\nevidence = "assumed"\n'


def test_a_profile_holds_what_its_files_say(profile_of: Callable[..., Profile]) -> None:
    """Name, settings, reply words and mappings come from the folder."""
    profile = profile_of(profile='description = "d"\ntime_zone = "Europe/Oslo"')

    assert (profile.name, profile.description, profile.time_zone) == ("small", "d", "Europe/Oslo")
    assert profile.reply == ReplyTable(0, 1, 2, 3, "OK", "PENDING")
    assert list(profile.objects) == ["creditor", "invoice", "payment", "action"]


MARKED = """
[fields]
a = "text"
b = "text"
c = "text"

[[carry]]
fields = ["a"]
evidence = "documented"

[[rule]]
from = "b"
to = "b"
transform = { name = "table", table = "t" }
default = "x"
evidence = "assumed"
note = "why"

[[require]]
fields = ["a"]
evidence = "assumed"

[[drop]]
fields = ["c"]
reason = "r"
evidence = "assumed"

[reference]
target = "invoice"
id = "a"
into = "z"
evidence = "assumed"

[table.t]
rows = [{ code = "P", value = "x", evidence = "assumed", note = "n" }]
"""


def test_assumptions_are_listed_with_file_and_note(profile_of: Callable[..., Profile]) -> None:
    """Everything marked assumed is listed where it stands; what is documented is not."""
    profile = profile_of(MARKED)

    assert [entry for entry in assumptions(profile) if entry.file == "small/invoice.toml"] == [
        Assumption("small/invoice.toml", "reference", ""),
        Assumption("small/invoice.toml", "require a", ""),
        Assumption("small/invoice.toml", 'rule to "b"', "why"),
        Assumption("small/invoice.toml", "drop c", "r"),
        Assumption("small/invoice.toml", 'table "t" code "p"', "n"),
    ]
    assert assumptions(profile)[-1].file == "small/reply.toml"


def test_a_documented_reply_is_no_assumption(profile_of: Callable[..., Profile]) -> None:
    """Reply words that a page shows are not listed as assumed; how the legacy host's answer is read, by itself."""
    reply = """
    evidence = "documented"
    codes = { all_accepted = 0, some_refused = 1, all_refused = 2, some_pending = 3 }
    texts = { accepted = "OK", pending = "PENDING" }
    """
    keys = {entry.key for entry in assumptions(profile_of(reply=reply)) if entry.file == "small/reply.toml"}
    assert keys == {"legacy_host: pending, both, unmentioned, unmentioned_in_success"}

    host = 'legacy_host = { evidence = "documented", pending = "in doubt" }'
    profile = profile_of(reply=f"{reply}\n{host}", name="other")
    assert "other/reply.toml" not in {entry.file for entry in assumptions(profile)}
    assert (profile.reply.host_pending, profile.reply.host_both) == (Verdict.PENDING, Verdict.REFUSED)


def test_all_profiles_of_a_folder_are_loaded(write_profile: Callable[..., Path]) -> None:
    """Every folder with mapping files is a profile; others are left alone."""
    folder = write_profile(name="one").parent
    write_profile(name="two")
    (folder / "notes").mkdir()

    assert list(load_profiles(folder)) == ["one", "two"]


def test_the_faults_of_all_profiles_are_told_at_once(write_profile: Callable[..., Path]) -> None:
    """Two broken profiles are told in one message."""
    folder = write_profile(name="one", reply=None).parent
    write_profile(name="two", action=None)

    with pytest.raises(MappingFault, match=r"one/reply\.toml: is missing.*\n.*two/action\.toml: is missing"):
        load_profiles(folder)


@pytest.mark.parametrize("load", [load_profile, load_profiles])
def test_a_folder_that_is_not_there_is_told(tmp_path: Path, load: Callable[[Path], object]) -> None:
    """A wrong path is a fault with its remedy."""
    with pytest.raises(MappingFault, match="there is no such"):
        load(tmp_path / "nowhere")


def test_a_folder_without_profiles_is_told(tmp_path: Path) -> None:
    """An empty mappings folder is a fault."""
    with pytest.raises(MappingFault, match="holds no profile"):
        load_profiles(tmp_path)


def test_a_mapping_can_be_compiled_to_tell_what_it_uses(profile_of: Callable[..., Profile]) -> None:
    """The rebuilt mapping names each rule that writes a value, and each code row that is hit."""
    noticed: list[str] = []
    mapping = rebuild(profile_of(MARKED), "invoice", noticed.append)

    mapping.translate({"a": "1", "b": "p"})
    mapping.translate({"a": "1"})

    assert noticed == ['carry "a"', 'table "t" code "p"', 'rule to "b"', 'carry "a"', 'rule to "b", its default']


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("reply", None, "reply.toml: is missing; every profile needs it (copy it from another profile)"),
        ("payment", None, "payment.toml: is missing; every profile needs it (copy it from another profile)"),
        ("invoise", "", 'invoise.toml: is no file of a profile; rename or remove it (did you mean "invoice.toml"?)'),
        ("reply", "codes = {", "reply.toml: is not TOML: "),
        ("reply", 'evidence = "assumed"', "reply.toml: codes: is missing; add it"),
        (
            "profile",
            'timezone = "x"',
            "profile.toml: timezone: unknown; did you mean time_zone?",
        ),
        (
            "profile",
            'time_zone = "Europe/Olso"',
            'profile.toml: time_zone: "Europe/Olso" is not a time zone; write one',
        ),
        ("profile", 'time_zone = "../x"', 'profile.toml: time_zone: "../x" is not a time zone; write one'),
        (
            "action",
            'objectname = "x"\nevidence = "assumed"\nfields = { a = "text" }',
            'action.toml: objectname: must be "action"',
        ),
    ],
)
def test_a_broken_file_is_told(faults_of: Callable[..., list[str]], file: str, text: str | None, fault: str) -> None:
    """A missing, strange or unreadable file is told with its name and a remedy."""
    assert any(line.startswith(f"small/{fault}") for line in faults_of(**{file: text}))


def test_a_file_that_is_not_utf8_is_told(write_profile: Callable[..., Path]) -> None:
    """A file saved in another encoding is told, not guessed at."""
    folder = write_profile()
    (folder / "reply.toml").write_bytes("note = 'ø'".encode("latin-1"))

    with pytest.raises(MappingFault, match=r"small/reply\.toml: is not UTF-8"):
        load_profile(folder)


CASES = tomllib.loads((Path(__file__).parent / "contradictions.toml").read_text(encoding="utf-8"))["case"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_contradiction_is_told(faults_of: Callable[..., list[str]], case: dict[str, str]) -> None:
    """Whatever cannot be is told with file, key and remedy."""
    lines = faults_of(case["invoice"])

    assert any(line.startswith(f"small/invoice.toml: {case['fault']}") for line in lines), lines


def test_rows_that_are_not_sent_have_no_rules(faults_of: Callable[..., list[str]]) -> None:
    """A mapping without an operation may only declare and drop."""
    creditor = 'objectname = "creditor"\nevidence = "assumed"\n' + SENT

    assert faults_of(creditor=creditor)[0] == (
        "small/creditor.toml: carry: without an [[operation]] nothing is sent; add one, or remove this"
    )


def test_a_silent_field_of_an_unsent_row_is_told(faults_of: Callable[..., list[str]]) -> None:
    """Every field of a creditor row needs its reason, too."""
    creditor = f'objectname = "creditor"\nevidence = "assumed"\n{A}'

    assert faults_of(creditor=creditor) == [
        'small/creditor.toml: fields "a": is neither mapped nor dropped; add a rule, or a [[drop]] with its reason'
    ]


def test_all_faults_of_a_file_are_told_at_once(faults_of: Callable[..., list[str]]) -> None:
    """Two wrong rules are two lines."""
    assert len(faults_of(_rule('from = "x"\nto = "b"') + _rule('from = "y"\nto = "c"', ""))) == 2
