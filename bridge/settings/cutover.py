"""Declare the settings of a cutover: the legacy host, how organizations leave it, and what brings them back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from bridge.modes import Mode
from bridge.settings.kinds import Count, OrganizationId, Percent, Secret, Section, Size, Text, WebAddress
from bridge.settings.sources import resolve_folder, resolve_storage


class LegacySettings(Section):
    """The host that is being replaced, while it still runs."""

    base_url: WebAddress | None = Field(
        None,
        description="its address, without /webapi. Calls for attachments go there, and everything of organizations in "
        "mode legacy or shadow. Without one, attachments answer 501 and every organization is modern",
    )
    request_timeout_seconds: Size = Field(
        100, description="how long it may be silent while a call is passed through to it"
    )


class CutoverSettings(Section):
    """How organizations move from the legacy host to the modern system."""

    first_mode: Annotated[Mode, Field(strict=False)] = Field(
        Mode.MODERN, description="mode of an organization that nobody has switched yet: legacy, shadow or modern"
    )
    pass_strangers: bool = Field(
        False,
        description="hand batches of callers that the bridge does not know to the legacy host instead of answering 401",
    )
    differences: Annotated[Path, AfterValidator(resolve_folder)] | None = Field(
        None, strict=False, description="file with the rules for differences that are expected"
    )
    watch_queue: Count = Field(
        10_000,
        description="how many exchanges with the legacy host may wait to be compared or recorded; more are left out",
    )
    watch_queue_mb: Size = Field(64, description="how much memory these may take, in megabytes")


class ShadowSettings(Section):
    """Where shadowed batches are really submitted to; without an address their outcome is predicted, nothing sent."""

    base_url: WebAddress | None = Field(
        None, description="address of a modern API that is not the production one: the vendor's staging, or the sandbox"
    )
    token_url: WebAddress | None = Field(None, description="address that gives out its access tokens")
    storage_url: Annotated[str, AfterValidator(resolve_storage)] = Field(
        "sqlite:///var/shadow.db",
        repr=False,  # as storage.url
        description="the journal of what was submitted there, as storage.url",
    )
    answer_seconds: Size = Field(60, description="how long to wait for its answer before a batch is left out")


class RecordingSettings(Section):
    """Where requests and legacy answers are recorded, and how personal data is replaced."""

    folder: Annotated[Path, AfterValidator(resolve_folder)] = Field(
        Path("var/recordings"), strict=False, description="folder of the recordings, one file a day and process"
    )
    key: Secret | None = Field(
        None, description="secret that pseudonyms are made with: the same key, the same pseudonyms. Needed to record"
    )
    plain_fields: tuple[Text, ...] = Field(
        (), strict=False, description="further fields of rows that hold nothing personal and are recorded as they are"
    )


class ReadinessSettings(Section):
    """What `bridge ready` asks for before it says GO."""

    min_rows: Count = Field(1000, description="how many rows must have been compared")
    min_days: Count = Field(5, description="on how many days, by UTC")
    expiry_days: Count = Field(14, description="how long a rule that excuses something must still hold")
    left_out_percent: Percent = Field(
        5, description="how many of 100 exchanges may have been left out of the comparison, or not be readable"
    )


class Budgets(Section):
    """What an organization may spend in a window before it returns to where it came from; left out: no limit."""

    window_minutes: Size | None = Field(None, description="how far back budgets look; 15 when left out")
    min_rows: Count | None = Field(
        None, description="no percentage is judged on fewer rows than this; 20 when left out"
    )
    refused_percent: Percent | None = Field(
        None, description="how many of 100 rows that the bridge decides may be refused"
    )
    different_percent: Percent | None = Field(
        None, description="how many of 100 rows that are compared may differ without an excuse"
    )
    p95_seconds: Size | None = Field(None, description="time within which 95 of 100 batches must have their answer")
    errors: Annotated[int, Field(ge=0)] | None = Field(
        None, description="how many batches the bridge may fail to take or to answer"
    )


class OrganizationShadowSettings(Section):
    """The organization that stands in for this one at the shadow target."""

    id: OrganizationId = Field(description="its id there")
    client_id: Text = Field(description="user name for access tokens there")
    client_secret: Secret = Field(description="password for access tokens there")
