"""Small profiles written to a temporary folder, one file at a time different."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import MappingFault
from bridge.mapping import ObjectMapping, Profile, ReadProfile, load_profile

OPERATION = """
[[operation]]
name = "send"
path = "/orgs/{org}/things"
collection = "things"
evidence = "documented"
"""

REPLY = """
evidence = "assumed"
codes = { all_accepted = 0, some_refused = 1, all_refused = 2, some_pending = 3 }
texts = { accepted = "OK", pending = "PENDING" }
"""


def _complete(objectname: str, text: str, top: str = "") -> str:
    head = f'objectname = "{objectname}"\nevidence = "assumed"\n{top}\n'
    return head + text + ("" if "[[operation]]" in text or objectname == "creditor" else OPERATION)


def _plain(objectname: str) -> str:
    drop = '[[drop]]\nfields = ["id"]\nreason = "unused"\nevidence = "assumed"\n'
    return _complete(objectname, f'[fields]\nid = "text"\n{drop}')


@pytest.fixture
def write_profile(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of profiles: the invoice mapping, keys above its tables, and whole other files by name."""

    def write(invoice: str = "", top: str = "", *, name: str = "small", **files: str | None) -> Path:
        folder = tmp_path / "mappings" / name
        folder.mkdir(parents=True, exist_ok=True)
        texts: dict[str, str | None] = {kind: _plain(kind) for kind in ("creditor", "invoice", "payment", "action")}
        if invoice:
            texts["invoice"] = _complete("invoice", invoice, top)
        texts |= {"reply": REPLY, **files}
        for stem, text in texts.items():
            if text is not None:
                (folder / f"{stem.replace('_examples', '.examples')}.toml").write_text(text, encoding="utf-8")
        return folder

    return write


@pytest.fixture
def profile_of(write_profile: Callable[..., Path]) -> Callable[..., Profile]:
    """Return a loader of such a profile."""

    def load(*args: str, **files: str | None) -> Profile:
        return load_profile(write_profile(*args, **files))

    return load


@pytest.fixture
def mapping_of(profile_of: Callable[..., Profile]) -> Callable[..., ObjectMapping]:
    """Return a loader of just the invoice mapping of such a profile."""

    def load(*args: str, **files: str | None) -> ObjectMapping:
        return profile_of(*args, **files).objects["invoice"]

    return load


@pytest.fixture
def faults_of(write_profile: Callable[..., Path]) -> Callable[..., list[str]]:
    """Return a function that tells the faults of such a profile, line by line."""

    def load(*args: str, **files: str | None) -> list[str]:
        with pytest.raises(MappingFault) as caught:
            load_profile(write_profile(*args, **files))
        return str(caught.value).splitlines()

    return load


@pytest.fixture
def convert(mapping_of: Callable[..., ObjectMapping]) -> Callable[..., Any]:
    """Return a function that sends one value of one type through a transform and returns what came out."""

    def run(value: Any, field_type: str, transform: str, *, profile: str | None = None) -> Any:
        files = {} if profile is None else {"profile": profile}
        mapping = mapping_of(
            f'[fields]\na = "{field_type}"\n'
            f'[[rule]]\nfrom = "a"\nto = "b"\ntransform = {transform}\nevidence = "assumed"\n',
            **files,
        )
        return mapping.translate({"a": value}).item.get("b")

    return run


def _entry(objectname: str, text: str, top: str = "") -> str:
    text = text or '[fields]\nid = "text"\n[[null]]\nfields = ["id"]\nreason = "unused"\nevidence = "documented"\n'
    closed = '[closed]\nfield = "status"\nvalues = ["DONE"]\ndate = "closedAt"\nevidence = "assumed"\n'
    more = closed if objectname == "case" and "[closed]" not in text else ""
    return f'objectname = "{objectname}"\nevidence = "assumed"\n{top}\n{text}{more}'


@pytest.fixture
def write_reading(write_profile: Callable[..., Path]) -> Callable[..., Path]:
    """Return a writer of profiles with a `read/` folder: the case mapping, keys above its tables, others by name."""

    def write(case: str = "", top: str = "", *, profile: str = "", **files: str | None) -> Path:
        folder = write_profile(profile=profile)
        (folder / "read").mkdir(exist_ok=True)
        texts: dict[str, str | None] = {kind: _entry(kind, "") for kind in ("creditor", "settlement")}
        texts |= {"case": _entry("case", case, top), **files}
        for stem, text in texts.items():
            if text is not None:
                name = f"{stem.replace('_examples', '.examples')}.toml"
                (folder / "read" / name).write_text(text, encoding="utf-8")
        return folder

    return write


@pytest.fixture
def reading_of(write_reading: Callable[..., Path]) -> Callable[..., ReadProfile]:
    """Return a loader of what such a profile answers with."""

    def load(*args: str, **files: str | None) -> ReadProfile:
        read = load_profile(write_reading(*args, **files)).read
        assert read is not None
        return read

    return load


@pytest.fixture
def reading_faults(write_reading: Callable[..., Path]) -> Callable[..., list[str]]:
    """Return a function that tells the faults of such a profile, line by line."""

    def load(*args: str, **files: str | None) -> list[str]:
        with pytest.raises(MappingFault) as caught:
            load_profile(write_reading(*args, **files))
        return str(caught.value).splitlines()

    return load
