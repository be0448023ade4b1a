"""Names of fields in answers, fit to be kept: an answer may call its members anything, persons included."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bridge.comparing.paths import BEYOND, DOCUMENTED

MOST_PATHS = 5_000
"""How many paths are told apart; what is beyond is put together."""


class Paths:
    """Paths of differences, with pseudonyms for names that nobody has declared and that are no plain words."""

    def __init__(self, scrub_name: Callable[[str], str], *, plain: Iterable[str] = (), most: int = MOST_PATHS) -> None:
        """`plain` are names that may be told: operators have written them down."""
        self._scrub_name = scrub_name
        self._plain = frozenset(name.casefold() for name in plain)
        self._most = most
        self._told: dict[str, str] = {}

    def tell(self, path: str) -> str:
        """Return a path as it may be kept: the same for the same path as long as there is room."""
        told = self._told.get(path)
        if told is None:
            place, *names = path.split(".")
            if path in DOCUMENTED:
                return path
            if len(self._told) >= self._most:
                return f"{place}.{BEYOND}"
            told = self._told[path] = ".".join((place, *map(self._tell_name, names)))
        return told

    def _tell_name(self, name: str) -> str:
        bare = name.rstrip("[]")
        return (bare if bare.casefold() in self._plain else self._scrub_name(bare)) + name[len(bare) :]
