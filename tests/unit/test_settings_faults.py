"""Faults of a configuration: each names the file, the key and the remedy, and all are told at once."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from bridge.errors import SettingsFault
from bridge.settings import ServerSettings, Settings, describe_settings, load_settings
from bridge.settings.sources import Sources
from bridge.wording import WORDINGS, word_error

NORDLYS, OTHER = "3fa85f64-5717-4562-b3fc-2c963f66afa6", "7c9e6679-7425-40de-944b-e07fc1f90ae7"

A_LIST = "is a list, and no variable can set a list, nor one value of it; write it in the file"


def organization(id_: str = NORDLYS, more: str = 'creditors = ["984842252"]') -> str:
    """Return an [[organization]] table."""
    return f'[[organization]]\nid = "{id_}"\nclient_id = "nordlys"\nclient_secret = "s1"\n{more}\n'


def sender(id_: str = "ERP-1", more: str = 'bearer = "s2"', organizations: str = NORDLYS) -> str:
    """Return a [[sender]] table."""
    return f'[[sender]]\nid = "{id_}"\norganizations = ["{organizations}"]\n{more}\n'


Complain = Callable[..., list[str]]


@pytest.fixture
def complain(tmp_path: Path) -> Complain:
    """Load a configuration that has faults and return the message without its first line, after checking that one."""

    def _complain(text: str, **environ: str) -> list[str]:
        path = tmp_path / "bridge.toml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SettingsFault) as caught:
            load_settings(path, environ)
        head, *lines = str(caught.value).splitlines()
        assert head.startswith(f"{path}: ")
        return lines or [head]

    return _complain


GOOD = organization() + sender()


JUNK: tuple[object, ...] = (True, 7, 7.5, float("nan"), -1, 10**9, "", "jünk", [], [[1]], {}, {"junk": 1})
LOOPBACK_ONLY = (
    "sender[0].anonymous: is allowed only while server.host is a loopback address; set server.host to 127.0.0.1, "
    "or give the sender credentials and remove anonymous"
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[server]\nprot = 1\n" + GOOD, "server.prot: unknown; did you mean port?"),
        (
            "[storage]\nqqq = 1\n" + GOOD,
            "storage.qqq: unknown; known here: retention_days, url",
        ),
        ("[sever]\n" + GOOD, "sever: unknown; did you mean server?"),
        ("[[organizations]]\n" + GOOD, "organizations: unknown; did you mean organization?"),
        (GOOD + "hold_second = 3\n", "sender[0].hold_second (ERP-1): unknown; did you mean hold_seconds?"),
        (
            organization() + sender(more='basic = {username = "u", pasword = "p", password = "p"}'),
            "sender[0].basic.pasword (ERP-1): unknown; did you mean password?",
        ),
        ('[server]\nport = "80"\n' + GOOD, "server.port: must be a whole number, without quotes"),
        ("[server]\nport = true\n" + GOOD, "server.port: must be a whole number, without quotes"),
        ("[server]\nport = 0\n" + GOOD, "server.port: must be 1 or more"),
        ("[server]\nport = 65536\n" + GOOD, "server.port: must be 65535 or less"),
        ("[server]\nmax_body_mb = 0\n" + GOOD, "server.max_body_mb: must be more than 0"),
        ("[server]\ndrain_seconds = nan\n" + GOOD, "server.drain_seconds: must be a finite number"),
        ("[server]\nhost = 1\n" + GOOD, "server.host: must be text in quotes"),
        ('[server]\nhost = " "\n' + GOOD, "server.host: must not be empty"),
        ('[modern]\nsettle_seconds = "1"\n' + GOOD, "modern.settle_seconds: must be a number, without quotes"),
        ("[modern]\nmax_rows_per_call = 0\n" + GOOD, "modern.max_rows_per_call: must be more than 0"),
        ("[modern]\nwebhook_secrets = 3\n" + GOOD, "modern.webhook_secrets: must be a list in square brackets"),
        (
            '[modern]\nbase_url = "api.amili.no"\n' + GOOD,
            "modern.base_url: must be an address that starts with https:// or http:// and names a host",
        ),
        (
            '[modern]\nidempotency_header = "a: b"\n' + GOOD,
            "modern.idempotency_header: is not written as it must be here: ^[A-Za-z0-9-]+$ (a regular expression)",
        ),
        (
            '[storage]\nurl = "sqlite:///"\n' + GOOD,
            "storage.url: must be sqlite:///relative/file, sqlite:////absolute/file or postgresql://user@host/database",
        ),
        ("[mappings]\nfolder = 1\n" + GOOD, "mappings.folder: must be a path, as text in quotes"),
        ("server = 1\n" + GOOD, "server: must be a table"),
        (
            '[sender]\nid = "ERP-1"\n' + organization(),
            "sender: must be a list of tables; write [[sender]] in double brackets",
        ),
        ("sender = [1]\n" + organization(), "sender[0]: must be a table"),
        (organization(), "sender: there is none; add a [[sender]] table"),
        (sender(), "organization: there is none; add a [[organization]] table"),
        (GOOD + 'anonymous = "yes"\n', "sender[0].anonymous (ERP-1): must be true or false"),
        (GOOD + 'batchid = "often"\n', "sender[0].batchid (ERP-1): must be 'unique' or 'label'"),
        (
            GOOD + 'profile = "../x"\n',
            "sender[0].profile (ERP-1): is not written as it must be here: ^[A-Za-z0-9_-]+$ (a regular expression)",
        ),
        (
            organization() + sender(more="bearer = {}"),
            'sender[0].bearer (ERP-1): must be text, { env = "NAME" } or { file = "path" }',
        ),
        (organization() + sender(more='bearer = ""'), "sender[0].bearer (ERP-1): is empty; give the secret a value"),
        (
            organization() + sender(more='bearer = { env = "NOPE" }'),
            (
                "sender[0].bearer (ERP-1): the environment variable NOPE is not set; set it before the start, or name "
                "another source"
            ),
        ),
        (
            organization() + sender(more='basic = { username = "a:b", password = "p" }'),
            "sender[0].basic.username (ERP-1): is not written as it must be here: ^[^:]*$ (a regular expression)",
        ),
        (
            organization() + sender(more='jwt = { jwks_url = "https://h" }'),
            "sender[0].jwt.issuer (ERP-1): is missing; add it",
        ),
        (organization() + sender(more=""), "sender[0]: has no way to show who it is; add basic, bearer or jwt"),
        (
            organization() + sender(more="anonymous = false"),
            "sender[0]: has no way to show who it is; add basic, bearer or jwt",
        ),
        (
            organization("3fa85f64") + sender(),
            "organization[0].id (3fa85f64): must be a UUID such as 3fa85f64-5717-4562-b3fc-2c963f66afa6",
        ),
        (
            organization("{3fa85f6457174562b3fc2c963f66afa6}") + sender(),
            (
                "organization[0].id ({3fa85f6457174562b3fc2c963f66afa6}): must be a UUID such as "
                "3fa85f64-5717-4562-b3fc-2c963f66afa6"
            ),
        ),
        (
            organization(more="creditors = [984842252]") + sender(),
            f"organization[0].creditors[0] ({NORDLYS}): must be text in quotes",
        ),
        (
            organization() + organization(NORDLYS.upper(), "") + sender(),
            (
                f"organization.id: {NORDLYS} stands in organization[0] and organization[1]; "
                "give each organization an id of its own"
            ),
        ),
        (
            organization() + organization(OTHER, 'creditors = ["1", " 984842252"]') + sender(),
            (
                "organization.creditors: 984842252 is claimed by organization[0] and organization[1]; "
                "leave it with the one that owns it"
            ),
        ),
        (
            organization() + sender() + sender(),
            "sender.id: ERP-1 stands in sender[0] and sender[1]; give each sender an id of its own",
        ),
        (
            organization() + sender(organizations=OTHER),
            (
                f"sender[0].organizations[0]: {OTHER} is no organization of this file; "
                "add an [[organization]] table or correct the id"
            ),
        ),
        (
            '[server]\nhost = "0.0.0.0"\n' + organization() + sender(more="anonymous = true"),
            LOOPBACK_ONLY,
        ),
        (
            '[server]\nhost = "bridge.example"\n' + GOOD + "anonymous = true\n",
            LOOPBACK_ONLY,
        ),
    ],
)
def test_fault(complain: Complain, text: str, line: str) -> None:
    """A fault is told under its key, with what to do about it."""
    assert line in complain(text)


def test_secret_file_faults(complain: Complain, tmp_path: Path) -> None:
    """A secret file that is missing or not text is named, and its content is not."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, reason in (("nope", "No such file or directory"), ("binary", "it is not UTF-8 text")):
        (line,) = complain(organization() + sender(more=f'bearer = {{ file = "{name}" }}'))
        wanted = f"the file {tmp_path / name} cannot be read ({reason}); create it, or name another source"
        assert line == f"sender[0].bearer (ERP-1): {wanted}"


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("BRIDGE__SERVER__PROT", "1", "unknown; did you mean BRIDGE__SERVER__PORT?"),
        ("BRIDGE__SERVER__PORT", "many", "must be a whole number"),
        ("BRIDGE__SERVER__PORT", "70000", "must be 65535 or less"),
        ("BRIDGE__MODERN__SETTLE_SECONDS", "soon", "must be a number"),
        ("BRIDGE__SENDER__0__ANONYMOUS", "perhaps", "must be true or false"),
        ("BRIDGE__SENDER__7__ID", "x", "there is no sender[7] in the file; the first one is number 0"),
        ("BRIDGE__SENDER__0__BEARER", "", "is empty; give the secret a value"),
        ("BRIDGE__MODERN__WEBHOOK_SECRETS", "x", f"modern.webhook_secrets {A_LIST}"),
        ("BRIDGE__MODERN__WEBHOOK_SECRETS__0", "x", f"modern.webhook_secrets {A_LIST}"),
        ("BRIDGE__ORGANIZATION__0__CREDITORS__0", "1", f"organization[].creditors {A_LIST}"),
        ("BRIDGE__SENDER__ORGANIZATIONS", "x", "unknown; did you mean BRIDGE__SENDER__0__ANONYMOUS?"),
    ],
)
def test_environment_fault(complain: Complain, variable: str, value: str, text: str) -> None:
    """A fault of a variable is told under the variable's name."""
    (line,) = complain(GOOD, **{variable: value})
    assert line == f"{variable}: {text}"


