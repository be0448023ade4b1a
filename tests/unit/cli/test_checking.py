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
    shutil.rmtree(mappings / "autocollect")
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
