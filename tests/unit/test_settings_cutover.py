"""Settings of a cutover: what fits together, what would loop, and what a shadow may never be pointed at."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.errors import SettingsFault
from bridge.modes import Mode
from bridge.settings import Settings, load_settings

NORDLYS = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
STAGING = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
GOOD = f"""
[[organization]]
id = "{NORDLYS}"
client_id = "nordlys"
client_secret = "s1"
"""
SENDER = f"""
[[sender]]
id = "ERP-1"
organizations = ["{NORDLYS}"]
bearer = "s2"
"""
COUNTERPART = f'shadow = {{ id = "{STAGING}", client_id = "staging", client_secret = "s3" }}\n'
LEGACY = '[legacy]\nbase_url = "https://legacy.example"\n'
SHADOW = '[shadow]\nbase_url = "https://staging.example/v1"\ntoken_url = "https://staging.example/token"\n'

Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a configuration of tables before the organization, and lines of the organization."""

    def _load(text: str = "", organization: str = "", **environ: str) -> Settings:
        path = tmp_path / "bridge.toml"
        path.write_text(text + GOOD + organization + SENDER, encoding="utf-8")
        return load_settings(path, environ)

    return _load


def complain(load: Load, text: str, organization: str = "", **environ: str) -> list[str]:
    """Return the faults that a configuration has."""
    with pytest.raises(SettingsFault) as caught:
        load(text, organization, **environ)
    return str(caught.value).splitlines()[1:]


def test_without_a_word_about_it_everything_is_modern(load: Load) -> None:
    """The defaults are those of a bridge that knows no cutover."""
    settings = load()
    assert settings.cutover.first_mode is Mode.MODERN
    assert (settings.shadow.base_url, settings.recording.key, settings.organizations[0].shadow) == (None, None, None)
    assert (settings.guardrails.errors, settings.organizations[0].guardrails) == (None, None)


@pytest.mark.parametrize("mode", ["legacy", "shadow", "modern"])
def test_the_first_mode_is_read(load: Load, mode: str) -> None:
    """From the file, and from the environment."""
    assert load(LEGACY + f'[cutover]\nfirst_mode = "{mode}"\n').cutover.first_mode is Mode(mode)
    assert load(LEGACY, BRIDGE__CUTOVER__FIRST_MODE=mode).cutover.first_mode is Mode(mode)


def test_an_unknown_mode_is_a_fault(load: Load) -> None:
    """The known ones are named."""
    (line,) = complain(load, '[cutover]\nfirst_mode = "old"\n')
    assert line == "cutover.first_mode: must be 'legacy', 'shadow' or 'modern'"


@pytest.mark.parametrize("mode", ["legacy", "shadow"])
def test_the_legacy_side_needs_the_legacy_host(load: Load, mode: str) -> None:
    """Nothing can be passed on to a host that nobody named."""
    (line,) = complain(load, f'[cutover]\nfirst_mode = "{mode}"\n')
    assert line == f"cutover.first_mode: {mode} needs the legacy host; set legacy.base_url, or say modern"
    (line,) = complain(load, "[cutover]\npass_strangers = true\n")
    assert line == "cutover.pass_strangers: needs the legacy host; set legacy.base_url, or say false"


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("127.0.0.1", "http://localhost:8080/"),
        ("0.0.0.0", "http://[::1]:8080"),
        ("::", "http://127.0.0.1:8080"),
        ("bridge.internal", "http://Bridge.internal:8080"),
    ],
)
def test_the_bridge_is_not_its_own_legacy_host(load: Load, host: str, address: str) -> None:
    """Calls would go round in circles."""
    (line,) = complain(load, f'[server]\nhost = "{host}"\n[legacy]\nbase_url = "{address}"\n')
    assert line.startswith("legacy.base_url: is this bridge itself (server.host and server.port), which would pass")


@pytest.mark.parametrize(
    ("port", "address"),
    [("8081", "http://127.0.0.1:8080"), ("8080", "http://127.0.0.1:8081"), ("8080", "http://10.0.0.1:8080")],
)
def test_another_port_or_host_is_another_program(load: Load, port: str, address: str) -> None:
    """The legacy host may run on the same machine, or listen on the same port of another one."""
    settings = load(f'[server]\nport = {port}\n[legacy]\nbase_url = "{address}"\n')
    assert settings.legacy.base_url == address


def test_default_ports_count(load: Load) -> None:
    """An address without a port means that of its scheme."""
    text = '[server]\nport = 80\n[legacy]\nbase_url = "http://localhost"\n'
    assert "legacy.base_url" in complain(load, text)[0]


def test_a_shadow_target_is_complete(load: Load) -> None:
    """Address, tokens, and an organization that stands in."""
    settings = load(SHADOW, COUNTERPART)
    counterpart = settings.organizations[0].shadow
    assert counterpart is not None
    assert (counterpart.id, counterpart.client_id) == (STAGING, "staging")


def test_a_shadow_target_without_tokens_or_organizations_is_a_fault(load: Load) -> None:
    """Both are told at once."""
    tokens, organizations = complain(load, '[shadow]\nbase_url = "https://staging.example/v1"\n')
    assert tokens.startswith("shadow.token_url: is needed with shadow.base_url")
    assert organizations.startswith("shadow.base_url: no organization has a counterpart there; add shadow = {")


