"""Profiles from their folders: read every file, check that it fits together, compile; all faults told at once."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError

from bridge.batch import OBJECTNAMES
from bridge.errors import MappingFault
from bridge.mapping.assumed import Assumption, list_assumed
from bridge.mapping.checks import check_document
from bridge.mapping.document import ObjectDocument, ProfileDocument, ReplyDocument
from bridge.mapping.objects import ObjectMapping, build_mapping
from bridge.mapping.rules import Fault, Surroundings, resolve_rules
from bridge.mapping.shapes import check_fields
from bridge.mapping.tables import open_table
from bridge.mapping.wording import describe_faults, suggest

Document = TypeVar("Document", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ReplyTable:
    """The words of the folded reply."""

    all_accepted: int
    some_refused: int
    all_refused: int
    some_pending: int
    accepted: str
    pending: str


@dataclass(frozen=True, slots=True)
class Profile:
    """One dialect of the legacy language."""

    name: str
    objects: Mapping[str, ObjectMapping]
    reply: ReplyTable
    time_zone: str = ""
    assumed: tuple[Assumption, ...] = ()
    description: str = ""
    folder: Path = field(default=Path())


def load_profiles(folder: Path) -> dict[str, Profile]:
    """Load every profile of a folder; raise MappingFault with the faults of all of them."""
    if not folder.is_dir():
        raise MappingFault(f"{folder}: there is no such folder; correct [mappings] folder in the configuration")
    loaders = [_Loader(path) for path in sorted(folder.iterdir()) if path.is_dir() and any(path.glob("*.toml"))]
    profiles = {loader.folder.name: loader.load() for loader in loaders}
    _raise_faults([fault for loader in loaders for fault in loader.faults])
    if not profiles:
        raise MappingFault(f"{folder}: holds no profile; a profile is a folder of mapping files")
    return {name: profile for name, profile in profiles.items() if profile is not None}


def load_profile(folder: Path) -> Profile:
    """Load one profile; raise MappingFault with all its faults."""
    if not folder.is_dir():
        raise MappingFault(f"{folder}: there is no such profile; create the folder or correct the sender's profile")
    loader = _Loader(folder)
    profile = loader.load()
    _raise_faults(loader.faults)
    if profile is None:  # pragma: no cover - no profile without a fault
        raise MappingFault
    return profile


def assumptions(profile: Profile) -> list[Assumption]:
    """Return what a profile takes for granted, file by file."""
    return list(profile.assumed)


def rebuild(profile: Profile, objectname: str, notice: Callable[[str], None]) -> ObjectMapping:
    """Compile a loaded mapping once more, telling `notice` of every rule and code row that is used."""
    document = profile.objects[objectname].document
    surroundings = _surround(document, _zone(profile.time_zone), notice)
    rules, _ = resolve_rules(surroundings)
    return build_mapping(document, rules, surroundings.tables, f"{profile.name}/{objectname}", notice)


def _raise_faults(faults: list[str]) -> None:
    if faults:
        raise MappingFault("\n".join(faults))


def _zone(name: str) -> tzinfo | None:
    return ZoneInfo(name) if name else None


def _surround(
    document: ObjectDocument, zone: tzinfo | None, notice: Callable[[str], None] | None = None
) -> Surroundings:
    tables = {name: open_table(name, part, notice) for name, part in document.table.items()}
    return Surroundings(document, tables, zone, frozenset(operation.name for operation in document.operation))


class _Loader:
    """Loads one profile and collects what is wrong with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: list[str] = []
        self._assumed: list[Assumption] = []

    def load(self) -> Profile | None:
        """Return the profile; None when there are faults."""
        self._refuse_strangers()
        settings = self._read("profile.toml", ProfileDocument, optional=True) or ProfileDocument()
        zone = self._find_zone(settings.time_zone)
        objects = {name: self._load_object(name, zone) for name in OBJECTNAMES}
        reply = self._read("reply.toml", ReplyDocument)
        if self.faults or reply is None:
            return None
        if reply.evidence == "assumed":
            self._assumed.append(Assumption(self._label("reply.toml"), "codes, texts", reply.note))
        return Profile(
            name=self.folder.name,
            objects=MappingProxyType({name: mapping for name, mapping in objects.items() if mapping is not None}),
            reply=ReplyTable(**reply.codes.model_dump(), **reply.texts.model_dump()),
            time_zone=settings.time_zone,
            assumed=tuple(self._assumed),
            description=settings.description,
            folder=self.folder,
        )

    def _refuse_strangers(self) -> None:
        known = {"profile.toml", "reply.toml", *(f"{name}.toml" for name in OBJECTNAMES)}
        known |= {f"{name}.examples.{ending}" for name in OBJECTNAMES for ending in ("toml", "json")}
        for path in sorted(self.folder.glob("*.toml")):
            if path.name not in known:
                self._fault(path.name, f"is no file of a profile; rename or remove it{suggest(path.name, known)}")

    def _find_zone(self, name: str) -> tzinfo | None:
        try:
            return _zone(name)
        except (KeyError, ValueError, OSError):  # what zoneinfo raises for an unknown, malformed or forbidden name
            self._fault("profile.toml", f'time_zone: "{name}" is not a time zone; write one such as "Europe/Oslo"')
            return None

    def _load_object(self, objectname: str, zone: tzinfo | None) -> ObjectMapping | None:
        filename = f"{objectname}.toml"
        document = self._read(filename, ObjectDocument)
        if document is None:
            return None
        faults = check_fields(document)
        if document.objectname != objectname:
            faults.append(Fault("objectname", f'must be "{objectname}" in this file'))
        if not faults:
            surroundings = _surround(document, zone)
            rules, faults = resolve_rules(surroundings)
            # a rule that cannot work would be told again as a field that is not mapped
            faults = faults or check_document(document, rules)
        if faults:
            self.faults += [f"{self._label(filename)}: {fault}" for fault in faults]
            return None
        self._assumed += list_assumed(document, self._label(filename))
        return build_mapping(document, rules, surroundings.tables, f"{self.folder.name}/{objectname}")

    def _read(self, filename: str, model: type[Document], *, optional: bool = False) -> Document | None:
        path = self.folder / filename
        if not path.is_file():
            if not optional:
                self._fault(filename, "is missing; every profile needs it (copy it from another profile)")
            return None
        try:
            return model.model_validate(tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal))
        except tomllib.TOMLDecodeError as error:
            self._fault(filename, f"is not TOML: {error}")
        except UnicodeDecodeError:
            self._fault(filename, "is not UTF-8; save it as UTF-8")
        except ValidationError as error:
            self.faults += [f"{self._label(filename)}: {fault}" for fault in describe_faults(error, model)]
        return None

    def _label(self, filename: str) -> str:
        return f"{self.folder.name}/{filename}"

    def _fault(self, filename: str, message: str) -> None:
        self.faults.append(f"{self._label(filename)}: {message}")
