"""Read values that point elsewhere: secrets in the environment or a file, paths relative to the configuration file."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import ValidationInfo

SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Sources:
    """What a value may refer to: the folder of the configuration file, and the environment."""

    folder: Path
    environ: Mapping[str, str]


def read_secret(value: Any, info: ValidationInfo[Sources]) -> str:
    """Return the text of a secret given as a literal, `{ env = "NAME" }` or `{ file = "path" }`."""
    sources = info.context
    match value:
        case str():
            text = value
        case {"env": str(name), **others} if not others:
            text = read_variable(name, sources.environ)
        case {"file": str(path), **others} if not others:
            text = read_secret_file(sources.folder / path)
        case _:
            raise ValueError('must be text, { env = "NAME" } or { file = "path" }')
    if not text:
        raise ValueError("is empty; give the secret a value")
    return text


def read_variable(name: str, environ: Mapping[str, str]) -> str:
    """Return an environment variable that must be set."""
    if name not in environ:
        raise ValueError(f"the environment variable {name} is not set; set it before the start, or name another source")
    return environ[name]


def read_secret_file(path: Path) -> str:
    """Return the content of a secret file without its trailing newline."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ValueError(f"the file {path} cannot be read ({reason}); create it, or name another source") from error
    return text.removesuffix("\n").removesuffix("\r")


def resolve_folder(value: Path, info: ValidationInfo[Sources]) -> Path:
    """Return a folder as an absolute path."""
    sources = info.context
    return (sources.folder / value).resolve()


def resolve_storage(value: str, info: ValidationInfo[Sources]) -> str:
    """Return a storage address whose file, if it is one, is absolute (four slashes)."""
    sources = info.context
    if value.startswith(SQLITE) and len(value) > len(SQLITE):
        return f"{SQLITE}{(sources.folder / value.removeprefix(SQLITE)).resolve()}"
    address = urlsplit(value)
    if address.scheme in {"postgresql", "postgres"} and address.path.strip("/"):
        return value
    raise ValueError("must be sqlite:///relative/file, sqlite:////absolute/file or postgresql://user@host/database")


def check_web_address(value: str) -> str:
    """Return an http(s) address without its trailing slash."""
    try:
        address = urlsplit(value)
        is_good = address.scheme in {"http", "https"} and bool(address.hostname) and address.port != 0
    except ValueError:  # brackets that do not close, a port that is no number
        is_good = False
    if not is_good:
        raise ValueError("must be an address that starts with https:// or http:// and names a host")
    return value.rstrip("/")


def check_organization_id(value: str) -> str:
    """Return a UUID in its canonical, lower-case spelling."""
    try:
        canonical = str(UUID(value))
    except ValueError:
        canonical = ""
    if canonical != value.lower():
        raise ValueError("must be a UUID such as 3fa85f64-5717-4562-b3fc-2c963f66afa6")
    return canonical


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a host address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
