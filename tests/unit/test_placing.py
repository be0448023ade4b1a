"""Rows are placed by peeking: as the bridge would route them, and by the mode of their creditor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.batch import Address
from bridge.intake.desk import Desk
from bridge.legacy.body import split
from bridge.mapping import load_profiles
from bridge.modes import Mode, Switch, place_in_line
from bridge.organizations import Directory
from bridge.placing import Placer, Side, Spot
from bridge.senders import Sender
from bridge.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
ORG_A, ORG_B, ORG_C = (f"{digit * 8}-{digit * 4}-4{digit * 3}-8{digit * 3}-{digit * 12}" for digit in "abc")
CREDITORS = {ORG_A: ["1", "2"], ORG_B: ["3"], ORG_C: []}
BOTH = Sender("BOTH", "autocollect", (ORG_A, ORG_B), 25, "unique", 24)
ONE = Sender("ONE", "autocollect", (ORG_B,), 25, "unique", 24)
NONE = Sender("NONE", "autocollect", (ORG_C,), 25, "unique", 24)


class Switches(dict[str, Switch]):
    """Modes by organization; modern unless said otherwise."""

    def current(self, organization: str) -> Switch:
        return self.get(organization) or Switch(organization, Mode.MODERN)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    organizations = "".join(
        f'[[organization]]\nid = "{one}"\ncreditors = {json.dumps(creditors)}\nclient_id = "x"\nclient_secret = "x"\n'
        for one, creditors in CREDITORS.items()
    )
    senders = "".join(
        f'[[sender]]\nid = "{one.id}"\norganizations = {json.dumps(one.organizations)}\nbearer = "{one.id}"\n'
        for one in (BOTH, ONE, NONE)
    )
    path = tmp_path_factory.mktemp("site") / "bridge.toml"
    path.write_text(f'[mappings]\nfolder = "{ROOT / "mappings"}"\n{organizations}{senders}')
    return load_settings(path, {})


@pytest.fixture(scope="module")
def desk(site: Settings) -> Desk:
    return Desk(load_profiles(ROOT / "mappings")["autocollect"], Directory(site))


async def place(site: Settings, desk: Desk, switches: Switches, sender: Sender, **arrays: Any) -> Any:
    envelope = split(json.dumps(arrays).encode())
    return await Placer(Directory(site), switches).place(envelope, sender, desk)


async def survey(site: Settings, desk: Desk, switches: Switches, sender: Sender, **arrays: Any) -> dict[Address, Spot]:
    envelope = split(json.dumps(arrays).encode())
    return await Placer(Directory(site), switches).survey(envelope, sender, desk)


def switched(**modes: Mode) -> Switches:
    names = {"a": ORG_A, "b": ORG_B, "c": ORG_C}
    return Switches({names[name]: Switch(names[name], mode) for name, mode in modes.items()})


async def test_rows_go_by_their_creditor(site: Settings, desk: Desk) -> None:
    """In any spelling of the field, as a number or a text; the rest of the row does not matter."""
    rows = [{"creditorid": "3"}, {"CreditorId": 3, "dueDate": []}, {"creditorid": " 3 "}, {"creditorid": "1"}]
    half = await place(site, desk, switched(b=Mode.LEGACY), BOTH, invoice=rows)
    assert half == {Address("invoice", index): ORG_B for index in range(3)}


async def test_creditor_rows_go_with_their_organization(site: Settings, desk: Desk) -> None:
    """And rows that name none go with the batch's only creditor row."""
    rows: dict[str, Any] = {"creditor": [{"IdNumber": "3"}], "invoice": [{}, {"creditorid": "1"}], "payment": [{}]}
    half = await place(site, desk, switched(b=Mode.SHADOW), BOTH, **rows)
    assert set(half) == {Address("creditor", 0), Address("invoice", 0), Address("payment", 0)}


async def test_rows_of_the_senders_only_organization_need_no_creditor(site: Settings, desk: Desk) -> None:
    """Its only creditor stands in for them, or nobody where it has none."""
    assert await place(site, desk, switched(b=Mode.LEGACY), ONE, action=[{}]) is Side.LEGACY
    assert await place(site, desk, switched(c=Mode.LEGACY), NONE, action=[{}]) is Side.LEGACY
    assert await place(site, desk, switched(c=Mode.MODERN), NONE, action=[{}]) == {}


