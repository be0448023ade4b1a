"""The rules file from disk: the one place of this room that reads anything."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from bridge.comparing.rules import Rules
from bridge.comparing.rules_file import read_rules
from bridge.errors import SettingsFault


def load_rules(file: Path | None, organizations: Collection[str] | None = None) -> Rules:
    """Return the rules of a file, none of no file; raise SettingsFault with every fault, one a line."""
    if file is None:
        return Rules()
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsFault(
            f"{file}: cannot be read ({error.strerror}); correct [cutover] differences in the configuration, or --rules"
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsFault(f"{file}: is not UTF-8; save it as UTF-8") from error
    rules, faults = read_rules(text, organizations)
    if faults:
        raise SettingsFault("\n".join(f"{file}: {fault}" for fault in faults))
    return rules