@pytest.mark.parametrize(
    "address",
    [
        "https://api.amili.no/collection/v1",
        "https://api.amili.no/collection/v1/",
        "HTTPS://API.amili.no:443/collection/v1",
        "http://api.amili.no./collection//v1",
        "https://user@api.amili.no/Collection/%76%31",
    ],
)
def test_a_shadow_never_writes_into_production(load: Load, address: str) -> None:
    """However the production address is spelt; it is the default one when the file names none."""
    text = f'[shadow]\nbase_url = "{address}"\ntoken_url = "https://staging.example/token"\n'
    (line,) = complain(load, text, COUNTERPART)
    assert line.startswith("shadow.base_url: is modern.base_url: every shadowed batch would be written into production")


@pytest.mark.parametrize(
    ("own", "shadow"),
    [
        ("http://127.0.0.1:8090/collection/v1", "http://localhost:8090/collection/v1"),
        ("http://localhost:8090/collection/v1", "http://[::1]:8090/collection/v1"),
        ("https://staging.example/v1", "https://api.amili.no/collection/v1"),
    ],
)
def test_a_shadow_never_writes_there_by_another_name(load: Load, own: str, shadow: str) -> None:
    """This machine has several names, and the vendor's production address is one whatever modern.base_url is."""
    text = (
        f'[modern]\nbase_url = "{own}"\n[shadow]\nbase_url = "{shadow}"\ntoken_url = "https://staging.example/token"\n'
    )
    (line,) = complain(load, text, COUNTERPART)
    assert "every shadowed batch would be written into production" in line


def test_the_environment_cannot_point_a_shadow_at_production(load: Load) -> None:
    """What counts is the configuration as it is used."""
    assert complain(load, SHADOW, COUNTERPART, BRIDGE__MODERN__BASE_URL="https://staging.example/v1")


def test_another_path_of_the_same_host_is_another_api(load: Load) -> None:
    """Whoever runs a modern system may serve staging beside production; only the vendor's own host holds none."""
    text = '[shadow]\nbase_url = "{}/staging/v1"\ntoken_url = "https://auth.example/staging"\n'
    own = text.format("https://api.example")
    loaded = load(own, COUNTERPART, BRIDGE__MODERN__BASE_URL="https://api.example/v1")
    assert loaded.shadow.base_url == "https://api.example/staging/v1"
    faults = complain(load, text.format("https://api.amili.no"), COUNTERPART, BRIDGE__MODERN__BASE_URL="https://own/v1")
    assert "the vendor's production host" in str(faults)


@pytest.mark.parametrize(
    ("own", "shadows"),
    [
        ("sqlite:///var/shadow.db", None),
        ("sqlite:///var/bridge.db", "sqlite:///./var/../var/bridge.db"),
        ("postgresql://bridge@db/bridge", "postgres://other:secret@DB:5432/bridge"),
    ],
)
def test_a_shadow_keeps_its_own_journal(load: Load, own: str, shadows: str | None) -> None:
    """Its batches are not the caller's, and must not be counted among them."""
    text = SHADOW + (f'storage_url = "{shadows}"\n' if shadows else "") + f'[storage]\nurl = "{own}"\n'
    (line,) = complain(load, text, COUNTERPART)
    assert line.startswith("shadow.storage_url: is storage.url")
    assert "secret" not in line


def test_an_absolute_path_may_name_the_same_journal(load: Load, tmp_path: Path) -> None:
    """Relative to the configuration file, they are one."""
    text = SHADOW + f'storage_url = "sqlite:///{tmp_path}/var/bridge.db"\n'
    assert complain(load, text, COUNTERPART)[0].startswith("shadow.storage_url")


@pytest.mark.parametrize("address", ["http://[::1", "http://h:port", 3])
def test_an_unreadable_address_is_told_once(load: Load, address: object) -> None:
    """As a fault of the setting itself; nothing else stumbles over it."""
    spelt = f'"{address}"' if isinstance(address, str) else address
    lines = complain(load, f"[legacy]\nbase_url = {spelt}\n")
    assert [line.partition(":")[0] for line in lines] == ["legacy.base_url"]


def test_tables_that_are_none_are_told_once(load: Load) -> None:
    """A section that is no table is a fault of its own."""
    assert complain(load, "shadow = 1\nserver = 2\nlegacy = 3\n") == [
        "server: must be a table",
        "legacy: must be a table",
        "shadow: must be a table",
    ]


def test_budgets_are_read(load: Load) -> None:
    """In general, and for one organization; nothing at all may be allowed."""
    settings = load("[guardrails]\nerrors = 0\nrefused_percent = 2.5\n", "guardrails = { refused_percent = 0 }\n")
    own = settings.organizations[0].guardrails
    assert (settings.guardrails.errors, settings.guardrails.refused_percent) == (0, 2.5)
    assert own is not None
    assert (own.errors, own.refused_percent) == (None, 0)


def test_a_budget_above_all_is_a_fault(load: Load) -> None:
    """A percentage ends at 100."""
    (line,) = complain(load, "[guardrails]\nrefused_percent = 101\n")
    assert line == "guardrails.refused_percent: must be 100 or less"


@pytest.mark.parametrize("path", ["/webapi", "/WebApi/", "/webapi/api", "/old/webapi/api/Batch"])
def test_the_legacy_address_is_without_the_path_of_the_calls(load: Load, path: str) -> None:
    """Calls bring their own path: the host would be asked for /webapi/webapi."""
    (fault,) = complain(load, f'[legacy]\nbase_url = "https://old.example{path}"\n')
    assert fault.lstrip().startswith("legacy.base_url")
    assert load('[legacy]\nbase_url = "https://old.example/webapis"\n').legacy.base_url
