"""Signed tokens: only genuine ones of the right issuer, audience and sender; keys are fetched sparingly."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bridge.errors import CannotTakeNow, NotAllowed, NotAuthenticated, VendorError
from bridge.senders import Senders
from bridge.settings import load_settings

ORGANIZATION = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
URL, OTHER_URL = "https://auth.example/keys", "https://other.example/keys"
RSA, RSA_2 = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
EC = ec.generate_private_key(ec.SECP256R1())
CLAIMS = {"iss": "https://auth.example", "aud": "bridge", "sub": "ERP-1", "exp": 4_102_444_800}


def sender(sender_id: str, url: str = URL, issuer: str = "https://auth.example", claim: str = "sub") -> str:
    """Return a [[sender]] table with an issuer."""
    return (
        f'[[sender]]\nid = "{sender_id}"\norganizations = ["{ORGANIZATION}"]\n'
        f'jwt = {{ jwks_url = "{url}", issuer = "{issuer}", audience = "bridge", claim = "{claim}" }}\n'
    )


def public(key: Any, kid: str | None = "k1", **more: Any) -> dict[str, Any]:
    """Return the public half of a key as JWK."""
    algorithm = (
        jwt.algorithms.ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else jwt.algorithms.RSAAlgorithm
    )
    return algorithm.to_jwk(key.public_key(), as_dict=True) | ({} if kid is None else {"kid": kid}) | more


def sign(key: Any = RSA, algorithm: str = "RS256", kid: str | None = "k1", **claims: Any) -> str:
    """Return an Authorization header with a token; a claim given as None is left out."""
    content = {name: value for name, value in (CLAIMS | claims).items() if value is not None}
    return "Bearer " + jwt.encode(content, key, algorithm, headers={} if kid is None else {"kid": kid})


class Issuer:
    """Gives out keys by address, counts how often, and can be out of order."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {URL: {"keys": [public(RSA)]}, OTHER_URL: {"keys": [public(RSA_2)]}}
        self.asked: list[str] = []
        self.fault: Exception | None = None
        self.now = 1000.0

    async def fetch(self, url: str) -> Any:
        """Return a key set."""
        self.asked.append(url)
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        return self.keys[url]


Open = Callable[..., Senders]


@pytest.fixture
def issuer() -> Issuer:
    """Return an issuer in working order."""
    return Issuer()


@pytest.fixture
def open_senders(tmp_path: Path, issuer: Issuer) -> Open:
    """Return senders configured by text, whose keys come from the issuer."""

    def _open(*tables: str) -> Senders:
        path = tmp_path / "bridge.toml"
        organization = f'[[organization]]\nid = "{ORGANIZATION}"\nclient_id = "c"\nclient_secret = "s"\n'
        path.write_text(organization + "".join(tables or (sender("ERP-1"), sender("ERP-2"))))
        return Senders(load_settings(path, {}), issuer.fetch, lambda: issuer.now)

    return _open


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
async def test_rsa_tokens(open_senders: Open, algorithm: str) -> None:
    """A token signed with an RSA key is taken, with or without senderid."""
    for senderid in ("ERP-1", None):
        assert (await open_senders().identify(senderid, sign(algorithm=algorithm))).id == "ERP-1"


@pytest.mark.parametrize(
    ("curve", "algorithm"), [(ec.SECP256R1(), "ES256"), (ec.SECP384R1(), "ES384"), (ec.SECP521R1(), "ES512")]
)
async def test_elliptic_tokens(open_senders: Open, issuer: Issuer, curve: Any, algorithm: str) -> None:
    """A token signed with an elliptic curve key is taken."""
    key = ec.generate_private_key(curve)
    issuer.keys[URL] = {"keys": [public(key)]}
    assert (await open_senders().identify("ERP-1", sign(key, algorithm))).id == "ERP-1"


async def test_token_of_another_sender(open_senders: Open) -> None:
    """A genuine token of another sender is known but not allowed."""
    with pytest.raises(NotAllowed):
        await open_senders().identify("ERP-2", sign())


async def test_another_claim(open_senders: Open) -> None:
    """The claim that names the sender is configurable, and no other claim stands in for it."""
    senders = open_senders(sender("ERP-1", claim="azp"))
    assert (await senders.identify("ERP-1", sign(azp="ERP-1", sub="x"))).id == "ERP-1"
    for claims in ({}, {"azp": 1}, {"azp": "ERP-2"}, {"azp": ["ERP-1"]}):
        with pytest.raises(NotAuthenticated):
            await senders.identify("ERP-1", sign(**claims))