async def test_what_cannot_be_placed_is_the_legacy_hosts_while_it_has_a_side(site: Settings, desk: Desk) -> None:
    """Unknown creditors, none where one is needed, rows that are no rows, and a batch without any."""
    rows = [{"creditorid": "9"}, {}, 7, {"creditorid": "1"}, {"creditorid": {"x": 1}}]
    half = await place(site, desk, switched(b=Mode.LEGACY), BOTH, invoice=rows, creditor=[{}, {"idnumber": "9"}])
    assert half == {Address("invoice", index): "" for index in (0, 1, 2, 4)} | {
        Address("creditor", index): "" for index in (0, 1)
    }
    assert await place(site, desk, switched(b=Mode.LEGACY), BOTH) is Side.LEGACY
    assert await place(site, desk, switched(), BOTH, invoice=rows) == {}


async def test_a_percentage_divides_by_creditor(site: Settings, desk: Desk) -> None:
    """A creditor's rows stay together, whatever they are."""
    switches = Switches({ORG_A: Switch(ORG_A, Mode.LEGACY, Mode.MODERN, 50.0)})
    modes = {one: switches.current(ORG_A).mode_of(one) for one in ("1", "2")}
    rows = [{"creditorid": "1"}, {"creditorid": "2"}, {"creditorid": "1"}]
    half = await place(site, desk, switches, BOTH, invoice=rows)
    taken = {} if half == {} else half
    expected = {Address("invoice", i) for i, row in enumerate(rows) if modes[row["creditorid"]].is_legacy_side}
    assert (set(taken) if half is not Side.LEGACY else {Address("invoice", i) for i in range(3)}) == expected


def between(organization: str, *creditors: str) -> tuple[Switch, dict[str, Mode]]:
    """Return a percentage that takes the first of these in line and leaves the others, and each one's mode."""
    first = min(place_in_line(organization, one) for one in creditors)
    switch = Switch(organization, Mode.LEGACY, Mode.MODERN, (first + 1) / 100)
    modes = {one: switch.mode_of(one) for one in creditors}
    assert set(modes.values()) == {Mode.LEGACY, Mode.MODERN}
    return switch, modes


async def test_rows_without_a_creditor_stand_in_the_line_of_whoever_stands_in(site: Settings, desk: Desk) -> None:
    """The batch's only creditor row, else the organization's only creditor: as the row is routed."""
    switch, modes = between(ORG_A, "1", "")
    spots = await survey(site, desk, Switches({ORG_A: switch}), BOTH, creditor=[{"idnumber": "1"}], invoice=[{}])
    assert spots[Address("invoice", 0)] == Spot(ORG_A, modes["1"])
    switch, modes = between(ORG_B, "3", "")
    spots = await survey(site, desk, Switches({ORG_B: switch}), ONE, action=[{}])
    assert spots[Address("action", 0)] == Spot(ORG_B, modes["3"])


async def test_a_creditor_row_that_names_nobody_is_nobodys(site: Settings, desk: Desk) -> None:
    """Not the only organization's either: it goes to the legacy host while that has a side."""
    switches = Switches({ORG_B: Switch(ORG_B, Mode.LEGACY, Mode.MODERN, 99.0)})
    assert switches[ORG_B].mode_of("3") is Mode.MODERN
    spots = await survey(site, desk, switches, ONE, creditor=[{}], invoice=[{"creditorid": "3"}])
    assert spots == {
        Address("creditor", 0): Spot("", Mode.LEGACY),
        Address("invoice", 0): Spot(ORG_B, Mode.MODERN),
    }


async def test_large_batches_are_placed_in_slices(site: Settings, desk: Desk) -> None:
    """Every row once, in whatever slice."""
    rows = [{"creditorid": "3" if index % 2 else "1"} for index in range(120)]
    half = await place(site, desk, switched(b=Mode.LEGACY), BOTH, invoice=rows)
    assert sorted(address.objectindex for address in half) == list(range(1, 120, 2))


def test_creditors_have_the_mode_of_their_place(site: Settings) -> None:
    """An unknown one that of the legacy host, while the sender has something there."""
    placer = Placer(Directory(site), switched(b=Mode.SHADOW))
    assert placer.place_creditor(BOTH, "1") is Mode.MODERN
    assert placer.place_creditor(BOTH, "3") is Mode.SHADOW
    assert placer.place_creditor(BOTH, "9") is Mode.SHADOW
    assert Placer(Directory(site), switched()).place_creditor(BOTH, "9") is Mode.MODERN
