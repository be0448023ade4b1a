"""Read the configuration: file, environment, every fault at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bridge.errors import SettingsFault
from bridge.settings.checks import find_disagreements
from bridge.settings.faults import Fault, gather, write_declared_key
from bridge.settings.model import Settings
from bridge.settings.overrides import Overlay, overlay_environment
from bridge.settings.reference import describe_settings
from bridge.settings.sources import Sources
from bridge.wording import Location, word_error, word_unknown, write_key

SECTIONS = (
    "server",
    "storage",
    "modern",
    "mappings",
    "reading",
    "legacy",
    "cutover",
    "shadow",
    "recording",
    "readiness",
    "guardrails",
)
ARRAYS = ("organization", "sender")


def load_settings(path: Path, environ: Mapping[str, str]) -> Settings:
    """Return the configuration in `path` with `environ` over it, or raise SettingsFault naming everything wrong."""
    document = _read_document(path)
    overlay = overlay_environment(document, environ)
    faults = list(overlay.faults)
    settings = None
    try:
        settings = Settings.model_validate(
            {name: [] for name in ARRAYS} | {name: {} for name in SECTIONS} | document,
            context=Sources(path.absolute().parent, environ),
        )
    except ValidationError as error:
        faults += _word(error, document, overlay)
    faults += find_disagreements(document, path.absolute().parent)
    if settings is None or faults:
        raise gather(path, faults)
    return settings


def _read_document(path: Path) -> dict[str, Any]:
    """Return the file as plain tables."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        remedy = "name the configuration file with --config or BRIDGE_CONFIG"
        raise SettingsFault(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    except UnicodeDecodeError as error:
        raise SettingsFault(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsFault(f"{path}: is not valid TOML: {error}; put that line right") from error


def _word(error: ValidationError, document: Mapping[str, Any], overlay: Overlay) -> Iterator[Fault]:
    """Yield pydantic's findings in our words, each under the key or variable it stands in."""
    for detail in error.errors(include_url=False, include_input=False):
        location = detail["loc"]
        key = overlay.variables.get(location) or write_key(location) + _label(document, location)
        yield Fault(key, _word_detail(detail, location))


def _word_detail(detail: ErrorDetails, location: Location) -> str:
    """Return what is wrong at one place, and what to do."""
    if detail["type"] == "extra_forbidden":
        return word_unknown(str(location[-1]), _names_in(location[:-1]))
    if detail["type"] == "tuple_type" and location[-1] in ARRAYS:
        return f"must be a list of tables; write [[{location[-1]}]] in double brackets"
    return word_error(detail)


def _names_in(table: Location) -> set[str]:
    """Return the names that are known in one table."""
    prefix = f"{write_declared_key(table)}." if table else ""
    inside = (setting.key.removeprefix(prefix) for setting in describe_settings() if setting.key.startswith(prefix))
    return {name.partition(".")[0].removesuffix("[]") for name in inside}


def _label(document: Mapping[str, Any], location: Location) -> str:
    """Return the id of the organization or sender a location lies in, in brackets."""
    match location:
        case (str(array), int(index), *_):
            table = document[array][index]
            name = table.get("id") if isinstance(table, dict) else None
            return f" ({name})" if isinstance(name, str) else ""
        case _:
            return ""
