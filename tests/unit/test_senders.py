"""Who is calling: fixed credentials, several senders, anonymous ones."""

import base64
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bridge.errors import CallerError, NotAllowed, NotAuthenticated
from bridge.senders import NAME_ONE, Sender, Senders
from bridge.settings import load_settings

ORGANIZATION = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
HEAD = f'[[organization]]\nid = "{ORGANIZATION}"\nclient_id = "c"\nclient_secret = "s"\n'
Open = Callable[..., Senders]


def table(sender_id: str, how: str) -> str:
    """Return a [[sender]] table."""
    return f'[[sender]]\nid = "{sender_id}"\norganizations = ["{ORGANIZATION}"]\n{how}\n'


def basic(pair: str, encoding: str = "utf-8") -> str:
    """Return an HTTP Basic header."""
    return "Basic " + base64.b64encode(pair.encode(encoding)).decode()


ERP_1 = table("ERP-1", 'basic = { username = "erp1", password = "pæss:word" }\nbearer = "token-1"')
ERP_2 = table("ERP-2", 'bearer = "token-2"\nbatchid = "label"\nhold_seconds = 3\nresend_window_hours = 0')
SHARED = table("A", 'bearer = "shared"') + table("B", 'bearer = "shared"')
OPEN = table("OPEN", "anonymous = true")


async def refuse_to_fetch(url: str) -> object:
    """Stand in for the network where nothing may be fetched."""
    raise AssertionError(url)


@pytest.fixture(scope="module")
def open_senders(tmp_path_factory: pytest.TempPathFactory) -> Open:
    """Return senders configured by text."""

    def _open(*tables: str) -> Senders:
        path: Path = tmp_path_factory.mktemp("senders") / "bridge.toml"
        path.write_text(HEAD + "".join(tables), encoding="utf-8")
        return Senders(load_settings(path, {}), refuse_to_fetch, time.monotonic)

    return _open


@pytest.mark.parametrize(
    "header",
    [
        basic("erp1:pæss:word"),
        basic("erp1:pæss:word", "latin-1"),
        basic("erp1:pæss:word").replace("Basic ", "bAsIc   ") + " ",
        "Bearer token-1",
        "bearer token-1",
    ],
)
@pytest.mark.parametrize("senderid", ["ERP-1", " ERP-1 ", "", " ", None])
async def test_right_credentials(open_senders: Open, header: str, senderid: str | None) -> None:
    """Basic in UTF-8 or latin-1 and Bearer are taken; senderid may be left out when they fit one sender."""
    sender = await open_senders(ERP_1, ERP_2).identify(senderid, header)
    assert sender == Sender("ERP-1", "autocollect", (ORGANIZATION,), 25, "unique", 24)


async def test_what_was_agreed_with_a_sender(open_senders: Open) -> None:
    """A sender carries its own settings, and none of its secrets."""
    senders = open_senders(ERP_1, ERP_2)
    sender = await senders.identify(None, "Bearer token-2")
    assert sender == Sender("ERP-2", "autocollect", (ORGANIZATION,), 3, "label", 0)
    assert "token" not in repr(sender)
    assert senders.find("ERP-2") == sender
    assert senders.find("ERP-3") is None
    assert [each.id for each in senders.senders] == ["ERP-1", "ERP-2"]


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Basic æ",
        "Basic " + base64.b64encode(b"erp1").decode(),
        basic("erp1:wrong"),
        basic("erp1:pæss:word").replace("Basic ", "Basic !"),
        basic("other:pæss:word"),
        basic(":"),
        "Bearer",
        "Bearer wrong",
        "Bearer token-1 x",
        "Bearer a.b.c",
        "Digest token-1",
        "token-1",
        basic("token-1").replace("Basic", "Bearer"),
    ],
)
@pytest.mark.parametrize("senderid", ["ERP-1", "", "erp-1", "NOBODY"])
async def test_wrong_credentials(open_senders: Open, header: str | None, senderid: str) -> None:
    """Wrong or missing credentials are not authenticated, whatever the senderid."""
    with pytest.raises(NotAuthenticated):
        await open_senders(ERP_1, ERP_2).identify(senderid, header)


