"""`bridge mode` and `bridge record`: who switches what, what is refused, and what the history says."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import recording, switches, switching
from bridge.cli.screen import Screen
from bridge.journal import Office, SetSwitch
from bridge.journal.opening import open_books, open_journal, open_office
from bridge.modes import Mode, Switch

ORG = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
OTHER = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
URL = "sqlite:///journal.db"
WORD = ("--actor", "Kari", "--reason", "ticket 12")
LEGACY = '\n[legacy]\nbase_url = "https://legacy.example"\n'
RECORDING = '\n[recording]\nkey = "a long random secret"\n'
CREDITORS = [str(910_000_000 + number) for number in range(40)]
SECOND = f"""
[[organization]]
id = "{OTHER}"
name = "Fjellheim Vann AS"
creditors = {CREDITORS}
client_id = "fjellheim"
client_secret = "demo"
"""

Run = Callable[..., Any]
Configure = Callable[..., Path]


@pytest.fixture
def config(configure: Configure) -> Path:
    """Two organizations, a legacy host, a key to record with, and an empty journal."""
    path = configure(more=SECOND + LEGACY + RECORDING)
    open_once(path)
    return path


def open_once(config: Path) -> None:
    async def run() -> None:
        journal = await open_journal(URL, base=config.parent)
        await journal.close()

    asyncio.run(run())


def history(config: Path, organization: str = "") -> list[Switch]:
    async def read() -> list[Switch]:
        books = open_books(URL, base=config.parent)
        try:
            return await books.switch_history(organization)
        finally:
            await books.close()

    return asyncio.run(read())


def write(config: Path, switch: Switch, expected: int) -> None:
    """Switch as somebody else would."""

    async def run() -> None:
        office = open_office(URL, base=config.parent)
        try:
            await office.write(SetSwitch(switch, expected))
        finally:
            await office.close()

    asyncio.run(run())


# --- setting -------------------------------------------------------------------------------------------------------


def test_set(run: Run, config: Path) -> None:
    """It is recorded with actor, time and reason, and told what follows."""
    before = time.time()
    ran = run("mode", "set", ORG, "shadow", *WORD, "-c", config)
    assert (ran.code, ran.err) == (0, "")
    assert f"Recorded: {ORG} from modern to shadow, by Kari." in ran.out
    assert "Every running bridge obeys within a second" in ran.out
    (switch,) = history(config)
    assert before <= switch.at <= time.time()
    assert replace(switch, at=0.0) == Switch(ORG, Mode.SHADOW, number=1, actor="Kari", reason="ticket 12")


def test_set_beside_a_bridge(run: Run, config: Path) -> None:
    """A bridge that holds the journal does not stand in the way."""

    async def switch() -> Any:
        journal = await open_journal(URL, base=config.parent)
        try:
            return await asyncio.to_thread(run, "mode", "set", ORG, "shadow", *WORD, "-c", config)
        finally:
            await journal.close()

    assert asyncio.run(switch()).code == 0
    assert [one.mode for one in history(config)] == [Mode.SHADOW]


def test_a_percentage(run: Run, config: Path) -> None:
    """By name, and with the number of configured creditors on each side; an older spelling of the options is known."""
    words = ("--by", " Kari ", "--because", " ticket 12 ")
    ran = run("mode", "set", "fjellheim vann as", "shadow", "--percent", "25", "--to", "modern", *words, "-c", config)
    (switch,) = history(config)
    modern = sum(switch.mode_of(creditor) is Mode.MODERN for creditor in CREDITORS)
    assert 0 < modern < 40
    assert f"Recorded: Fjellheim Vann AS ({OTHER}) from modern to shadow, 25 % modern, by Kari." in ran.out
    assert f"Of its 40 configured creditors: {40 - modern} shadow, {modern} modern" in ran.out
    assert (switch.other, switch.percent, switch.actor, switch.reason) == (Mode.MODERN, 25.0, "Kari", "ticket 12")


def test_raising_a_percentage_sends_nobody_back(run: Run, config: Path) -> None:
    """Lowering it does, and says who."""
    for percent, warned in (("10", True), ("50", False), ("30", True)):
        ran = run("mode", "set", OTHER, "shadow", "--percent", percent, "--to", "modern", *WORD, "-c", config)
        assert ("of its configured creditors go back: " in ran.out) == warned, percent
    fifty, thirty = history(config)[1:]
    back = [one for one in sorted(CREDITORS) if (fifty.mode_of(one), thirty.mode_of(one)) == (Mode.MODERN, Mode.SHADOW)]
    assert f"{len(back)} of its configured creditors go back: {', '.join(back)}." in ran.out


def test_all_of_them_is_the_mode_itself(run: Run, config: Path) -> None:
    """100 percent is no part."""
    write(config, Switch(ORG, Mode.SHADOW, at=1.0, actor="Ola"), 0)
    run("mode", "set", ORG, "shadow", "--percent", "100", "--to", "modern", *WORD, "-c", config)
    assert (history(config)[-1].mode, history(config)[-1].other) == (Mode.MODERN, None)


@pytest.mark.parametrize(
    ("arguments", "option", "text"),
    [
        (("shadow", "--percent", "25"), "--percent / --to", "belong together: --percent 25 --to modern"),
        (("shadow", "--to", "modern"), "--percent / --to", "belong together"),
        (("shadow", "--percent", "0", "--to", "modern"), "--percent", "must be more than 0, at most 100"),
        (("shadow", "--percent", "100.5", "--to", "modern"), "--percent", "at most 100"),
        (("shadow", "--percent", "nan", "--to", "modern"), "--percent", "at most 100"),
        (("shadow", "--percent", "12.345", "--to", "modern"), "--percent", "two decimals at most"),
        (("shadow", "--percent", "25", "--to", "shadow"), "--to", "is shadow as well"),
        (
            ("modern", "--percent", "25", "--to", "shadow"),
            "--to",
            "say it the other way round: shadow --percent 75 --to modern",
        ),
        (("modern", "--percent", "100", "--to", "legacy"), "--to", "say it the other way round: legacy"),
        (("shadow", "--actor", " "), "--actor", "must not be empty"),
        (("shadow", "--reason", ""), "--reason", "must not be empty"),
        (("shadow", "--actor", "Guardrail"), "--actor", "say your name"),
        (("old",), "MODE", "old"),
    ],
)
def test_nonsense_is_refused(run: Run, config: Path, arguments: tuple[str, ...], option: str, text: str) -> None:
    """With what to type instead; nothing is recorded."""
    ran = run("mode", "set", ORG, arguments[0], *WORD, *arguments[1:], "-c", config)
    assert ran.code == 2
    assert option in ran.err
    assert text in " ".join(ran.err.split())
    assert history(config) == []


@pytest.mark.parametrize("missing", ["--actor", "--reason"])
def test_nobody_switches_without_a_name_and_a_reason(run: Run, config: Path, missing: str) -> None:
    """Both are kept in the history."""
    given = [one for pair in (WORD[:2], WORD[2:]) if pair[0] != missing for one in pair]
    ran = run("mode", "set", ORG, "shadow", *given, "-c", config)
    assert ran.code == 2
    assert missing in ran.err


def test_an_unknown_organization_is_refused(run: Run, config: Path) -> None:
    """The known ones are named."""
    ran = run("mode", "set", "nobody", "shadow", *WORD, "-c", config)
    assert ran.code == 2
    assert f"{OTHER} (Fjellheim Vann AS)" in ran.err.replace("\n", " ").replace("  ", " ")


def test_what_is_so_already_is_not_recorded_again(run: Run, config: Path) -> None:
    """It says who made it so."""
    ran = run("mode", "set", ORG, "modern", *WORD, "-c", config)
    assert ran.code == 0, "a script that makes sure of a mode must not stumble"
    said = " ".join(ran.out.split())
    assert "is in modern already, by the configuration (cutover.first_mode); nothing was recorded" in said
    run("mode", "set", ORG, "shadow", *WORD, "-c", config)
    said = " ".join(run("mode", "set", ORG, "shadow", *WORD, "-c", config).out.split())
    assert "is in shadow already, by Kari at " in said
    assert "(ticket 12); nothing was recorded" in said
    assert len(history(config)) == 1


@pytest.mark.parametrize("arguments", [("legacy",), ("shadow",), ("shadow", "--percent", "5", "--to", "modern")])
def test_without_a_legacy_host_nobody_returns_to_it(run: Run, configure: Configure, arguments: tuple[str, ...]) -> None:
    """The setting is named."""
    config = configure()
    open_once(config)
    ran = run("mode", "set", ORG, *arguments, *WORD, "-c", config)
    assert ran.code == 1
    assert f"{arguments[0]}: there is no legacy host to answer; set legacy.base_url" in ran.err
    assert history(config) == []


def test_somebody_else_was_faster(run: Run, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is overwritten that was not seen; it says who switched, to what, and what to do."""
    read = switches.read_current
    faster = [Switch(ORG, Mode.LEGACY, at=1_700_000_000.0, actor="Ola", reason="it burns")]

    async def read_then_be_overtaken(office: Office, *rest: Any) -> Switch:
        current = await read(office, *rest)
        if faster:
            await office.write(SetSwitch(faster.pop(), current.number))
        return current

    monkeypatch.setattr(switching, "read_current", read_then_be_overtaken)
    ran = run("mode", "set", ORG, "shadow", *WORD, "-c", config)
    assert ran.code == 1
    assert (
        f"{ORG} was switched in the same moment, to legacy, by Ola at 2023-11-14 22:13:20 UTC (it burns); nothing of "
        "yours was recorded"
    ) in ran.err
    assert [one.actor for one in history(config)] == ["Ola"]


