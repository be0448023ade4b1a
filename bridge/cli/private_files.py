"""Files with personal data: for their owner's eyes only, whole or not there, and never in place of another one."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from bridge.errors import OperatorError

PRIVATE = 0o600
_ODD = re.compile(r"[^A-Za-z0-9._-]")


def name_files(out: Path, senders: Sequence[str]) -> dict[str, Path]:
    """Return the file of each sender: `out` itself for a single one, else each with the sender in its name."""
    if len(senders) == 1:
        return {senders[0]: out}
    files: dict[str, Path] = {}
    for sender in senders:
        name = f"{out.stem}-{_ODD.sub('_', sender)}"
        taken = sum(file.stem.casefold().startswith(name.casefold()) for file in files.values())
        files[sender] = out.with_name(f"{name}{f'-{taken + 1}' if taken else ''}{out.suffix}")
    return files


class Drafts:
    """Files under a name for now; `finish` gives them their own, and whatever is not finished goes away.

    A draft that is there already stops everything: somebody else is writing it, or was cut off.
    """

    def __init__(self, contents: Mapping[Path, bytes], files: Mapping[str, Path]) -> None:
        self.files = files
        """By sender."""
        self._contents = contents
        self._mine: list[Path] = []

    def __enter__(self) -> Self:
        """Write the drafts; OperatorError when one cannot be written, or its file is there."""
        try:
            for file, content in self._contents.items():
                _require_free(file, "name another file, or move it away")
                draft = _draft_of(file)
                _require_free(draft, "another run is writing it, or was cut off; if none is, delete it")
                _write(draft, content)
                self._mine.append(draft)
        except OSError as error:
            self._remove()
            raise OperatorError(f"{file}: cannot be written ({error.strerror}); nothing was recorded") from error
        except OperatorError:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what is not finished."""
        self._remove()

    def finish(self) -> None:
        """Give the drafts their names; OSError when that cannot be."""
        for file in self._contents:
            _draft_of(file).rename(file)

    def _remove(self) -> None:
        for draft in self._mine:
            with suppress(OSError):
                draft.unlink(missing_ok=True)


def write_private(file: Path, content: bytes) -> None:
    """Write a file for its owner only, in place of an older one."""
    draft = _draft_of(file)
    try:
        draft.unlink(missing_ok=True)  # what a run left that was cut off
        _write(draft, content)
        draft.replace(file)
    except OSError as error:
        raise OperatorError(f"{file}: cannot be written ({error.strerror}); name another one") from error


def _require_free(file: Path, remedy: str) -> None:
    if os.path.lexists(file):
        raise OperatorError(f"{file}: is there already; {remedy}")


def _write(file: Path, content: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _draft_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.part")
