"""A watcher over the shipped configuration, with everything it talks to in sight."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge.comparing import Answer, Judge
from bridge.errors import CannotTakeNow
from bridge.exchanges import Exchange, Message
from bridge.intake.desk import Desk
from bridge.journal import Change, Claim, KeepSamples, Observation, Observe, Sample
from bridge.mapping import Profile, load_profiles
from bridge.modes import Mode, Switch
from bridge.organizations import Directory
from bridge.origins import trace_origins
from bridge.placing import Placer
from bridge.senders import Sender, Senders
from bridge.settings import Settings, load_settings
from bridge.steering.observing import Observatory, Topic
from bridge.watching import Desks, ShadowClaims, Terms, Trail, Watcher, attend

ROOT = Path(__file__).parents[3]
NORDLYS = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
FJELLHEIM = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
AT = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()


class FakeStore:
    """A journal that only remembers what it was given."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.known: list[Claim] = []
        self.broken = False

    async def write(self, *changes: Change) -> None:
        if self.broken:
            raise CannotTakeNow
        self.changes += changes

    async def claims(self, organization: str, kind: str, value: str) -> list[Claim]:
        return [one for one in self.known if one.organization == organization and one.names.get(kind) == value]


class FakeSwitches:
    """Everything is shadowed unless a test says otherwise."""

    def __init__(self) -> None:
        self.switches: dict[str, Switch] = {}

    def set(self, organization: str, mode: Mode, **more: Any) -> None:
        self.switches[organization] = Switch(organization, mode, **more)

    def current(self, organization: str) -> Switch:
        return self.switches.get(organization, Switch(organization, Mode.SHADOW))


class FakeScribe:
    """Marks what it was asked to scrub, and keeps what it was asked to record."""

    def __init__(self) -> None:
        self.recorded: list[tuple[tuple[str, ...], bytes, bytes]] = []

    def scrub(self, text: str, request: bytes) -> str:
        return f"scrubbed {len(text)}"

    def scrub_name(self, name: str) -> str:
        return "someone" if name.startswith("Kari") else name

    async def record(self, exchange: Exchange, organizations: tuple[str, ...], request: bytes, reply: bytes) -> None:
        self.recorded.append((organizations, request, reply))


@dataclass
class Stage:
    """The watcher and its surroundings."""

    settings: Settings
    watcher: Watcher
    observatory: Observatory
    store: FakeStore
    switches: FakeSwitches
    scribe: FakeScribe
    trail: Trail
    clock: list[float] = field(default_factory=lambda: [AT])

    async def seen(self) -> dict[tuple[str, str, tuple[str, ...]], int]:
        """Return (organization, topic, subject) → count of everything observed so far."""
        await self.observatory.flush()
        observed = [one for change in self.store.changes if isinstance(change, Observe) for one in change.observations]
        counts: dict[tuple[str, str, tuple[str, ...]], int] = {}
        for one in observed:
            key = (one.organization, one.topic, one.subject)
            counts[key] = counts.get(key, 0) + one.count
        return counts

    async def rows(self, organization: str = NORDLYS) -> dict[str, int]:
        """Return compared rows by bucket."""
        found = await self.seen()
        return {
            subject[0]: n for (who, topic, subject), n in found.items() if who == organization and topic == "compared"
        }

    async def samples(self) -> list[Sample]:
        await self.observatory.flush()
        return [one for change in self.store.changes if isinstance(change, KeepSamples) for one in change.samples]

    async def observations(self) -> list[Observation]:
        await self.observatory.flush()
        return [one for change in self.store.changes if isinstance(change, Observe) for one in change.observations]


Exchanged = Callable[..., Exchange]


@pytest.fixture(scope="session")
def shipped_profiles() -> dict[str, Profile]:
    return load_profiles(ROOT / "mappings")


@pytest.fixture
def stage(shipped_profiles: dict[str, Profile]) -> Stage:
    return make_stage(shipped_profiles)


def make_stage(profiles: dict[str, Profile], target: Any = None) -> Stage:
    settings = load_settings(ROOT / "config/local.toml", {})
    clock = [AT]
    store, switches, scribe, trail = FakeStore(), FakeSwitches(), FakeScribe(), Trail()
    observatory = Observatory(store, clock=lambda: clock[0])  # type: ignore[arg-type]  # it only writes
    senders = Senders(settings, fetch_nothing, lambda: clock[0])
    find: Callable[[str], Sender | None] = senders.find
    origins = {name: trace_origins(profile) for name, profile in profiles.items()}
    watcher = Watcher(
        Desks(attend(profiles, settings, trail), trail, find, most_bytes=10_000_000),
        Placer(Directory(settings), switches),
        switches,
        Terms(Judge(), origins, lambda: date(2026, 11, 20)),
        observatory,
        ShadowClaims(store),
        scribe,
        store,
        target=target,
        clock=lambda: clock[0],
    )
    return Stage(settings, watcher, observatory, store, switches, scribe, trail, clock)


async def fetch_nothing(_: str) -> Any:
    raise AssertionError("nobody is identified here")


@pytest.fixture
def make_target_stage(shipped_profiles: dict[str, Profile]) -> Callable[[Any], Stage]:
    return lambda target: make_stage(shipped_profiles, target)


@pytest.fixture
def desk(shipped_profiles: dict[str, Profile]) -> Desk:
    return Desk(shipped_profiles["autocollect"], Directory(load_settings(ROOT / "config/local.toml", {})))


@pytest.fixture
def erp() -> Sender:
    found = Senders(load_settings(ROOT / "config/local.toml", {}), fetch_nothing, lambda: 0.0).find("ERP-1")
    assert found is not None
    return found


@pytest.fixture
def exchanged() -> Exchanged:
    """Make the exchange of a batch and what the legacy host answered to it."""

    def make(
        batch: Any, reply: Any, *, sender: str = "ERP-1", profile: str = "autocollect", status: int = 200
    ) -> Exchange:
        request = batch if isinstance(batch, Message) else Message(msgspec.json.encode(batch), "application/json")
        answer = reply if isinstance(reply, Message) else Message(msgspec.json.encode(reply), "application/json")
        return Exchange(sender, profile, AT, request, status, answer, 0.1)

    return make


class SlowTarget:
    """A shadow target that answers when it is told to."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.answers = answer
        self.asked: list[str] = []
        self.go = asyncio.Event()

    def serves(self, organization: str) -> bool:
        return organization == NORDLYS

    async def answer(self, sender: str, _body: bytes) -> Answer | None:
        self.asked.append(sender)
        await self.go.wait()
        return self.answers


@pytest.fixture
def slow_target() -> type[SlowTarget]:
    return SlowTarget


@pytest.fixture
def topics() -> type[Topic]:
    return Topic
