"""`bridge check`: everything a start depends on, every fault at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Configure = Callable[..., Path]
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def mappings(tmp_path: Path) -> Path:
    """Return a copy of the shipped mappings that a test may spoil."""
    return Path(shutil.copytree(ROOT / "mappings", tmp_path / "mappings"))


def spoil(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def test_shipped(run: Run) -> None:
    """What is shipped has no fault, and tells what it assumes with file, key and note."""
    ran = run("check", "-c", ROOT / "config" / "local.toml")
    assert ran.code == 0, ran.out
    assert "profiles: autocollect, classic" in ran.out
    assert "Assumed in autocollect/action.toml" in ran.out
    assert "PauseCase is named in the navigation only" in ran.out


def test_profiles_in_use_come_first(run: Run, configure: Configure) -> None:
    """Profiles that no sender speaks stand behind a heading that says so, their assumptions counted apart."""
    config = configure()
    config.write_text(config.read_text().replace('profile = "autocollect"', 'profile = "classic"'))
    ran = run("check", "-c", config)
    assert ran.code == 0
    spoken, unspoken = ran.out.split("=== Spoken by no sender: autocollect, autocollect-modern")
    unspoken, nulls = unspoken.split("=== Fields of the answer")
    assert spoken.startswith("profiles: classic\n")
    assert "Assumed in classic/action.toml" in spoken
    assert "Assumed in autocollect/read/case.toml" in spoken  # which it takes from there
    assert "Assumed in autocollect/action.toml" not in spoken
    assert "Assumed in autocollect/action.toml" in unspoken
    assert "classic/" not in unspoken
    assert "autocollect/read/case.toml" not in unspoken
    assert "Always null by autocollect/read/case.toml" in nulls
    report = run("check", "-c", config, "--json").json
    unused = ["autocollect", "autocollect-modern"]
    assert (report["profiles"], report["unused"]) == (["classic", *unused], unused)
    above, more = report["heard"], len(report["assumed"]) - report["heard"]
    assert f"{above} assumptions are listed above, and {more} of profiles that no sender speaks" in nulls
    assert all(f"\n{one['file']}" not in spoken for one in report["assumed"][above:])


def test_nulls(run: Run, config: Path) -> None:
    """Every field that is always null is listed once, with file, reason and evidence."""
    listed = run("check", "-c", config, "--json").json["nulls"]
    assert {"file": "autocollect/read/case.toml", "field": "reminders"}.items() <= listed[
        [one["field"] for one in listed].index("reminders")
    ].items()
    assert len({(one["file"], one["field"]) for one in listed}) == len(listed)
    assert all(one["reason"] and one["evidence"] in {"documented", "assumed"} for one in listed)
    assert "how many reminders were sent is not shown by the modern API" in run("check", "-c", config).out


def test_an_assumed_null(run: Run, configure: Configure, mappings: Path) -> None:
    """A null that is only assumed says so."""
    spoil(
        mappings / "autocollect" / "read" / "creditor.toml",
        'contrary"\nevidence = "documented"',
        'contrary"\nevidence = "assumed"',
    )
    assert "does not prove the contrary (assumed)" in run("check", "-c", configure(mappings=mappings)).out


def test_faults_of_shared_files(run: Run, configure: Configure, mappings: Path) -> None:
    """A failing example of a file that several profiles use is one fault."""
    spoil(mappings / "autocollect" / "read" / "case.examples.toml", 'subject = "Saken er registrert"', 'subject = "x"')
    faults = run("check", "-c", configure(mappings=mappings), "--json").json["faults"]
    assert len([fault for fault in faults if "entry.history[0].subject should be" in fault]) == 1
    assert all(fault.startswith("autocollect/read/case.") for fault in faults)


def test_no_bare_dash(run: Run) -> None:
    """An assumption without a note says at least what kind of evidence there is."""
    lines = run("check", "-c", ROOT / "config" / "local.toml").out.splitlines()
    assert not [line for line in lines if line.endswith("  -")]
    assert any('rule to "invoiceDate"' in line and line.endswith("assumed: no page says it") for line in lines)


@pytest.mark.parametrize("place", ["modern", "organization", None])
def test_webhook_signature(run: Run, configure: Configure, place: str | None) -> None:
    """How webhooks are signed is assumed only where a secret is set."""
    config = configure()
    text, secret = config.read_text(), 'webhook_secrets = ["s"]\n'
    if place == "modern":
        text = text.replace("[mappings]", f"[modern]\n{secret}\n[mappings]")
    elif place == "organization":
        text = text.replace("client_id", f"{secret}client_id")
    config.write_text(text)
    keys = [one["key"] for one in run("check", "-c", config, "--json").json["assumed"]]
    assert ("modern.webhook_secrets" in keys) == (place is not None)


def test_json(run: Run, config: Path) -> None:
    """Scripts get the same as one document."""
    report = run("check", "-c", config, "--json").json
    assert report["ok"] is True
    assert report["faults"] == []
    files = {one["file"] for one in report["assumed"]}
    assert {str(config), "autocollect/action.toml", "autocollect/reply.toml"} <= files
    assert all(one["key"] for one in report["assumed"])


def test_settings_faults(run: Run, configure: Configure) -> None:
    """Every fault of the configuration is one line with file and key."""
    config = configure(more='\n[storag]\nurl = "x"\n')
    config.write_text(config.read_text().replace("port = 8080", 'port = "x"'))
    report = run("check", "-c", config, "--json")
    assert report.code == 1
    assert len(report.json["faults"]) == 2
    assert all(fault.startswith(f"{config}: ") for fault in report.json["faults"])
    assert any("server.port" in fault for fault in report.json["faults"])


def test_every_mapping_fault(run: Run, configure: Configure, mappings: Path) -> None:
    """A profile that cannot be loaded does not hide another one's failing example or wrong target."""
    spoil(mappings / "classic" / "reply.toml", "[codes]", "[kodes]")
    spoil(mappings / "autocollect" / "payment.examples.toml", "amount = 1250.00", "amount = 1251.00")
    spoil(mappings / "autocollect" / "action.toml", 'to = "until"', 'to = "untill"')
    ran = run("check", "-c", configure(mappings=mappings))
    assert ran.code == 1
    assert "classic/reply.toml" in ran.out
    assert "autocollect/payment.examples.toml" in ran.out
    assert 'there is no target "untill"' in ran.out
    assert "faults\n" in ran.out


