"""Python source written line by line, and made into a function whose tracebacks show it."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class SourceWriter:
    """Lines of Python and the values they name; what is compiled to source builds on it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {}
        self._depth = 0
        self._count = 0

    def _line(self, text: str) -> None:
        self.lines.append("    " * self._depth + text)

    def _new(self, letter: str) -> str:
        self._count += 1
        return f"{letter}{self._count}"

    def _name(self, letter: str, value: Any) -> str:
        name = self._new(letter)
        self.names[name] = value
        return name

    @contextmanager
    def _block(self, head: str) -> Iterator[None]:
        self._line(head)
        with self._nest():
            yield

    @contextmanager
    def _nest(self) -> Iterator[None]:
        self._depth += 1
        yield
        self._depth -= 1

    @contextmanager
    def _hold(self) -> Iterator[list[str]]:
        """Collect lines beside the function, to be placed by the caller."""
        outside, self.lines = self.lines, []
        held = self.lines
        yield held
        self.lines = outside


def compile_source(writer: SourceWriter, function: str, title: str, **names: Any) -> tuple[Callable[..., Any], str]:
    """Return the function of that name, and the source it comes from; `names` join those of the writer."""
    source = "\n".join(writer.lines) + "\n"
    filename = f"<mapping {title}>"
    known = {**writer.names, **names}
    exec(compile(source, filename, "exec"), known)  # noqa: S102 - our own source; names and values in it are quoted
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)  # for tracebacks
    compiled: Callable[..., Any] = known[function]
    return compiled, source
