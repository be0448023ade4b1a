"""Loading a configuration: defaults, environment, secrets, paths, and the configurations in config/."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import SettingsFault
from bridge.settings import Setting, Settings, describe_settings, load_settings

CONFIG = Path(__file__).parents[2] / "config"
ORGANIZATION = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
SMALLEST = f"""
[[organization]]
id = "{ORGANIZATION}"
client_id = "nordlys"
client_secret = "literal-secret"

[[sender]]
id = "ERP-1"
organizations = ["{ORGANIZATION}"]
bearer = {{ env = "TOKEN" }}
"""
SECRETS = {
    "NORDLYS_SECRET": "a",
    "ERP1_PASSWORD": "b",
    "ERP1_TOKEN": "c",
    "AMILI_WEBHOOK_SECRET": "d",
}


Load = Callable[..., Settings]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Write a configuration file and return its path."""

    def _write(text: str) -> Path:
        path = tmp_path / "bridge.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return _write


@pytest.fixture
def load(write: Callable[[str], Path]) -> Load:
    """Load a configuration given as text."""

    def _load(text: str = SMALLEST, **environ: str) -> Settings:
        return load_settings(write(text), {"TOKEN": "token-secret"} | environ)

    return _load


def test_defaults(load: Load, tmp_path: Path) -> None:
    """What the file leaves out has the contract's default."""
    settings = load()
    server, modern, sender = settings.server, settings.modern, settings.senders[0]
    assert (server.host, server.port, server.max_body_mb, server.drain_seconds) == ("127.0.0.1", 8080, 64, 10)
    assert settings.storage.url == f"sqlite:///{tmp_path}/var/bridge.db"
    assert settings.storage.retention_days == 90
    assert (modern.max_rows_per_call, modern.request_timeout_seconds, modern.settle_seconds) == (500, 30, 30)
    assert (modern.idempotency_header, modern.webhook_secrets) == ("Idempotency-Key", ())
    assert settings.mappings.folder == tmp_path.parent / "mappings"
    assert (sender.hold_seconds, sender.batchid, sender.resend_window_hours) == (25, "unique", 24)
    assert (sender.profile, sender.anonymous, sender.basic, sender.jwt) == ("autocollect", False, None, None)


def test_body_limit_in_bytes(load: Load) -> None:
    """The body limit is available in bytes."""
    assert load("[server]\nmax_body_mb = 1.5\n" + SMALLEST).server.max_body_bytes == 1_572_864


def test_settings_cannot_be_changed(load: Load) -> None:
    """Loaded settings are frozen."""
    with pytest.raises(ValueError, match="frozen"):
        load().server.port = 1


def test_environment_overrides_scalars(load: Load) -> None:
    """A BRIDGE__ variable wins over the file, is converted to the setting's type, and reaches into tables and lists."""
    settings = load(
        "[server]\nport = 1\n" + SMALLEST,
        BRIDGE__SERVER__PORT="9000",
        BRIDGE__MODERN__SETTLE_SECONDS="0.5",
        BRIDGE__STORAGE__URL="postgresql://bridge@db/bridge",
        BRIDGE__SENDER__0__ANONYMOUS="true",
        BRIDGE__SENDER__0__BASIC__USERNAME="erp1",
        BRIDGE__SENDER__0__BASIC__PASSWORD="pw",
        BRIDGE__ORGANIZATION__0__CLIENT_SECRET="other",
        BRIDGE_CONFIG="not ours",
        HOME="/root",
    )
    assert (settings.server.port, settings.modern.settle_seconds) == (9000, 0.5)
    assert settings.storage.url == "postgresql://bridge@db/bridge"
    assert settings.senders[0].anonymous
    assert settings.senders[0].basic is not None
    assert settings.senders[0].basic.username == "erp1"
    assert settings.organizations[0].client_secret.get_secret_value() == "other"


@pytest.mark.parametrize("setting", describe_settings(), ids=lambda setting: setting.key)
def test_every_scalar_has_a_variable(load: Load, setting: Setting) -> None:
    """Any scalar setting, and no list, can be overridden by a variable."""
    variable = "BRIDGE__" + setting.key.replace("[].", "__0__").replace(".", "__").upper()
    text = SMALLEST
    try:
        load(text, **{variable: "1"})
    except SettingsFault as fault:
        told = str(fault)
    else:
        told = ""
    assert f"{variable}: unknown" not in told
    assert (f"{variable}: {setting.key} is a list" in told) == setting.type.startswith("list")


def test_secrets_come_from_three_places(load: Load, tmp_path: Path) -> None:
    """A secret is a literal, an environment variable, or a file beside the configuration."""
    (tmp_path / "secret").write_text("from-file \r\n")
    text = SMALLEST + 'basic = { username = "erp1", password = { file = "secret" } }\n'
    settings = load(text)
    sender = settings.senders[0]
    assert settings.organizations[0].client_secret.get_secret_value() == "literal-secret"
    assert sender.bearer is not None
    assert sender.basic is not None
    assert sender.bearer.get_secret_value() == "token-secret"
    assert sender.basic.password.get_secret_value() == "from-file "


def test_secrets_are_not_shown(load: Load) -> None:
    """Neither repr nor str of the settings shows a secret, nor a database address, which may hold one."""
    settings = load(SMALLEST, BRIDGE__STORAGE__URL="postgresql://bridge:db-secret@db/bridge")
    shown = f"{settings!r} {settings}"
    assert [value for value in ("literal-secret", "token-secret", "db-secret") if value in shown] == []