async def test_a_number_names_nobody(open_senders: Open) -> None:
    """A claim must be text: the number 7 is not the sender "7"."""
    senders = open_senders(sender("7", claim="azp"))
    assert (await senders.identify("7", sign(azp="7"))).id == "7"
    with pytest.raises(NotAuthenticated):
        await senders.identify("7", sign(azp=7))


@pytest.mark.parametrize(
    "header",
    [
        sign(RSA_2),
        sign(exp=1),
        sign(exp=None),
        sign(nbf=4_102_444_000),
        sign(aud="other"),
        sign(aud=None),
        sign(iss="https://evil.example"),
        sign(iss=None),
        sign(sub=None),
        sign(sub="ERP-9"),
        sign(EC, "ES256"),
        sign("a" * 64, "HS256"),
        sign("a" * 64, "HS256", kid=None),
        "Bearer " + jwt.encode(CLAIMS, "", "none", headers={"kid": "k1"}),
        sign(padding="x" * 20_000),
        sign() + "x",
        sign()[:-8],
        sign().replace(".", "..", 1),
        "Bearer " + sign().removeprefix("Bearer ").split(".")[0] + ".e30.x",
        "Bearer \udcff.\udcff.\udcff",
        "Bearer a." + "b" * 20_000 + ".c",
        sign().replace("Bearer", "Basic"),
    ],
)
@pytest.mark.parametrize("senderid", ["ERP-1", None])
async def test_tokens_that_are_not_genuine(open_senders: Open, header: str, senderid: str | None) -> None:
    """A token that is forged, expired, early, unsigned, broken, or meant for others is not authenticated."""
    with pytest.raises(NotAuthenticated):
        await open_senders().identify(senderid, header)


async def test_public_key_as_shared_secret(open_senders: Open, issuer: Issuer) -> None:
    """A symmetric key in a key set is never used."""
    issuer.keys[URL] = {"keys": [{"kty": "oct", "k": "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE", "kid": "k1"}]}
    with pytest.raises(NotAuthenticated):
        await open_senders().identify("ERP-1", sign("a" * 32, "HS256"))


@pytest.mark.parametrize(
    ("entry", "accepted"),
    [
        (public(RSA, alg="RS256"), True),
        (public(RSA, alg="PS256"), False),
        (public(RSA, use="sig"), True),
        (public(RSA, use="enc"), False),
        (public(RSA) | {"n": "AQAB"}, False),
        (public(RSA) | {"n": 3}, False),
        ({"kty": "EC", "crv": "P-256", "x": "x", "y": "y", "kid": "k1"}, False),
        ({"kid": "k1"}, False),
        ("k1", False),
    ],
)
async def test_what_a_key_may_be_used_for(open_senders: Open, issuer: Issuer, entry: Any, accepted: bool) -> None:
    """A key serves the algorithm and use it is declared for; entries that are no usable key are passed over."""
    issuer.keys[URL] = {"keys": [entry, public(RSA_2, "k2")]}
    senders = open_senders()
    if accepted:
        assert (await senders.identify("ERP-1", sign())).id == "ERP-1"
    else:
        with pytest.raises(NotAuthenticated):
            await senders.identify("ERP-1", sign())
    assert (await senders.identify("ERP-1", sign(RSA_2, kid="k2"))).id == "ERP-1"


async def test_short_keys_are_refused(open_senders: Open, issuer: Issuer) -> None:
    """A key too short to be safe is not used."""
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    issuer.keys[URL] = {"keys": [public(short)]}
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        token = sign(short)
    with pytest.raises(NotAuthenticated):
        await open_senders().identify("ERP-1", token)


async def test_tokens_without_key_id(open_senders: Open, issuer: Issuer) -> None:
    """A token that names no key is checked with the only key there is, and with none where there are several."""
    senders = open_senders()
    assert (await senders.identify("ERP-1", sign(kid=None))).id == "ERP-1"
    issuer.keys[URL] = {"keys": [public(RSA, None), public(RSA_2, "k2")]}
    issuer.now += 1000
    with pytest.raises(NotAuthenticated):
        await senders.identify("ERP-1", sign(kid=None))


async def test_keys_are_fetched_once(open_senders: Open, issuer: Issuer) -> None:
    """Many calls at once and many after each other cost one fetch."""
    senders = open_senders()
    await asyncio.gather(*(senders.identify("ERP-1", sign()) for _ in range(10)))
    await senders.identify("ERP-2", sign(sub="ERP-2"))
    assert issuer.asked == [URL]


async def test_keys_are_fetched_again_after_a_while(open_senders: Open, issuer: Issuer) -> None:
    """A key that was withdrawn is good for ten minutes at most."""
    senders = open_senders()
    await senders.identify("ERP-1", sign())
    issuer.keys[URL] = {"keys": [public(RSA_2, "k2")]}
    issuer.now += 601
    with pytest.raises(NotAuthenticated):
        await senders.identify("ERP-1", sign())
    assert len(issuer.asked) == 2


