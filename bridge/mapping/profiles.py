"""A profile as the rest of the program knows it: one dialect of the legacy language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from bridge.mapping.assumed import Assumption
from bridge.mapping.document import Evidence, ObjectDocument
from bridge.mapping.objects import ObjectMapping, build_mapping
from bridge.mapping.reading import ReadMapping, ReadProfile, rebuild_reading
from bridge.mapping.reply import ReplyTable
from bridge.mapping.rules import Surroundings, resolve_rules
from bridge.mapping.tables import open_table


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
    base: Path | None = None
    """The folder that lends the files which `folder` lacks."""
    read: ReadProfile | None = None
    """How legacy reads are answered; None where the profile has no `read/` folder."""

    def home(self, filename: str) -> Path:
        """Return the folder that a file of the profile is taken from."""
        return find_home(filename, self.folder, self.base)

    def label(self, filename: str) -> str:
        """Name a file in messages: the profile it is taken from, and its path there."""
        return f"{self.home(filename).name}/{filename}"


@dataclass(frozen=True, slots=True)
class AlwaysNull:
    """A field of an answer that is always null, and where that is written."""

    file: str
    field: str
    reason: str
    evidence: Evidence


def assumptions(profile: Profile) -> list[Assumption]:
    """Return what a profile takes for granted, file by file."""
    return list(profile.assumed)


def nulls(profile: Profile) -> list[AlwaysNull]:
    """Return the fields of legacy answers that are always null, file by file."""
    if profile.read is None:
        return []
    return [
        AlwaysNull(profile.label(f"read/{mapping.objectname}.toml"), null.field, null.reason, null.evidence)
        for mapping in profile.read.mappings
        for null in mapping.nulls
    ]


def rebuild(profile: Profile, objectname: str, notice: Callable[[str], None]) -> ObjectMapping:
    """Compile a loaded mapping once more, telling `notice` of every rule and code row that is used."""
    document = profile.objects[objectname].document
    surroundings = surround(document, zone_of(profile.time_zone), notice)
    rules, _ = resolve_rules(surroundings)
    return build_mapping(document, rules, surroundings.tables, f"{profile.name}/{objectname}", notice)


def rebuild_read(profile: Profile, mapping: ReadMapping, notice: Callable[[str], None]) -> ReadMapping:
    """Compile one kind of entry of the answer to a legacy read once more, in the same way."""
    return rebuild_reading(mapping, zone_of(profile.time_zone), notice)


def find_home(filename: str, folder: Path, base: Path | None) -> Path:
    """Return the folder that a file is taken from: the profile's own, unless only the extended one has it."""
    lent = base is not None and not (folder / filename).is_file() and (base / filename).is_file()
    return base if base is not None and lent else folder


def zone_of(name: str) -> tzinfo | None:
    """Return the time zone of that name; none of an empty one."""
    return ZoneInfo(name) if name else None


def surround(
    document: ObjectDocument, zone: tzinfo | None, notice: Callable[[str], None] | None = None
) -> Surroundings:
    """Return what the rules of a file may refer to."""
    tables = {name: open_table(name, part, notice) for name, part in document.table.items()}
    return Surroundings(document, tables, zone, frozenset(operation.name for operation in document.operation))
