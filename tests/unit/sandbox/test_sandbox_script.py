"""Fault scripts: what they may say, and the examples that come with the project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.sandbox import SandboxOptions, ScriptFault, create_app, load_script, read_script
from bridge.sandbox.server import STAND_IN

EXAMPLES = sorted((Path(__file__).parents[3] / "config" / "sandbox").glob("*.toml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_script_loads(path: Any) -> None:
    """The examples in config/sandbox are valid and do something."""
    script = load_script(path)
    assert script.fault or script.behaviour.model_fields_set
    assert create_app(SandboxOptions(script=path))[STAND_IN].deck.script == script


def test_there_are_examples() -> None:
    """The project ships several example scripts."""
    assert {"mixed-faults.toml", "slow.toml", "flaky.toml", "undocumented.toml"} <= {path.name for path in EXAMPLES}


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"kind": "explode", "operation": "*"}, "explode"),
        ({"kind": "refuse"}, "operation"),
        ({"kind": "refuse", "operation": "invoice-writes"}, "choose from"),
        ({"kind": "refuse", "operation": "*", "tims": 2}, "tims"),
        ({"kind": "refuse", "operation": "*", "times": 0}, "times"),
        ({"kind": "refuse", "operation": "*", "where": {"a": "re:("}}, "regular expression"),
        ({"kind": "refuse", "operation": "*", "where": {"a": 1}}, "where.a"),
        ({"kind": "fail", "operation": "*", "status": 200}, "status"),
        ({"kind": "slow", "operation": "*", "seconds": -1}, "seconds"),
        ({"kind": "reorder", "operation": "*", "probability": 0}, "probability"),
        ({"kind": "fail", "operation": "cases", "status": 500, "page": 0}, "page"),
        ({"kind": "fail", "operation": "reads", "status": 500, "page": 3}, "only lists have pages"),
    ],
)
def test_a_script_that_would_not_do_what_it_says_is_refused(fault: Any, told: Any) -> None:
    """Unknown words and impossible values are refused, naming the key."""
    with pytest.raises(ScriptFault, match="my script") as refusal:
        read_script({"fault": [fault]}, source="my script")
    assert told in str(refusal.value)
    assert "fault.0" in str(refusal.value)


def test_an_event_nobody_tells_is_refused() -> None:
    """An event is told or unknown."""
    with pytest.raises(ScriptFault, match=r"behaviour\.events\.0"):
        read_script({"behaviour": {"events": ["CASE_CREATED"]}}, source="my script")


def test_a_script_must_be_an_object() -> None:
    """A script that is no table is refused."""
    with pytest.raises(ScriptFault, match="my script: script"):
        read_script([], source="my script")


def test_a_script_file_that_cannot_be_read_is_named(tmp_path: Any) -> None:
    """A missing file and a file that is not TOML are told apart, both by name."""
    with pytest.raises(ScriptFault, match=r"gone\.toml: the script file cannot be read"):
        load_script(tmp_path / "gone.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[[fault]")
    with pytest.raises(ScriptFault, match=r"broken\.toml: the script file is not TOML"):
        load_script(broken)


async def test_scripts_are_replaced_extended_and_cleared_at_run_time(client: Any, invoice: Any) -> None:
    """POST replaces or appends (counters of the old faults go on), DELETE clears; none of it needs a token."""
    first = {"behaviour": {"failed_entry": "reason"}, "fault": [{"kind": "reorder", "operation": "*"}]}
    answer = await client.admin("POST", "/script", json=first)
    assert (answer.status, answer.json["behaviour"]["failed_entry"]) == (200, "reason")
    await client.create(invoice())
    second = {"behaviour": {"entry_index": False}, "fault": [{"kind": "slow", "operation": "token", "seconds": 1}]}
    shown = (await client.admin("POST", "/script?mode=append", json=second)).json
    assert [(fault["kind"], fault["struck"]) for fault in shown["fault"]] == [("reorder", 3), ("slow", 0)]
    assert (shown["behaviour"]["failed_entry"], shown["behaviour"]["entry_index"]) == ("reason", False)
    shown = (await client.admin("POST", "/script", json=second)).json
    assert [fault["kind"] for fault in shown["fault"]] == ["slow"]
    assert shown["behaviour"]["failed_entry"] == "message"
    assert (await client.admin("DELETE", "/script")).status == 204
    shown = (await client.admin("GET", "/script")).json
    assert (shown["fault"], shown["behaviour"]["entry_index"]) == ([], True)


async def test_a_bad_script_at_run_time_changes_nothing(client: Any) -> None:
    """A script that is refused answers 400 and leaves the one in force."""
    client.sandbox.play({"fault": [{"kind": "reorder", "operation": "*"}]})
    for body in (b"{", b'{"faults":[]}'):
        answer = await client.admin("POST", "/script", data=body)
        assert (answer.status, "error" in answer.json) == (400, True)
    assert (await client.admin("POST", "/script?mode=prepend", data=b"{}")).status == 400
    assert len((await client.admin("GET", "/script")).json["fault"]) == 1
