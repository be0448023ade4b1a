"""Look across the tables of a cutover: nothing may loop, and a shadow may not write where production does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from bridge.modes import Mode
from bridge.settings.cutover import ShadowSettings
from bridge.settings.faults import Fault
from bridge.settings.model import ModernSettings, ServerSettings, StorageSettings
from bridge.settings.sources import SQLITE, is_loopback

Table = Mapping[str, Any]
PORTS = {"http": 80, "https": 443, "postgresql": 5432, "postgres": 5432}
EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not listened on


def find_cutover_disagreements(document: Table, organizations: Sequence[Table], folder: Path) -> Iterator[Fault]:
    """Yield what does not fit together; `folder` is what relative paths are relative to."""
    yield from _nowhere_to_pass(document)
    yield from _loop(document)
    yield from _doubled_path(document)
    if _text(document, "shadow", "base_url"):
        yield from _lame_shadow(document, organizations)
        yield from _writing_shadow(document)
        yield from _shared_journal(document, folder)


def _nowhere_to_pass(document: Table) -> Iterator[Fault]:
    """What goes to the legacy host needs its address."""
    if _text(document, "legacy", "base_url"):
        return
    first = _text(document, "cutover", "first_mode")
    if first in {mode.value for mode in Mode if mode.is_legacy_side}:
        yield Fault("cutover.first_mode", f"{first} needs the legacy host; set legacy.base_url, or say modern")
    if _section(document, "cutover").get("pass_strangers") is True:
        yield Fault("cutover.pass_strangers", "needs the legacy host; set legacy.base_url, or say false")


def _loop(document: Table) -> Iterator[Fault]:
    """A bridge that passes calls to itself never answers."""
    legacy = _split(_text(document, "legacy", "base_url"))
    server = _section(document, "server")
    host = str(server.get("host", ServerSettings.model_fields["host"].default)).strip().lower()
    port = server.get("port", ServerSettings.model_fields["port"].default)
    if not legacy.hostname or _port(legacy) != port:
        return
    here = is_loopback(legacy.hostname) and (host in EVERYWHERE or is_loopback(host))
    if here or legacy.hostname == host:
        yield Fault(
            "legacy.base_url",
            "is this bridge itself (server.host and server.port), which would pass calls round in circles; "
            "name the host that is being replaced",
        )


def _doubled_path(document: Table) -> Iterator[Fault]:
    """The path of a call is put behind the address as the ERP has written it."""
    path = _split(_text(document, "legacy", "base_url")).path.rstrip("/").casefold()
    if path.endswith(("/webapi", "/webapi/api", "/webapi/api/batch")):
        yield Fault("legacy.base_url", "ends in /webapi…, which calls bring with them; leave that part out")


def _lame_shadow(document: Table, organizations: Sequence[Table]) -> Iterator[Fault]:
    """A shadow target is reached with tokens and organizations of its own."""
    if not _text(document, "shadow", "token_url"):
        yield Fault("shadow.token_url", "is needed with shadow.base_url; add it, or leave both out to predict only")
    if not any(isinstance(one.get("shadow"), dict) for one in organizations):
        remedy = "add shadow = { id, client_id, client_secret } to an [[organization]], or leave shadow.base_url out"
        yield Fault("shadow.base_url", f"no organization has a counterpart there; {remedy}")


def _writing_shadow(document: Table) -> Iterator[Fault]:
    """What is submitted to the shadow target must reach neither the configured modern API nor the vendor's own host."""
    vendors = str(ModernSettings.model_fields["base_url"].default)
    target = _place(_text(document, "shadow", "base_url"))
    called = ""
    if target == _place(_text(document, "modern", "base_url") or vendors):
        called = "modern.base_url"
    elif target[0] == _place(vendors)[0]:
        called = "on the vendor's production host"
    if called:
        yield Fault(
            "shadow.base_url",
            f"is {called}: every shadowed batch would be written into production; name the vendor's staging or a "
            "sandbox, or leave it out to predict only",
        )


def _shared_journal(document: Table, folder: Path) -> Iterator[Fault]:
    """What was submitted to the shadow target is no part of the books."""
    own = _text(document, "storage", "url") or str(StorageSettings.model_fields["url"].default)
    shadows = _text(document, "shadow", "storage_url") or str(ShadowSettings.model_fields["storage_url"].default)
    if _database(shadows, folder) == _database(own, folder):
        yield Fault("shadow.storage_url", "is storage.url: the shadow's batches would mix with yours; name another one")


def _place(address: str) -> tuple[str, int | None, str]:
    """Return what an address leads to: however it is spelt, and with TLS or without."""
    parts = _split(address)
    port = _port(parts)
    path = "/".join(filter(None, unquote(parts.path).split("/")))
    host = (parts.hostname or "").rstrip(".")
    return "localhost" if is_loopback(host) else host, None if port in {80, 443} else port, path.casefold()


def _database(url: str, folder: Path) -> object:
    """Return which journal an address names, whoever asks for it."""
    if url.startswith(SQLITE):
        return (folder / unquote(url.removeprefix(SQLITE))).resolve()
    parts = _split(url)
    return parts.hostname, _port(parts), parts.path.strip("/"), parts.query


def _split(address: str) -> SplitResult:
    try:
        return urlsplit(address.strip())
    except ValueError:  # told when the setting itself is checked
        return urlsplit("")


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port or PORTS.get(parts.scheme)
    except ValueError:
        return None


def _text(document: Table, section: str, name: str) -> str:
    """Return a text setting as written; empty where there is none, or something else."""
    found = _section(document, section).get(name)
    return found if isinstance(found, str) else ""


def _section(document: Table, name: str) -> Table:
    found = document.get(name, {})
    return found if isinstance(found, dict) else {}
