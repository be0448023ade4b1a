"""What the operator decides: one TOML file, environment variables over it, every fault told at once.

`model` declares each setting with its default and meaning, `cutover` those of leaving the legacy host, `kinds` what
they share; `loading` reads the file; `overrides` lays the environment over it; `checks` and `cutover_checks` look
across tables; `faults` gathers what is wrong (worded by `wording`); `reference` lists every setting for the README.
"""

from __future__ import annotations

from bridge.settings.checks import require_profiles
from bridge.settings.cutover import (
    Budgets,
    CutoverSettings,
    LegacySettings,
    OrganizationShadowSettings,
    ReadinessSettings,
    RecordingSettings,
    ShadowSettings,
)
from bridge.settings.loading import load_settings
from bridge.settings.model import (
    BasicSettings,
    JwtSettings,
    MappingSettings,
    ModernSettings,
    OrganizationSettings,
    ReadingSettings,
    SenderSettings,
    ServerSettings,
    Settings,
    StorageSettings,
)
from bridge.settings.reference import Setting, describe_settings

__all__ = [
    "BasicSettings",
    "Budgets",
    "CutoverSettings",
    "JwtSettings",
    "LegacySettings",
    "MappingSettings",
    "ModernSettings",
    "OrganizationSettings",
    "OrganizationShadowSettings",
    "ReadinessSettings",
    "ReadingSettings",
    "RecordingSettings",
    "SenderSettings",
    "ServerSettings",
    "Setting",
    "Settings",
    "ShadowSettings",
    "StorageSettings",
    "describe_settings",
    "load_settings",
    "require_profiles",
]