async def test_an_unknown_key_is_asked_for_once_a_minute(open_senders: Open, issuer: Issuer) -> None:
    """A new key is found by asking again; strangers with made-up key ids cannot make the bridge ask all the time."""
    senders = open_senders()
    await senders.identify("ERP-1", sign())
    issuer.keys[URL]["keys"].append(public(RSA_2, "k2"))
    for wait, fetches, accepted in ((30, 1, False), (29, 1, False), (2, 2, True), (0, 2, True)):
        issuer.now += wait
        if accepted:
            assert (await senders.identify("ERP-1", sign(RSA_2, kid="k2"))).id == "ERP-1"
        else:
            with pytest.raises(NotAuthenticated):
                await senders.identify("ERP-1", sign(RSA_2, kid="k2"))
        assert len(issuer.asked) == fetches


@pytest.mark.parametrize("fault", [OSError("refused"), TimeoutError(), ValueError("not JSON"), VendorError("down")])
async def test_issuer_out_of_order(open_senders: Open, issuer: Issuer, fault: Exception) -> None:
    """While keys cannot be fetched a token is neither good nor bad: come back later; the issuer gets a pause."""
    senders = open_senders()
    issuer.fault = fault
    for _ in range(2):
        with pytest.raises(CannotTakeNow, match="send the same batch again later"):
            await senders.identify("ERP-1", sign())
    assert len(issuer.asked) == 1
    issuer.fault = None
    issuer.now += 6
    assert (await senders.identify("ERP-1", sign())).id == "ERP-1"


async def test_issuer_out_of_order_keeps_known_keys(open_senders: Open, issuer: Issuer) -> None:
    """Tokens with a key that is known are taken while the issuer is out of order; one with an unknown key must wait."""
    senders = open_senders()
    await senders.identify("ERP-1", sign())
    issuer.fault = OSError()
    issuer.now += 61
    with pytest.raises(CannotTakeNow):
        await senders.identify("ERP-1", sign(RSA_2, kid="k2"))
    assert (await senders.identify("ERP-1", sign())).id == "ERP-1"


@pytest.mark.parametrize("document", [None, [], {}, {"keys": {}}, "keys"])
async def test_something_else_than_a_key_set(open_senders: Open, issuer: Issuer, document: Any) -> None:
    """An address that answers with something else counts as out of order."""
    issuer.keys[URL] = document
    with pytest.raises(CannotTakeNow):
        await open_senders().identify("ERP-1", sign())


async def test_only_the_tokens_issuer_is_asked(open_senders: Open, issuer: Issuer) -> None:
    """A token of one issuer costs the other issuers nothing, and a token of nobody's costs nothing at all."""
    senders = open_senders(sender("ERP-1"), sender("ERP-2", OTHER_URL, "https://other.example"))
    await senders.identify(None, sign(RSA_2, iss="https://other.example", sub="ERP-2"))
    with pytest.raises(NotAuthenticated):
        await senders.identify(None, sign(iss="https://nobody.example"))
    assert issuer.asked == [OTHER_URL]


async def test_one_issuers_key_does_not_speak_for_another(open_senders: Open) -> None:
    """A token that claims one issuer and is signed with the key of another is not genuine."""
    senders = open_senders(sender("ERP-1"), sender("ERP-2", OTHER_URL, "https://other.example"))
    with pytest.raises(NotAuthenticated):
        await senders.identify("ERP-1", sign(RSA_2))


nested = st.integers(1, 11_000).map(lambda depth: b"[" * depth)
parts = st.one_of(st.binary(max_size=40), nested, st.just(json.dumps(CLAIMS).encode()), st.just(b'{"alg":["RS256"]}'))


@given(pieces=st.lists(parts, min_size=3, max_size=3))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
async def test_no_token_breaks_the_reader(open_senders: Open, pieces: list[bytes]) -> None:
    """Whatever stands between the dots, the answer is an error of the caller."""
    token = ".".join(jwt.utils.base64url_encode(piece).decode() for piece in pieces)
    with pytest.raises(NotAuthenticated):
        await open_senders().identify("ERP-1", f"Bearer {token}")


async def test_clock_is_only_for_the_cache(open_senders: Open, issuer: Issuer) -> None:
    """A token just expired is taken within the leeway for clocks that differ, and not beyond."""
    senders = open_senders()
    assert (await senders.identify("ERP-1", sign(exp=int(time.time()) - 10))).id == "ERP-1"
    with pytest.raises(NotAuthenticated):
        await senders.identify("ERP-1", sign(exp=int(time.time()) - 40))