def test_going_back_tells_what_is_left_behind(run: Run, taken: Path) -> None:
    """Rows that are pending or in doubt, and what lists the rest."""
    ran = run("mode", "set", ORG, "legacy", *WORD, "-c", taken)
    assert ran.code == 0
    assert "1 of its rows are pending and 1 in doubt: they went to the modern system" in ran.out
    assert f"bridge debt {ORG}" in ran.out
    ran = run("mode", "set", ORG, "modern", *WORD, "-c", taken)
    assert "in doubt" not in ran.out
    assert "bridge debt" not in ran.out


def test_set_json(run: Run, config: Path) -> None:
    """Scripts get the step as it was recorded, and the warnings."""
    report = run("mode", "set", OTHER, "legacy", *WORD, "--json", "-c", config).json
    assert report.pop("at").endswith("+00:00")
    assert report == {
        "organization": OTHER,
        "name": "Fjellheim Vann AS",
        "number": 1,
        "actor": "Kari",
        "reason": "ticket 12",
        "before": {"mode": "modern", "percent": 0.0, "to": None, "recording": False},
        "after": {"mode": "legacy", "percent": 0.0, "to": None, "recording": False},
        "warnings": [f"What exists only in the modern system by now is listed by: bridge debt {OTHER}"],
    }