async def test_unknown_sender_and_wrong_password_look_alike(open_senders: Open) -> None:
    """An unknown senderid is answered like a wrong password, even beside valid credentials."""
    answers = set()
    for senderid, header in (("NOBODY", "Bearer token-1"), ("NOBODY", None), ("ERP-1", "Bearer wrong")):
        with pytest.raises(NotAuthenticated) as caught:
            await open_senders(ERP_1, ERP_2).identify(senderid, header)
        answers.add(str(caught.value))
    assert len(answers) == 1


async def test_credentials_of_another_sender(open_senders: Open) -> None:
    """Valid credentials of another sender are known but not allowed."""
    with pytest.raises(NotAllowed, match="do not belong to this sender"):
        await open_senders(ERP_1, ERP_2).identify("ERP-2", "Bearer token-1")


async def test_shared_credentials(open_senders: Open) -> None:
    """Senders with the same credentials are told apart by senderid, which must then be there."""
    senders = open_senders(SHARED, ERP_1)
    for name in ("A", "B"):
        assert (await senders.identify(name, "Bearer shared")).id == name
    with pytest.raises(NotAllowed, match=NAME_ONE):
        await senders.identify("", "Bearer shared")


@pytest.mark.parametrize("header", [None, "Bearer <token>", "Bearer token-1", "Basic !!!", "nonsense"])
async def test_anonymous_sender_by_name(open_senders: Open, header: str | None) -> None:
    """A named anonymous sender is accepted whatever it sends."""
    assert (await open_senders(ERP_1, OPEN).identify("OPEN", header)).id == "OPEN"


async def test_anonymous_sender_left_out(open_senders: Open) -> None:
    """Without senderid, credentials decide; only where none match it is the anonymous sender."""
    senders = open_senders(ERP_1, OPEN)
    assert (await senders.identify(None, "Bearer token-1")).id == "ERP-1"
    assert (await senders.identify(None, "Bearer <token>")).id == "OPEN"
    assert (await senders.identify("", None)).id == "OPEN"


async def test_two_anonymous_senders(open_senders: Open) -> None:
    """Several anonymous senders must be named."""
    senders = open_senders(OPEN, table("OPEN-2", "anonymous = true"))
    with pytest.raises(NotAllowed, match=NAME_ONE):
        await senders.identify(None, None)


async def test_anonymity_does_not_spread(open_senders: Open) -> None:
    """Beside an anonymous sender the others still need their credentials."""
    with pytest.raises(NotAuthenticated):
        await open_senders(ERP_1, OPEN).identify("ERP-1", None)


async def test_every_secret_is_compared(open_senders: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A match ends nothing early: each configured secret of the scheme is compared, in constant time."""
    compared: list[int] = []
    senders = open_senders(ERP_1, ERP_2, SHARED)

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(len(one))
        return one == other

    monkeypatch.setattr("hmac.compare_digest", compare)
    await senders.identify("ERP-1", "Bearer token-1")
    assert compared == [32] * 4


@given(senderid=st.none() | st.text(max_size=5), header=st.none() | st.text() | st.text().map("Bearer {}".format))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
async def test_nothing_sent_by_a_stranger_gets_in(open_senders: Open, senderid: str | None, header: str | None) -> None:
    """Arbitrary text is answered with an error of the caller, never with another one."""
    with pytest.raises(CallerError):
        await open_senders(ERP_1).identify(senderid, header)


async def test_fixed_credentials_are_fast(open_senders: Open) -> None:
    """Checking fixed credentials of a hundred senders stays in the microseconds (bound with much room to spare)."""
    senders = open_senders(*(table(f"S{n}", f'basic = {{ username = "u{n}", password = "p" }}') for n in range(100)))
    header = basic("u99:p")
    started = time.process_time()
    for _ in range(1000):
        await senders.identify("S99", header)
    assert time.process_time() - started < 0.4
