"""Profiles from their folders: read every file, check that it fits together, compile; all faults told at once."""

from __future__ import annotations

import tomllib
from datetime import tzinfo
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bridge.batch import OBJECTNAMES
from bridge.errors import MappingFault
from bridge.mapping.assumed import Assumption, list_assumed
from bridge.mapping.checks import check_document
from bridge.mapping.document import ObjectDocument, ProfileDocument
from bridge.mapping.objects import ObjectMapping, build_mapping
from bridge.mapping.profiles import Profile, find_home, surround, zone_of
from bridge.mapping.reading import (
    SOURCES,
    ReadDocument,
    ReadMapping,
    ReadProfile,
    gather_profile,
    list_assumed_reading,
    load_reading,
)
from bridge.mapping.reply import ReplyDocument, list_assumed_reply, read_reply
from bridge.mapping.rules import Fault, resolve_rules
from bridge.mapping.shapes import check_fields
from bridge.mapping.wording import describe_faults
from bridge.wording import suggest

Document = TypeVar("Document", bound=BaseModel)


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


def _raise_faults(faults: list[str]) -> None:
    if faults:
        raise MappingFault("\n".join(dict.fromkeys(faults)))  # what is lent is told by the profile that has it, too


class _Loader:
    """Loads one profile and collects what is wrong with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: list[str] = []
        self._base: Path | None = None
        self._assumed: list[Assumption] = []

    def load(self) -> Profile | None:
        """Return the profile; None when there are faults."""
        settings = self._read("profile.toml", ProfileDocument, optional=True) or ProfileDocument()
        if settings.extends:
            settings = self._extend(settings)
            if self._base is None:  # every file it should lend would be told as missing
                return None
        self._refuse_strangers()
        zone = self._find_zone(settings.time_zone)
        objects = {name: self._load_object(name, zone) for name in OBJECTNAMES}
        reply = self._read("reply.toml", ReplyDocument)
        read = self._load_read(zone)
        if self.faults or reply is None:
            return None
        self._assumed += list_assumed_reply(reply, self._label("reply.toml"))
        return Profile(
            name=self.folder.name,
            objects=MappingProxyType({name: mapping for name, mapping in objects.items() if mapping is not None}),
            reply=read_reply(reply),
            time_zone=settings.time_zone,
            assumed=tuple(self._assumed),
            description=settings.description,
            folder=self.folder,
            base=self._base,
            read=read,
        )

    def _extend(self, settings: ProfileDocument) -> ProfileDocument:
        """Take what is missing from another profile, its time zone included."""
        base = self.folder.parent / settings.extends
        if base == self.folder or not base.is_dir():
            known = [path.name for path in self.folder.parent.iterdir() if path.is_dir() and path != self.folder]
            self._fault("profile.toml", f'extends: there is no other profile "{base.name}"{suggest(base.name, known)}')
            return settings
        lender = _Loader(base)
        lent = lender._read("profile.toml", ProfileDocument, optional=True) or ProfileDocument()
        self.faults += lender.faults
        if lent.extends:
            self._fault("profile.toml", f'extends: "{base.name}" extends a profile itself; extend that one instead')
            return settings
        self._base = base
        if "time_zone" in settings.model_fields_set:
            return settings
        return settings.model_copy(update={"time_zone": lent.time_zone})

    def _refuse_strangers(self) -> None:
        stems = [*OBJECTNAMES, *(f"read/{name}" for name in SOURCES)]
        known = {"profile.toml", "reply.toml", *(f"{stem}.toml" for stem in stems)}
        known |= {f"{stem}.examples.{ending}" for stem in stems for ending in ("toml", "json")}
        for path in [*sorted(self.folder.glob("*.toml")), *sorted(self.folder.glob("read/*.toml"))]:
            name = path.relative_to(self.folder).as_posix()
            if name not in known:
                self._fault(name, f"is no file of a profile; rename or remove it{suggest(name, known)}")
            elif ".examples." in name and (lender := self._home(f"{name.partition('.')[0]}.toml")) != self.folder:
                self._fault(name, f"its mapping is that of {lender.name}; put the examples there")

    def _find_zone(self, name: str) -> tzinfo | None:
        try:
            return zone_of(name)
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
            surroundings = surround(document, zone)
            rules, faults = resolve_rules(surroundings)
            # a rule that cannot work would be told again as a field that is not mapped
            faults = faults or check_document(document, rules)
        if faults:
            self.faults += [f"{self._label(filename)}: {fault}" for fault in faults]
            return None
        self._assumed += list_assumed(document, self._label(filename))
        return build_mapping(document, rules, surroundings.tables, f"{self.folder.name}/{objectname}")

    def _load_read(self, zone: tzinfo | None) -> ReadProfile | None:
        """Return how legacy reads are answered; None where there is no folder for it, or a fault in it."""
        if not any(folder is not None and (folder / "read").is_dir() for folder in (self.folder, self._base)):
            return None
        mappings = {name: self._load_entry(name, zone) for name in SOURCES}
        loaded = {name: mapping for name, mapping in mappings.items() if mapping is not None}
        return gather_profile(loaded) if len(loaded) == len(SOURCES) else None

    def _load_entry(self, objectname: str, zone: tzinfo | None) -> ReadMapping | None:
        filename = f"read/{objectname}.toml"
        document = self._read(filename, ReadDocument)
        if document is None:
            return None
        mapping, faults = load_reading(document, objectname, zone, self._label(filename))
        self.faults += [f"{self._label(filename)}: {fault}" for fault in faults]
        self._assumed += list_assumed_reading(document, self._label(filename))
        return mapping

    def _read(self, filename: str, model: type[Document], *, optional: bool = False) -> Document | None:
        path = self._home(filename) / filename
        if not path.is_file():
            if not optional:
                self._fault(filename, "is missing; every profile needs it (copy it from another profile)")
            return None
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        except tomllib.TOMLDecodeError as error:
            self._fault(filename, f"is not TOML: {error}")
            return None
        except UnicodeDecodeError:
            self._fault(filename, "is not UTF-8; save it as UTF-8")
            return None
        try:
            return model.model_validate(content)
        except ValidationError as error:
            self.faults += [f"{self._label(filename)}: {fault}" for fault in describe_faults(error, model, content)]
            return None

    def _home(self, filename: str) -> Path:
        return find_home(filename, self.folder, self._base)

    def _label(self, filename: str) -> str:
        return f"{self._home(filename).name}/{filename}"

    def _fault(self, filename: str, message: str) -> None:
        self.faults.append(f"{self._label(filename)}: {message}")
