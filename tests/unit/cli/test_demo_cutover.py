"""`bridge demo-cutover`: the whole way of an organization, there and back, and what does not hold is told."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bridge
from bridge.batch import Address
from bridge.cli import moving
from bridge.cli.moving import ground as grounds
from bridge.cli.moving.erp import Erp
from bridge.cli.moving.ground import Ground, open_ground
from bridge.cli.moving.story import Story
from bridge.errors import OperatorError

Run = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[3]
COMMANDS = (
    "mode show",
    "record start",
    "mode set",
    "compare",
    "compare",
    "compare",
    "ready",
    "ready",
    "mode set",
    "mode set",
    "mode history",
    "mode set",
    "debt",
    "debt",
    "ledger",
)


@pytest.fixture
def play(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run the demonstration with one step instead of its own."""

    def play_one(step: Callable[[Story, Ground], Any], *options: object) -> Any:
        async def perform(story: Story, ground: Ground) -> None:
            step(story, ground)

        monkeypatch.setattr(moving, "STEPS", (("Only this", perform),))
        return run("demo-cutover", *options)

    return play_one


def test_the_whole_way(run: Run, tmp_path: Path) -> None:
    """Every step proves what it says by commands that are really run, and leaves what people are to look at."""
    environment = dict(os.environ)
    out = tmp_path / "a folder"
    ran = run("demo-cutover", "--out", out)
    assert ran.code == 0, ran.out + ran.err
    assert ran.err == ""
    assert "✗" not in ran.out
    assert "Every step has proven what it says: nothing lost, nothing doubled." in ran.out
    typed = [line.removeprefix("$ bridge ") for line in ran.out.splitlines() if line.startswith("$ bridge ")]
    assert all(line.startswith(command) for line, command in zip(typed, COMMANDS, strict=True)), typed
    _check_verdicts(ran.out)
    assert (out / "ready.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert json.loads((out / "catch-up.json").read_bytes())["batchid"].startswith("bridge-catch-up-")
    assert len(list((out / "recordings").glob("*.jsonl"))) > 1
    assert dict(os.environ) == environment
    _check_second_run(run, out)


def _check_verdicts(out: str) -> None:
    """Check what a reader is to see of the two reports, the return and the books."""
    before, after = out.partition("=== 5.")[0].partition("five days of traffic")[::2]
    assert "NO-GO: 3 reasons against it." in before
    assert "creditor 915107281 of sender ERP-1" in before
    assert "GO: nothing" in after
    assert "it went back to what it was before: shadow, 25 % modern" in out
    assert "Nothing is left to be written." in out
    assert "and nothing of Fjellheim, which nobody has switched" in out


def test_folders_that_will_not_do(run: Run, tmp_path: Path) -> None:
    """A folder without the demonstration's files, and a file in place of a folder, are named."""
    ran = run("demo-cutover", "--folder", tmp_path)
    assert (ran.code, f"in {tmp_path}: run this in a checkout" in ran.err) == (1, True)
    (tmp_path / "file").touch()
    ran = run("demo-cutover", "--out", tmp_path / "file")
    assert (ran.code, "name another one with --out" in ran.err) == (1, True)


def _check_second_run(run: Run, out: Path) -> None:
    """Check that a folder which holds a journal already is not used for another story."""
    ran = run("demo-cutover", "--out", out)
    assert ran.code == 1
    assert "is not empty; name a new folder with --out, or none" in ran.err


def test_a_step_that_does_not_hold(play: Callable[..., Any], tmp_path: Path) -> None:
    """What is not so is shown and counted, and the exit code is 1."""

    def look(story: Story, _: Ground) -> None:
        story.check(False, "the sky is green")
        story.check(True, "it is blue")

    ran = play(look, "--out", tmp_path)
    assert ran.code == 1
    assert "✗ not so: the sky is green" in ran.out
    assert "Checks that failed: 1. See the lines with ✗ above." in ran.out
    assert "Every step has proven" not in ran.out


def test_a_folder_of_its_own(play: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without --out a new temporary folder is taken, kept and named."""
    monkeypatch.setattr(tempfile, "mkdtemp", lambda prefix: str(tmp_path / prefix))
    ran = play(lambda _, ground: ground.configure(in_full=True))
    assert ran.code == 0
    assert f"stay in {tmp_path / 'bridge-demo-cutover-'}" in ran.out
    assert (tmp_path / "bridge-demo-cutover-" / "cutover.toml").is_file()


def test_the_first_days_know_less(play: Callable[..., Any], tmp_path: Path) -> None:
    """At first a creditor and the rules are missing from the configuration; the lines say so themselves."""
    seen = []

    def look(_: Story, ground: Ground) -> None:
        for in_full in (False, True):
            ground.configure(in_full=in_full)
            seen.append((len(ground.creditors), ground.settings.cutover.differences is not None))

    assert play(look, "--out", tmp_path).code == 0
    assert seen == [(7, False), (8, True)]


async def test_what_never_comes_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Waiting comes to an end, and says for what."""
    monkeypatch.setattr(grounds, "PATIENCE_SECONDS", 0.0)
    async with open_ground(ROOT, tmp_path) as ground:
        ground.configure(in_full=True)
        with pytest.raises(OperatorError, match="still not: the rain"):
            await ground.until(lambda: False, "the rain")
        with pytest.raises(OperatorError, match="no bridge runs"):
            ground.switch_of(grounds.NORDLYS)
        async with ground.serving():
            with pytest.raises(OperatorError, match="1 batches were not compared"):
                await ground.wait_for_comparisons(1)
            ground.erp.hear = lambda *_: False  # type: ignore[method-assign]  # an ERP that misses a row
            with pytest.raises(OperatorError, match="was answered 200, without a word on each row"):
                await ground.deliver(ground.erp.write(ground.creditors, 1))


def test_variables_that_were_set_come_back(
    play: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The configuration somebody works with is not changed by watching a demonstration."""
    monkeypatch.setenv("BRIDGE_CONFIG", "mine.toml")
    seen = []
    assert play(lambda *_: seen.append(os.environ["BRIDGE_CONFIG"]), "--out", tmp_path).code == 0
    assert seen == [str(tmp_path / "cutover.toml")]
    assert os.environ["BRIDGE_CONFIG"] == "mine.toml"


def test_without_a_checkout(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without config/ and mappings/ it says what it needs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bridge, "__file__", str(tmp_path / "bridge" / "__init__.py"))
    ran = run("demo-cutover")
    assert ran.code == 1
    assert "--folder" in ran.err


# --- the ERP --------------------------------------------------------------------------------------------------------


def answer(*responses: int, errors: tuple[int, ...] = (), status: str = "OK") -> bytes:
    """Return an answer that tells of these invoices."""
    said = [{"objectname": "invoice", "objectindex": one, "status_statuscode": status} for one in responses]
    refused = [{"objectname": "invoice", "objectindex": one, "message": "no"} for one in errors]
    return json.dumps({"responses": said, "errors": refused}).encode()


@pytest.mark.parametrize(
    ("reply", "is_whole"),
    [
        (answer(0, 1), True),
        (answer(0, errors=(1,)), True),
        (answer(0), False),
        (answer(0, 1, errors=(1,)), False),
        (answer(0, 1, status="PENDING"), False),
    ],
)
def test_the_erp_wants_one_final_word_on_every_row(reply: bytes, is_whole: bool) -> None:
    """A row that is missing, told twice, or not final is noticed."""
    erp = Erp()
    shipment = erp.write(["984842252"], 2, {"dueDate": ""}, {"dueDate": ""})
    assert [*shipment.entities] == [Address("invoice", 0), Address("invoice", 1)]
    assert erp.hear(shipment, reply) is is_whole


def test_the_erp_never_sends_an_invoice_twice() -> None:
    """Every invoice and payment of every batch has an id of its own."""
    erp = Erp()
    first, second = (erp.write(["984842252", "971274190"], 6) for _ in range(2))
    assert not set(first.entities.values()) & set(second.entities.values())
    assert len(set(first.entities.values())) == len(first.entities) == 8
    assert b"\r\n" in first.body
    assert "Sørli".encode() in first.body