# --- showing -------------------------------------------------------------------------------------------------------


def test_show(run: Run, config: Path) -> None:
    """Every organization, by whom and why; one that nobody has switched by the configuration."""
    write(config, Switch(OTHER, Mode.SHADOW, Mode.MODERN, 25, True, 0, 1_700_000_000.0, "Ola", "ready"), 0)
    out = run("mode", "show", "-c", config).out
    assert out.splitlines()[1].split() == [ORG, "-", "modern", "-", "-", "-", "cutover.first_mode"]
    assert "Fjellheim Vann AS  shadow, 25 % modern  yes" in out
    assert "2023-11-14 22:13:20  Ola  ready" in out
    assert "By creditor" not in out


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("command", ["show", "history"])
def test_ids_can_be_copied_from_a_narrow_terminal(config: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """The whole id stands on one line of 80 columns."""
    write(config, Switch(OTHER, Mode.SHADOW, Mode.MODERN, 25, True, 0, 1_700_000_000.0, "Ola", "ready"), 0)
    terminal = Terminal()
    monkeypatch.setattr(switches, "Screen", lambda: Screen(terminal))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    (switches.show if command == "show" else switches.show_history)(config, None, as_json=False)
    lines = terminal.getvalue().splitlines()
    assert any(OTHER in line for line in lines)


def test_show_one(run: Run, config: Path) -> None:
    """Each of its creditors, and rows that name none."""
    switch = Switch(OTHER, Mode.SHADOW, Mode.MODERN, 25, at=1_700_000_000.0, actor="Ola")
    write(config, switch, 0)
    out = run("mode", "show", OTHER, "-c", config).out
    told = dict(line.rsplit(maxsplit=1) for line in out.splitlines() if line.strip()[:2] in {"91", "(r"})
    assert {name.strip(): mode for name, mode in told.items()} == {
        **{creditor: switch.mode_of(creditor).value for creditor in CREDITORS},
        "(rows that name none)": switch.mode_of("").value,
    }


def test_show_says_when_nothing_can_be_switched(run: Run, configure: Configure) -> None:
    """Without a legacy host the bridge answers for everyone."""
    config = configure()
    open_once(config)
    assert switches.NO_LEGACY_HOST in run("mode", "show", "-c", config).out


def test_show_json(run: Run, config: Path) -> None:
    """For scripts, with the mode of each creditor."""
    first, second = run("mode", "show", "--json", "-c", config).json
    assert first == {
        "organization": ORG,
        "name": None,
        "mode": "modern",
        "percent": 0.0,
        "to": None,
        "recording": False,
        "number": 0,
        "at": None,
        "actor": "",
        "reason": "",
        "creditors": {"984842252": "modern"},
    }
    assert set(second["creditors"]) == set(CREDITORS)
    (only,) = run("mode", "show", OTHER, "--json", "-c", config).json
    assert only == second


def test_history(run: Run, config: Path) -> None:
    """Oldest first, each with what was before; recording is part of it; also of organizations that are gone."""
    write(config, Switch(OTHER, Mode.LEGACY, at=1_700_000_000.0, actor="Ola", reason="begin"), 0)
    write(config, Switch("gone", Mode.LEGACY, at=1_700_000_001.0, actor="Ola", reason="left"), 0)
    write(config, Switch(OTHER, Mode.LEGACY, recording=True, at=1_700_000_002.0, actor="Ola", reason="record"), 1)
    out = run("mode", "history", "-c", config).out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines == [
        "no. at (UTC) organization from to by why",
        f"1 2023-11-14 22:13:20 {OTHER} modern legacy Ola begin",
        "2 2023-11-14 22:13:21 gone modern legacy Ola left",
        f"3 2023-11-14 22:13:22 {OTHER} legacy legacy, recorded Ola record",
    ]
    steps = run("mode", "history", OTHER, "--json", "-c", config).json
    assert [(one["number"], one["before"]["recording"], one["after"]["recording"]) for one in steps] == [
        (1, False, False),
        (3, False, True),
    ]
    assert steps[0]["before"]["mode"] == "modern"
    assert steps[0]["name"] == "Fjellheim Vann AS"


def test_no_history(run: Run, config: Path) -> None:
    """Nobody has switched yet."""
    assert (
        "Nobody has switched yet: the mode is modern, by cutover.first_mode."
        in run("mode", "history", "-c", config).out
    )
    assert run("mode", "history", "--json", "-c", config).json == []


# --- recording -----------------------------------------------------------------------------------------------------


def test_record(run: Run, config: Path) -> None:
    """Begin and end are switches like any other, and leave the mode alone."""
    run("mode", "set", ORG, "legacy", *WORD, "-c", config)
    ran = run("record", "start", ORG, *WORD, "-c", config)
    assert ran.code == 0
    assert f"Recorded: {ORG} is recorded from now on, by Kari." in ran.out
    assert f"writes into {config.parent}/var/recordings" in ran.out
    ran = run("record", "stop", ORG, *WORD, "-c", config)
    assert f"{ORG} is not recorded any more" in ran.out
    assert [(one.mode, one.recording) for one in history(config)] == [
        (Mode.LEGACY, False),
        (Mode.LEGACY, True),
        (Mode.LEGACY, False),
    ]
    assert run("record", "start", ORG, *WORD, "--json", "-c", config).json["after"]["recording"] is True
    run("mode", "set", ORG, "shadow", *WORD, "-c", config)
    assert history(config)[-1].recording


def test_what_cannot_be_recorded_is_said(run: Run, config: Path, configure: Configure) -> None:
    """A modern organization asks the legacy host nothing; without a key or a host there is no way."""
    assert recording.NOTHING_TO_RECORD in run("record", "start", ORG, *WORD, "-c", config).out
    configure(more=LEGACY)
    ran = run("record", "start", ORG, *WORD, "-c", config)
    assert ran.code == 1
    assert "recording.key: needed to replace personal data" in ran.err
    configure(more=RECORDING)
    assert "legacy.base_url: without a legacy host" in run("record", "start", ORG, *WORD, "-c", config).err
    assert run("record", "stop", ORG, *WORD, "-c", config).code == 0


def test_recording_twice_changes_nothing(run: Run, config: Path) -> None:
    """It says where to see since when, and by whom: a switch of the mode in between is not taken for it."""
    ran = run("record", "stop", ORG, *WORD, "-c", config)
    said = " ".join(ran.out.split())
    assert (ran.code, "is not recorded; nothing was changed: see `bridge record status`" in said) == (0, True)
    run("record", "start", ORG, *WORD, "-c", config)
    ran = run("record", "start", ORG, *WORD, "-c", config)
    assert (ran.code, "is recorded already; nothing was changed" in " ".join(ran.out.split())) == (0, True)
    assert len(history(config)) == 1


def test_status_counts_what_was_recorded(run: Run, config: Path) -> None:
    """Each file of the folder is told with its exchanges and its size."""
    folder = config.parent / "var" / "recordings"
    folder.mkdir(parents=True)
    (folder / "2026-11-20-a-1.jsonl").write_bytes(b"{}\n" * 1500)
    assert "2026-11-20-a-1.jsonl  1,500      4" in run("record", "status", "-c", config).out
    files = run("record", "status", "--json", "-c", config).json["files"]
    assert files == [{"file": "2026-11-20-a-1.jsonl", "lines": 1500, "bytes": 4500}]


def test_status(run: Run, config: Path) -> None:
    """Who is recorded, since when, whatever was switched meanwhile."""
    write(config, Switch(OTHER, Mode.LEGACY, recording=True, at=1_700_000_000.0, actor="Ola", reason="begin"), 0)
    write(config, Switch(OTHER, Mode.SHADOW, recording=True, at=1_700_000_100.0, actor="Eva", reason="on"), 1)
    out = run("record", "status", "-c", config).out
    assert f"files: {config.parent}/var/recordings" in out
    assert f"{ORG}  -                  no        -                    -    -" in out
    assert "yes       2023-11-14 22:13:20  Ola  begin" in out
    report = run("record", "status", OTHER, "--json", "-c", config).json
    assert report == {
        "folder": f"{config.parent}/var/recordings",
        "files": [],
        "organizations": [
            {
                "organization": OTHER,
                "name": "Fjellheim Vann AS",
                "recording": True,
                "since": "2023-11-14T22:13:20+00:00",
                "actor": "Ola",
                "reason": "begin",
            }
        ],
    }
