"""Recordings, line by line: each a request with the legacy answer and, where it is known, the bridge's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bridge.comparing import Answer
from bridge.errors import OperatorError

SUFFIX = ".jsonl"


class RecordedAnswer(msgspec.Struct):
    """One answer; the body is JSON as it stands."""

    status: int
    body: msgspec.Raw

    def as_answer(self) -> Answer:
        """Return it as it went over the wire."""
        return Answer(self.status, bytes(self.body))


class Recorded(msgspec.Struct, frozen=True):
    """One recorded exchange."""

    sender: str
    request: msgspec.Raw
    legacy: RecordedAnswer
    v: int
    id: str = ""
    profile: str = ""
    organizations: tuple[str, ...] = ()
    bridge: RecordedAnswer | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands: number of the file, and its first byte there."""

    file: int
    offset: int


class Recordings:
    """Several files, read as one."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.files = [file for path in paths for file in _expand(path)]
        self._decode = msgspec.json.Decoder(Recorded).decode

    def lines(self) -> Iterator[tuple[Place, Recorded | None]]:
        """Yield every line; None for one that cannot be read, such as the last one of a process that was killed."""
        for number, file in enumerate(self.files):
            with file.open("rb") as stream:
                offset = 0
                for line in stream:
                    if line.strip():
                        yield Place(number, offset), self._read(line)
                    offset += len(line)

    def at(self, place: Place) -> Recorded | None:
        """Return the line at a place."""
        with self.files[place.file].open("rb") as stream:
            stream.seek(place.offset)
            return self._read(stream.readline())

    def _read(self, line: bytes) -> Recorded | None:
        try:
            found = self._decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return found if found.v == 1 else None


def _expand(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(path.glob(f"*{SUFFIX}"))
        if not files:
            raise OperatorError(f"{path}: holds no recording (*{SUFFIX}); name a recorded file, or its folder")
        return files
    if not path.is_file():
        raise OperatorError(f"{path}: there is no such file; name a recorded file, or a folder of them")
    return [path]