def test_organization_ids_are_spelt_alike(load: Load) -> None:
    """Upper-case UUIDs name the same organization."""
    settings = load(SMALLEST.replace(f'["{ORGANIZATION}"]', f'["{ORGANIZATION.upper()}"]'))
    assert settings.senders[0].organizations == (ORGANIZATION,)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///../x.db", "sqlite:///{parent}/x.db"),
        ("sqlite:////srv/x.db", "sqlite:////srv/x.db"),
        ("postgres://h/db", "postgres://h/db"),
    ],
)
def test_storage_addresses(load: Load, tmp_path: Path, url: str, expected: str) -> None:
    """Three slashes are relative to the file, four absolute; PostgreSQL addresses stay as they are."""
    settings = load(f'[storage]\nurl = "{url}"\n{SMALLEST}')
    assert settings.storage.url == expected.format(parent=tmp_path.parent)


def test_byte_order_mark(load: Load) -> None:
    """A file saved with a byte-order mark is read."""
    assert load("\ufeff" + SMALLEST).senders[0].id == "ERP-1"


def test_addresses_lose_their_trailing_slash(load: Load) -> None:
    """Paths are appended to addresses, so a trailing slash goes."""
    assert load(f'[modern]\nbase_url = "http://h/v1/"\n{SMALLEST}').modern.base_url == "http://h/v1"


def test_ipv6_loopback_may_be_anonymous(load: Load) -> None:
    """Every spelling of this machine counts as loopback."""
    for host in ("::1", "localhost", "127.0.0.7"):
        assert load(f'[server]\nhost = "{host}"\n{SMALLEST}anonymous = true\n').senders[0].anonymous


def test_senders_may_share_credentials(load: Load) -> None:
    """Two senders may have the same credentials: their senderid tells them apart (contract, 2.1)."""
    second = SMALLEST[SMALLEST.index("[[sender]]") :].replace("ERP-1", "ERP-2")
    assert len(load(SMALLEST + second).senders) == 2


@pytest.mark.parametrize("name", ["local", "docker", "production.example"])
def test_shipped_configurations_load(name: str) -> None:
    """Each configuration in config/ loads once its secrets are there."""
    password_file = {"BRIDGE__SENDER__0__BASIC__PASSWORD": "e"} if name == "production.example" else {}
    settings = load_settings(CONFIG / f"{name}.toml", SECRETS | password_file)
    assert settings.mappings.folder == CONFIG.parent / "mappings"
    assert settings.organizations[0].creditors == ("984842252",)


def test_local_configuration_needs_nothing() -> None:
    """config/local.toml works on a fresh clone: no environment, the sandbox's address, an anonymous sender."""
    settings = load_settings(CONFIG / "local.toml", {})
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8080)
    assert settings.modern.base_url == "http://127.0.0.1:8090/collection/v1"
    assert settings.modern.token_url == "http://127.0.0.1:8090/token"
    assert settings.storage.url == f"sqlite:///{CONFIG.parent}/var/bridge.db"
    assert [(s.id, s.profile, s.anonymous) for s in settings.senders] == [
        ("ERP-1", "autocollect", True),
        ("ERP-2", "classic", False),
    ]


def test_every_setting_is_described() -> None:
    """Each setting has a key of its own, a type, a default and a meaning."""
    settings = describe_settings()
    assert all(all(setting) for setting in settings)
    assert len({setting.key for setting in settings}) == len(settings)
    assert Setting("server.port", "whole number", "8080", "port the bridge listens on") in settings
    by_key = {setting.key: setting for setting in settings}
    assert by_key["sender[].basic.password"][1:3] == ("secret", "required")
    assert by_key["sender[].batchid"][1:3] == ('"unique" or "label"', '"unique"')
    assert by_key["modern.webhook_secrets"][1:3] == ("list of secrets", "[]")
    assert by_key["sender[].anonymous"][1:3] == ("true or false", "false")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "env", "x"]), inner, max_size=2),
    max_leaves=4,
)
counter = itertools.count()


def as_toml(value: Any) -> str:
    """Write a value as inline TOML."""
    match value:
        case None:
            return '""'
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case str():
            return '"' + "".join(f"\\U{ord(c):08X}" for c in value if not 0xD800 <= ord(c) <= 0xDFFF) + '"'
        case list():
            return "[" + ", ".join(map(as_toml, value)) + "]"
        case _:
            return "{" + ", ".join(f"{key} = {as_toml(item)}" for key, item in value.items()) + "}"


@given(
    key=st.sampled_from(["server", "storage", "modern", "mappings", "organization", "sender", "other"]),
    value=values,
)
def test_any_value_anywhere_is_a_fault_or_fine(tmp_path_factory: pytest.TempPathFactory, key: str, value: Any) -> None:
    """Whatever stands at the top of a file, the answer is settings or a SettingsFault, never another error."""
    path = tmp_path_factory.getbasetemp() / f"{next(counter)}.toml"
    rest = SMALLEST if key not in {"organization", "sender"} else ""
    path.write_text(f"{key} = {as_toml(value)}\n{rest}", encoding="utf-8")
    try:
        load_settings(path, {"TOKEN": "x", "BRIDGE__SENDER__0__HOLD_SECONDS": "1", "BRIDGE__SERVER__PORT": "1"})
    except SettingsFault as fault:
        assert str(path) in str(fault)  # noqa: PT017  # both ends are right
    finally:
        path.unlink()
