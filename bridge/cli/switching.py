"""`bridge mode set`: change how an organization's rows go, once, and only from what was seen before."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from bridge.cli.journals import read_books
from bridge.cli.organizations import find_organization
from bridge.cli.screen import Screen, good, print_json, waiting
from bridge.cli.switches import name_of, read_current, say_who, switch_fields
from bridge.errors import OperatorError
from bridge.journal import Office, SetSwitch, StaleSwitch
from bridge.journal.opening import open_office
from bridge.modes import GUARDRAIL, Mode, Switch
from bridge.settings import OrganizationSettings, Settings, load_settings
from bridge.steering.switchboard import share_of

FURTHER = (Mode.LEGACY, Mode.SHADOW, Mode.MODERN)
"""The way of an organization, step by step."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How an organization's rows are to go."""

    mode: Mode
    other: Mode | None
    percent: float


@dataclass(frozen=True, slots=True)
class Word:
    """Who says so, why, and when (Unix seconds)."""

    actor: str
    reason: str
    at: float


Change = Callable[[Switch], Switch]
"""From the switch in force to the one that is to follow; the same one when there is nothing to change."""


def read_wish(mode: Mode, percent: float | None, other: Mode | None) -> Wish:
    """Read what was typed; BadParameter, with what to type instead, when it makes no sense."""
    if percent is None and other is None:
        return Wish(mode, None, 0.0)
    if percent is None or other is None:
        raise typer.BadParameter("belong together: --percent 25 --to modern", param_hint="--percent / --to")
    if not 0 < percent <= 100 or round(percent, 2) != percent:
        raise typer.BadParameter("must be more than 0, at most 100, with two decimals at most", param_hint="--percent")
    if other is mode:
        raise typer.BadParameter(f"is {mode} as well; leave --percent and --to out", param_hint="--to")
    if FURTHER.index(other) < FURTHER.index(mode):
        rest = f" --percent {round(100 - percent, 2):g} --to {mode}" if percent < 100 else ""
        raise typer.BadParameter(
            f"must be further than {mode}, so that the creditors who went first stay in front; "
            f"say it the other way round: {other}{rest}",
            param_hint="--to",
        )
    return Wish(other, None, 0.0) if percent == 100 else Wish(mode, other, percent)


def read_word(actor: str, reason: str, at: float) -> Word:
    """Read who says so, and why; BadParameter unless somebody does, for a reason."""
    for option, text in (("--actor", actor), ("--reason", reason)):
        if not text.strip():
            raise typer.BadParameter("must not be empty", param_hint=option)
    if actor.strip().casefold() == GUARDRAIL:
        raise typer.BadParameter("is how the bridge signs its own switches; say your name", param_hint="--actor")
    return Word(actor.strip(), reason.strip(), at)


def switch(config: Path, typed: str, wish: Wish, word: Word, *, as_json: bool) -> None:
    """Switch an organization, and tell what becomes of its creditors."""
    settings = load_settings(config, os.environ)
    organization = find_organization(settings, typed, "ORG")
    _require_legacy_host(settings, wish)
    before, after = write_switch(settings, organization, lambda current: _turn(current, wish, word))
    warnings = [*_warn(settings, organization, before, after), *_doubt(settings, organization, before, after)]
    if as_json:
        print_json(switch_fields(before, after, organization.name) | {"warnings": warnings})
        return
    screen = Screen()
    if after is before:
        screen.say(
            f"{name_of(organization)} is in {after.describe()} already, by {say_who(after)}; nothing was recorded"
        )
    else:
        _tell(screen, organization, before, after)
    for warning in warnings:
        screen.say(waiting(warning))


