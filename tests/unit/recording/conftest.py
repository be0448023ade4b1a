"""A redactor as the shipped profiles make it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.discretion import gather_terms
from bridge.mapping import load_profiles
from bridge.recording import Redactor

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def redactor() -> Redactor:
    return Redactor(b"a key of these tests", (), gather_terms(load_profiles(ROOT / "mappings").values()))
