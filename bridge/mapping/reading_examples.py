"""Examples beside the files of a `read/` folder: each is rendered, and what none of them exercises is reported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from bridge.mapping.document import Strict, Text
from bridge.mapping.example_files import find_differences, read_examples
from bridge.mapping.profiles import Profile, rebuild_read
from bridge.mapping.reading import ReadMapping, ReadProfile, list_parts


class ReadExample(Strict):
    """`[[example]]`: sources as the modern system gives them, and the entry they must become."""

    name: Text
    language: str = ""
    sources: dict[str, Any]
    expect: dict[str, Any] = Field(min_length=1)
    """The whole entry; what it leaves out must be null."""
    closed: bool | None = None
    """Whether the case counts as closed, where that matters."""


class ReadExamplesDocument(Strict):
    """`read/<objectname>.examples.toml` or `.json`."""

    example: tuple[ReadExample, ...]


def run_read_examples(profile: Profile) -> list[str]:
    """Render every example of a profile's answers; return what went wrong, and what no example exercises."""
    if profile.read is None:
        return []
    faults: list[str] = []
    for mapping in profile.read.mappings:
        stem = f"read/{mapping.objectname}"
        home = profile.home(f"{stem}.toml")
        file, document, found = read_examples(home, stem, ReadExamplesDocument)
        if document is not None:
            found = list(_run_file(profile, profile.read, mapping, file, document.example))
        else:
            found = [f"{file}: {fault}" for fault in found]
        faults += [f"{home.name}/{fault}" for fault in found]
    return faults


def _run_file(
    profile: Profile, read: ReadProfile, mapping: ReadMapping, file: str, examples: tuple[ReadExample, ...]
) -> Iterator[str]:
    noticed: set[str] = set()
    told = rebuild_read(profile, mapping, noticed.add)
    exercised: set[str] = set()
    for example in examples:
        noticed.clear()
        faults = list(_judge(example, told, read))
        yield from (f'{file}: example "{example.name}": {fault}' for fault in faults)
        if not faults:
            exercised |= noticed
            if example.closed is not None:
                exercised |= read.reasons(example.sources.get("case", {}))
    for key in list_parts(mapping.document):
        if key not in exercised:
            yield f"read/{mapping.objectname}.toml: {key} is exercised by no example; add one to {file}"


def _judge(example: ReadExample, mapping: ReadMapping, read: ReadProfile) -> Iterator[str]:
    """Yield how the entry differs from what the example expects."""
    unknown = example.sources.keys() - mapping.known_sources
    if unknown:
        yield f"there is no source {', '.join(sorted(unknown))}; it has {', '.join(sorted(mapping.known_sources))}"
        return
    entry = mapping.render(example.sources, example.language)
    yield from find_differences("entry", _strip(example.expect), _strip(entry))
    if example.closed is not None:
        yield from find_differences("closed", example.closed, read.is_closed(example.sources.get("case", {})))


def _strip(value: Any) -> Any:
    """Leave out what is null or holds nothing, so that an example need not write it down; elements of lists stay."""
    if isinstance(value, list):
        return [_strip(each) for each in value]
    if not isinstance(value, dict):
        return value
    stripped = {name: _strip(each) for name, each in value.items()}
    return {name: each for name, each in stripped.items() if each is not None and each not in ({}, [])}