def write_switch(settings: Settings, organization: OrganizationSettings, change: Change) -> tuple[Switch, Switch]:
    """Write the switch that is to follow the one in force; return both, the same one twice if nothing was to change.

    Raises OperatorError when somebody else was faster.
    """

    async def write() -> tuple[Switch, Switch]:
        office = open_office(settings.storage.url, base=Path.cwd())
        try:
            before = await read_current(office, organization.id, settings)
            following = change(before)
            if following is before:
                return before, before
            try:
                await office.write(SetSwitch(following, before.number))
            except StaleSwitch as stale:
                raise OperatorError(await _explain(office, organization, settings)) from stale
            history = await office.switch_history(organization.id)
            return before, next(one for one in history if one.number > before.number)
        finally:
            await office.close()

    return asyncio.run(write())


async def _explain(office: Office, organization: OrganizationSettings, settings: Settings) -> str:
    """Say who was faster, and what to do."""
    now = await read_current(office, organization.id, settings)
    return (
        f"{name_of(organization)} was switched in the same moment, to {now.describe()}, by {say_who(now)}; nothing of "
        "yours was recorded: see `bridge mode show`, then say it again if you still mean it"
    )


def _require_legacy_host(settings: Settings, wish: Wish) -> None:
    wanted = next((mode for mode in (wish.mode, wish.other) if mode is not None and mode.is_legacy_side), None)
    if wanted is not None and settings.legacy.base_url is None:
        raise OperatorError(
            f"{wanted}: there is no legacy host to answer; set legacy.base_url in the configuration of every bridge, "
            "restart them, then say it again"
        )


def _turn(current: Switch, wish: Wish, word: Word) -> Switch:
    if (current.mode, current.other, current.percent) == (wish.mode, wish.other, wish.percent):
        return current
    return replace(
        current,
        mode=wish.mode,
        other=wish.other,
        percent=wish.percent,
        number=0,
        at=word.at,
        actor=word.actor,
        reason=word.reason,
    )


# --- what follows from it ------------------------------------------------------------------------------------------


def _tell(screen: Screen, organization: OrganizationSettings, before: Switch, after: Switch) -> None:
    screen.say(
        good(f"Recorded: {name_of(organization)} from {before.describe()} to {after.describe()}, by {after.actor}.")
    )
    screen.say("Every running bridge obeys within a second, and one that starts from its first request on.")
    if after.other is not None and organization.creditors:
        modes = [after.mode_of(one) for one in organization.creditors]
        parts = ", ".join(f"{modes.count(mode)} {mode}" for mode in FURTHER if mode in modes)
        screen.say(f"Of its {len(modes)} configured creditors: {parts}; `bridge mode show ORG` says which.")


def _warn(settings: Settings, organization: OrganizationSettings, before: Switch, after: Switch) -> Iterator[str]:
    """Yield what the operator should know about creditors who go back."""
    back = sorted(one for one in organization.creditors if _is_back(before.mode_of(one), after.mode_of(one)))
    if back and after.other is not None:
        yield f"{len(back)} of its configured creditors go back: {', '.join(back)}."
    if share_of(after, Mode.MODERN) >= share_of(before, Mode.MODERN):
        return
    ledger = read_books(settings, lambda books: books.ledger())
    books = next((one for one in ledger.organizations if one.organization == organization.id), None)
    if books is not None and books.pending + books.in_doubt:
        yield (
            f"{books.pending} of its rows are pending and {books.in_doubt} in doubt: they went to the modern system, "
            "and the bridge sees them through there."
        )
    yield f"What exists only in the modern system by now is listed by: bridge debt {organization.id}"


def _doubt(settings: Settings, organization: OrganizationSettings, before: Switch, after: Switch) -> Iterator[str]:
    """Yield what speaks against going on to modern, where some creditors do."""
    if share_of(after, Mode.MODERN) > share_of(before, Mode.MODERN):
        from bridge.cli.misgivings import find_misgivings  # noqa: PLC0415 - readiness takes a while to import

        yield from find_misgivings(settings, organization, after.at)


def _is_back(before: Mode, after: Mode) -> bool:
    return FURTHER.index(after) < FURTHER.index(before)