def test_environment_over_a_file_without_the_table(complain: Complain) -> None:
    """A variable cannot reach into what the file spells as something else; the file's own fault is told."""
    assert "server: must be a table" in complain("server = 3\n" + GOOD, BRIDGE__SERVER__PORT="1")
    odd = "sender = [1]\n" + organization()
    assert "sender[0]: must be a table" in complain(odd, BRIDGE__SENDER__0__BASIC__USERNAME="u")


def test_anonymous_override_is_checked(complain: Complain) -> None:
    """The loopback rule looks at what the environment makes of the host."""
    lines = complain(organization() + sender(more="anonymous = true"), BRIDGE__SERVER__HOST="0.0.0.0")
    assert lines[0].startswith("sender[0].anonymous: is allowed only while")


def test_all_faults_at_once(complain: Complain) -> None:
    """One start tells every fault: keys, types, secrets, and what does not fit together."""
    lines = complain(
        "[server]\nport = 0\nprot = 1\n"
        + organization(more="name = 1")
        + sender(organizations=OTHER)
        + sender(more=""),
        BRIDGE__NOPE="1",
    )
    keys = [line.partition(": ")[0] for line in lines]
    assert keys == [
        "BRIDGE__NOPE",
        "server.port",
        "server.prot",
        f"organization[0].name ({NORDLYS})",
        "sender.id",
        "sender[0].organizations[0]",
        "sender[1]",
    ]


