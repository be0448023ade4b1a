"""What the operator decides: one TOML file, environment variables over it, every fault told at once.

`model` declares each setting with its default and meaning; `loading` reads the file; `overrides` lays the environment
over it; `checks` looks across tables; `faults` words what is wrong; `reference` lists every setting for the README.
"""

from __future__ import annotations

from bridge.settings.checks import require_profiles
from bridge.settings.loading import load_settings
from bridge.settings.model import (
    BasicSettings,
    JwtSettings,
    LegacySettings,
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
    "JwtSettings",
    "LegacySettings",
    "MappingSettings",
    "ModernSettings",
    "OrganizationSettings",
    "ReadingSettings",
    "SenderSettings",
    "ServerSettings",
    "Setting",
    "Settings",
    "StorageSettings",
    "describe_settings",
    "load_settings",
    "require_profiles",
]
