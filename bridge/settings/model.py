"""Declare every setting: its name, type, default and meaning. The README's table is checked against these files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from bridge.settings.cutover import (
    Budgets,
    CutoverSettings,
    LegacySettings,
    OrganizationShadowSettings,
    ReadinessSettings,
    RecordingSettings,
    ShadowSettings,
)
from bridge.settings.kinds import Count, Duration, OrganizationId, Port, Secret, Section, Size, Text, WebAddress
from bridge.settings.sources import resolve_folder, resolve_storage


class ServerSettings(Section):
    """Where the bridge listens and how much it takes."""

    host: Text = Field("127.0.0.1", description="address the bridge listens on")
    port: Port = Field(8080, description="port the bridge listens on")
    max_body_mb: Size = Field(64, description="largest request body, in megabytes after decompression")
    drain_seconds: Duration = Field(
        10, description="how long held callers may wait after SIGTERM before they get what is known by then"
    )
    max_open_batches: Count = Field(
        2000, description="how many batches may be open at a time before new ones are asked to come back later"
    )
    max_open_batches_per_sender: Count = Field(
        500, description="how many batches one sender may have open before it is told to wait (429)"
    )
    max_open_rows: Count = Field(
        250_000, description="how many rows all open batches may have together; a single batch may have more"
    )
    max_reading_mb: Size = Field(
        256, description="how much all bodies that are being read may take together before callers are put off"
    )

    @property
    def max_body_bytes(self) -> int:
        """Return the largest request body in bytes."""
        return int(self.max_body_mb * 1024 * 1024)


class StorageSettings(Section):
    """Where the journal is kept, and for how long."""

    url: Annotated[str, AfterValidator(resolve_storage)] = Field(
        "sqlite:///var/bridge.db",
        repr=False,  # a PostgreSQL address may hold a password
        description="the journal: sqlite:///file relative to the configuration file, sqlite:////file absolute, "
        "or postgresql://user@host/database",
    )
    retention_days: Size = Field(90, description="when the payloads of finished batches are erased")


class ModernSettings(Section):
    """How to reach and treat the modern API."""

    base_url: WebAddress = Field("https://api.amili.no/collection/v1", description="address of the modern API")
    token_url: WebAddress = Field("https://auth.amili.no/token", description="address that gives out access tokens")
    webhook_secrets: tuple[Secret, ...] = Field(
        (), strict=False, description="secrets a webhook may be signed with; without any the receiver answers 404"
    )
    max_rows_per_call: Count = Field(500, description="how many rows one write may carry")
    request_timeout_seconds: Size = Field(30, description="how long one request may take")
    settle_seconds: Duration = Field(30, description="how long a write may take to show up in the API's lists")
    idempotency_header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+$")] = Field(
        "Idempotency-Key", description="header that carries the idempotency key of a write"
    )
    concurrency_per_organization: Count = Field(4, description="how many writes of one organization run side by side")
    writes_per_second: Duration = Field(0, description="how many writes of one organization a second; 0: no limit")
    failures_to_break: Count = Field(
        5, description="after how many writes in a row without an answer an organization is left alone for a while"
    )
    break_seconds: Size = Field(1, description="how long the first such pause lasts; each next one twice as long")
    poll_ceiling_seconds: Size = Field(30, description="longest pause between two polls of a modern batch")
    retry_hours: Size = Field(24, description="how long a write that was provably not taken is tried again")
    duplicate_words: tuple[Text, ...] = Field(
        ("duplicate", "already exists", "already registered", "already in use", "already booked", "already known"),
        strict=False,
        description='words by which a refusal is recognized as "held already", to be looked up (assumed)',
    )


class MappingSettings(Section):
    """Where the dialects are described."""

    folder: Annotated[Path, AfterValidator(resolve_folder)] = Field(
        Path("../mappings"), strict=False, description="folder with one folder of mapping files per profile"
    )


class ReadingSettings(Section):
    """How claims and settlements are read back."""

    cache_seconds: Duration = Field(
        30, description="how long what was read answers again, while nobody tells of a change; 0: not at all"
    )
    cache_mb: Size = Field(32, description="how much memory what was read may take, in megabytes")
    answer_seconds: Size = Field(
        60, description="how long a caller waits for an answer; then 503, and the reading goes on for who asks next"
    )
    organizations_at_once: Count = Field(4, description="how many organizations are read side by side")
    max_cases: Count = Field(50_000, description="how many cases one answer may be made of; more answers 413")
    page_size: Count = Field(200, description="how many cases or settlements the modern API is asked for in one page")

    @property
    def cache_bytes(self) -> int:
        """Return the size of the cache in bytes."""
        return int(self.cache_mb * 1024 * 1024)


class OrganizationSettings(Section):
    """One tenant on the modern side."""

    id: OrganizationId = Field(description="the organization's id on the modern side")
    name: str = Field("", description="what operators call it")
    creditors: tuple[Text, ...] = Field(
        (), strict=False, description="legacy creditor numbers (idnumber, creditorid) that belong to it"
    )
    client_id: Text = Field(description="user name for access tokens")
    client_secret: Secret = Field(description="password for access tokens")
    webhook_secrets: tuple[Secret, ...] = Field(
        (), strict=False, description="further secrets that webhooks of this organization may be signed with"
    )
    shadow: OrganizationShadowSettings | None = None
    guardrails: Budgets | None = None


class BasicSettings(Section):
    """User name and password of a sender (HTTP Basic)."""

    username: Annotated[str, StringConstraints(min_length=1, pattern="^[^:]*$")] = Field(
        description="user name, without a colon"
    )
    password: Secret = Field(description="password")


class JwtSettings(Section):
    """Signed tokens of a sender (Bearer)."""

    jwks_url: WebAddress = Field(description="address of the issuer's public keys")
    issuer: Text = Field(description="required `iss` of the token")
    audience: Text = Field(description="required `aud` of the token")
    claim: Text = Field("sub", description="claim whose value must be the sender's id")


class SenderSettings(Section):
    """One ERP installation that may call."""

    id: Text = Field(description="what the ERP sends as senderid")
    profile: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")] = Field(
        "autocollect", description="the dialect it speaks: a folder under mappings.folder"
    )
    organizations: tuple[OrganizationId, ...] = Field(
        strict=False, min_length=1, description="ids of the organizations it may write to"
    )
    hold_seconds: Duration = Field(25, description="how long its calls are held before unfinished rows answer PENDING")
    batchid: Literal["unique", "label"] = Field(
        "unique", description="unique: a batchid names one batch for ever; label: it repeats, and the content decides"
    )
    resend_window_hours: Duration = Field(
        24, description="how long equal content counts as the same batch when no batchid decides; 0: never"
    )
    basic: BasicSettings | None = None
    bearer: Secret | None = Field(None, description="a fixed token")
    jwt: JwtSettings | None = None
    anonymous: bool = Field(
        False, description="take its calls without credentials; only while server.host is a loopback address"
    )


class Settings(Section):
    """The whole configuration."""

    server: ServerSettings
    storage: StorageSettings
    modern: ModernSettings
    mappings: MappingSettings
    reading: ReadingSettings
    legacy: LegacySettings
    cutover: CutoverSettings
    shadow: ShadowSettings
    recording: RecordingSettings
    readiness: ReadinessSettings
    guardrails: Budgets
    organizations: tuple[OrganizationSettings, ...] = Field(alias="organization", strict=False)
    senders: tuple[SenderSettings, ...] = Field(alias="sender", strict=False)