def test_count_of_faults(tmp_path: Path) -> None:
    """The first line says how many faults there are."""
    path = tmp_path / "x.toml"
    for text, count in (
        ("[server]\nport = 0\n", "one fault"),
        ("[server]\nport = 0\ndrain_seconds = -1\n", "2 faults"),
    ):
        path.write_text(text + GOOD)
        with pytest.raises(SettingsFault, match=f"{count} to put right"):
            load_settings(path, {})


def test_missing_file(tmp_path: Path) -> None:
    """A missing file says how to name one."""
    with pytest.raises(SettingsFault, match=r"nope\.toml: cannot be read .* --config or BRIDGE_CONFIG"):
        load_settings(tmp_path / "nope.toml", {})


def test_toml_syntax(complain: Complain) -> None:
    """A syntax error is told with its line."""
    (line,) = complain("[server]\nport = = 3\n")
    assert "is not valid TOML" in line
    assert "line 2" in line


def test_not_utf8(tmp_path: Path) -> None:
    """A file in another encoding says so."""
    path = tmp_path / "x.toml"
    path.write_bytes(b'name = "\xf8"')
    with pytest.raises(SettingsFault, match=r"is not UTF-8 text \(byte 8\)"):
        load_settings(path, {})


def test_no_secret_in_a_fault(complain: Complain) -> None:
    """No fault repeats the value of a secret or of a wrong setting."""
    lines = complain(
        organization(more='client_secrt = "hush"').replace('"s1"', "12345678")
        + sender(more='basic = { username = "u", password = 87654321 }\nbearer = { env = "A", b = "hush" }'),
        BRIDGE__SERVER__PORT="hush",
    )
    assert not any(value in line for line in lines for value in ("hush", "12345678", "87654321"))


def test_pydantic_keeps_values_to_itself() -> None:
    """Even where one of pydantic's own errors came through, it would not show what was in the file."""
    with pytest.raises(ValidationError) as caught:
        ServerSettings.model_validate({"port": "hush"})
    assert "hush" not in str(caught.value)


def test_whatever_stands_in_a_file_is_told_in_our_words() -> None:
    """Each setting is replaced by every kind of thing: whatever pydantic finds has a wording of ours."""
    found = {kind for setting in describe_settings() for junk in JUNK for kind in find_kinds(setting.key, junk)}
    assert len(found) > 10
    assert found - {"extra_forbidden"} <= WORDINGS.keys()


def find_kinds(key: str, junk: object) -> set[str]:
    """Return what pydantic finds in a configuration that says nothing but one thing, which is wrong."""
    document: object = junk
    for name in reversed(key.split(".")):
        document = {name.removesuffix("[]"): [document] if name.endswith("[]") else document}
    try:
        Settings.model_validate(document, context=Sources(Path(), {}))
    except ValidationError as error:
        return {found["type"] for found in error.errors()}
    return set()


def test_unforeseen_findings_are_told() -> None:
    """A finding of pydantic that has no wording of ours keeps pydantic's."""
    assert word_error({"type": "new_one", "loc": (), "msg": "Input is odd", "input": None}) == "Input is odd"