def test_one_fault(run: Run, configure: Configure, mappings: Path) -> None:
    """An example that the legacy reader refuses is a fault of its own."""
    spoil(mappings / "autocollect" / "payment.examples.toml", 'date = "2024-02-20"', 'date = "2024-02-31"')
    ran = run("check", "-c", configure(mappings=mappings))
    assert ran.code == 1
    assert "date: not a valid date" in ran.out


def test_missing_profile(run: Run, configure: Configure, mappings: Path) -> None:
    """A sender whose profile is not there is named."""
    for name in ("autocollect", "autocollect-modern"):
        shutil.rmtree(mappings / name)
    shutil.rmtree(mappings / "classic")
    shutil.copytree(ROOT / "mappings" / "autocollect", mappings / "another")
    ran = run("check", "-c", configure(mappings=mappings))
    assert ran.code == 1
    assert "sender ERP-1: profile" in ran.out
    assert "one fault" in ran.out


@pytest.mark.parametrize("made", [True, False])
def test_no_profiles(run: Run, configure: Configure, tmp_path: Path, made: bool) -> None:
    """An empty or missing mappings folder is a fault that names the folder and the key."""
    folder = tmp_path / "empty"
    if made:
        folder.mkdir()
    ran = run("check", "-c", configure(mappings=folder))
    assert ran.code == 1
    assert f"{folder}: holds no profile; correct [mappings] folder" in ran.out


def write_rules(tmp_path: Path, text: str) -> None:
    rule = '[[rule]]\nid = "refs"\npath = "invoice.ledgerref"\ndoes = "ignore"\nowner = "Ola"\nreason = "r"\n'
    (tmp_path / "differences.toml").write_text(rule + text, encoding="utf-8")


WITH_RULES = '[cutover]\ndifferences = "differences.toml"\n'


def test_rules_for_differences(run: Run, configure: Configure, tmp_path: Path) -> None:
    """A fault in the rules for expected differences is a fault: of its file, its rule and its key."""
    config = configure(more=WITH_RULES)
    ran = run("check", "-c", config)
    assert ran.code == 1
    assert "differences.toml: cannot be read" in ran.out
    write_rules(tmp_path, 'expires = 2099-01-01\norganization = "nobody"')
    ran = run("check", "-c", config, "--json")
    assert ran.code == 1
    (fault,) = ran.json["faults"]
    assert fault.endswith('differences.toml: rule "refs": organization: "nobody" is no [[organization]] of the '
                          "configuration; write its id")  # fmt: skip


def test_expired_rules(run: Run, configure: Configure, tmp_path: Path) -> None:
    """A rule that has expired is warned of, with the one to ask, and stops nothing."""
    config = configure(more=WITH_RULES)
    write_rules(tmp_path, "expires = 2020-01-01")
    ran = run("check", "-c", config)
    assert ran.code == 0, ran.out
    assert 'differences.toml: rule "refs" expired on 2020-01-01 and hides nothing any more; ask Ola' in ran.out
    assert len(run("check", "-c", config, "--json").json["warnings"]) == 1
    write_rules(tmp_path, "expires = 2999-01-01")
    assert "warning" not in run("check", "-c", config).out
