"""The soundness gate: no row may pass the fast lane that the schema would refuse or read differently."""

import copy
import random
from collections.abc import Callable, Iterator
from decimal import Context, Decimal
from typing import Any

import msgspec
import pytest
from marshmallow import ValidationError

from bridge.batch import OBJECTNAMES
from bridge.legacy import fast
from bridge.legacy.fast import FastLane
from bridge.legacy.properties import SpellingClash, decode, decode_last_spelling
from bridge.legacy.schema import build_schema, load_row
from bridge.shape import FieldType, Shape

SEED = 20260415
RANDOM_MUTANTS_PER_KIND = 8_000
TEXTS = (
    *(
        "",
        " ",
        " x",
        "x ",
        "\tx",
        "x\n",
        "\u00a0x",
        "x\u2003",
        "x\u0085",
        "\u001fx",
        "x\ufeff",
        "\0",
        "a\0b",
        "\u200bx",
    ),
    *("true", "TRUE", "1", "0", "12.50", "1 250,00", "1,250", "NaN", "nan", "Infinity", "1e5", "1_000", "１２", "−1"),
    *("2024-02-15", "2024-02-30", "20240215", "2024-W07-4", "2024-2-15", "0000-01-01", "0001-01-01", "9999-12-31"),
    *("2024-02-15 ", "２０２４-02-15", "2024-02-15T00:00:00", "2024-02-15T00:00:00Z", "2024-02-15t00:00:00z"),
    *(
        "2024-02-15 00:00:00",
        "2024-02-15T24:00:00",
        "2024-02-15T23:59:60Z",
        "2024-02-15T00:00",
        "2024-02-15T00:00:00.Z",
    ),
    *("2024-02-15T00:00:00.1Z", "2024-02-15T00:00:00.123456Z", "2024-02-15T00:00:00.1234567Z", "/Date(0)/"),
    *("2024-02-15T00:00:00+00:00", "2024-02-15T00:00:00+01:00", "0001-01-01T00:00:00+01:00", "2023-02-29T00:00:00Z"),
)
TOKENS = (
    *(
        b"null",
        b"true",
        b"false",
        b"0",
        b"-0",
        b"-0.0",
        b"0.0",
        b"1",
        b"1.0",
        b"1.00",
        b"12.5",
        b"1e2",
        b"1E+2",
        b"0e5",
    ),
    *(b"1e-10", b"1e-11", b"0e99", b"0.0000000000", b"0.00000000000", b"0.1234567891", b"0.12345678901", b"1e10"),
    *(b"123456789.01", b"123456789012.34", b"9007199254740993.01", b"99999999999999999999.9999999999", b"1e20"),
    *(
        b"1e19",
        b"1e400",
        b"-1e400",
        b"1e-400",
        b"1e99999999999999999999",
        b"9223372036854775807",
        b"9223372036854775808",
    ),
    *(b"-9223372036854775808", b"-9223372036854775809", b"99999999999999999999", b"100000000000000000000"),
    *(
        b"1" * 400,
        b"1" * 5000,
        b"[]",
        b"{}",
        b"[[]]",
        b"[null]",
        b'[""]',
        b'[" "]',
        b"[1]",
        b'["a"]',
        b"[1.5]",
        b"[true]",
    ),
    *(b"[{}]", b'[{"value":"x"}]', b'[{"value":" x"}]', b'[{"value":"x"},null]', b'{"a":1}', b'{"value":"x"}'),
    *(
        b"NaN",
        b"01",
        b'"\\ud800"',
        b'"\\u0000"',
        b'"\\ud83d\\ude00"',
        b'"\xff"',
        b'"\\/Date(0)\\/"',
        b"[" * 2000 + b"]" * 2000,
    ),
)
NASTY = tuple(msgspec.Raw(token) for token in (*map(msgspec.json.encode, TEXTS), *TOKENS))


def set_at(row: Any, path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    """Return a copy of the row with its container at the path changed; what lies beside the path is shared."""
    mutant = copy.copy(row)
    holder = mutant
    for key in path[:-1]:
        holder[key] = copy.copy(holder[key])
        holder = holder[key]
    change(holder, path[-1])
    return mutant


def put(value: Any) -> Callable[[Any, Any], None]:
    return lambda holder, key: holder.__setitem__(key, value)


def respell(holder: Any, key: Any) -> None:
    if isinstance(key, str):
        holder[key.upper()] = holder.pop(key)


def doubled(holder: Any, key: Any) -> None:
    if isinstance(key, str):
        holder[key.swapcase()] = holder[key]


def stranger(holder: Any, key: Any) -> None:
    if isinstance(holder, dict):
        holder["shoeSize"] = 43


def remove(holder: Any, key: Any) -> None:
    del holder[key]


def blur(value: Any, chance: random.Random) -> Any:
    """Return a leaf with one sign put in, taken out, or exchanged."""
    token = msgspec.json.encode(value).decode()
    spot = chance.randrange(len(token) + 1)
    sign = chance.choice([*' \t\\"0123456789.,-+eEtTzZ:/', "\u00a0", "\u2003", "\\u0000", "\\n", "null", "ø", "\u0660"])
    kept = chance.choice((spot, spot + 1))
    return msgspec.Raw((token[:spot] + chance.choice((sign, "")) + token[kept:]).encode())


def mutants(row: dict[str, Any], leaves: Callable[[Any], Iterator[tuple[Any, Any]]]) -> Iterator[bytes]:
    """Change one place at a time: systematically, then at random with a fixed seed."""
    places = list(leaves(row))
    yield msgspec.json.encode(row)
    for path, _ in places:
        for change in (*map(put, NASTY), respell, doubled, stranger, remove):
            yield msgspec.json.encode(set_at(row, path, change))
    chance = random.Random(SEED)
    for _ in range(RANDOM_MUTANTS_PER_KIND):
        path, value = chance.choice(places)
        yield msgspec.json.encode(set_at(row, path, put(blur(value, chance))))
    for path, _ in places:  # the same name twice, spelled alike
        for token in NASTY if isinstance(path[-1], str) and len(path) == 1 else ():
            name, rest = msgspec.json.encode(path[-1]), msgspec.json.encode(row)
            yield b"{" + name + b":" + bytes(token) + b"," + rest[1:]
            yield rest[:-1] + b"," + name + b":" + bytes(token) + b"}"


def exactly(value: Any) -> Any:
    """Make equal only what is equal in type and spelling too: 1 is not true, 1.0 is not 1.00."""
    if isinstance(value, dict):
        return {name: exactly(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [exactly(inner) for inner in value]
    return type(value), str(value) if isinstance(value, Decimal) else value


def by_schema(schema: Any, raw: bytes) -> Any:
    """Read as the slow lane does; None when it refuses the row or reports anything unknown."""
    try:
        data = decode(raw)
        try:
            fields, unknown = load_row(schema, data)
        except SpellingClash:
            fields, unknown = load_row(schema, decode_last_spelling(raw))
    except (ValidationError, UnicodeDecodeError, msgspec.MsgspecError, RecursionError):
        return None
    return None if unknown else exactly(fields)


Gate = Callable[[str], tuple[int, int, Iterator[bytes]]]


@pytest.fixture
def gate(shapes: dict[str, Shape], rows: dict[str, Any], leaves: Any) -> Gate:
    """Return for a kind of row how many mutants there were, how many the fast lane took, and which of them wrongly."""

    def run(objectname: str) -> tuple[int, int, Iterator[bytes]]:
        lane, schema = FastLane(shapes[objectname]), build_schema(shapes[objectname])
        raws = list(mutants(rows[objectname], leaves))
        taken = [(raw, fields) for raw, fields in zip(raws, lane.read_many(raws), strict=True) if fields is not None]
        return len(raws), len(taken), (raw for raw, fields in taken if exactly(fields) != by_schema(schema, raw))

    return run


@pytest.mark.no_cover  # to count so many steps takes longer than to take them
def test_no_mutant_passes_the_fast_lane_that_the_schema_reads_otherwise(gate: Gate) -> None:
    """Of tens of thousands of mutated rows the fast lane takes some, and each of them exactly as the schema does."""
    results = [gate(name) for name in OBJECTNAMES]
    assert [raw for _, _, wrong in results for raw in wrong] == []
    assert sum(count for count, _, _ in results) > 40_000
    assert sum(taken for _, taken, _ in results) > 20_000


@pytest.mark.parametrize("kind", [FieldType.TEXT, FieldType.DECIMAL, FieldType.DATETIME])
def test_the_gate_finds_a_check_that_is_switched_off(kind: FieldType, gate: Gate, monkeypatch: Any) -> None:
    """Without the check of one type of field, the gate names mutants that got through."""
    monkeypatch.setitem(fast._CHECKS, kind, "")
    assert any(gate("payment")[2])


@pytest.mark.no_cover  # to count so many steps takes longer than to take them
def test_the_gate_finds_a_date_that_is_not_checked(gate: Gate, monkeypatch: Any) -> None:
    """Dates stand deep inside an invoice; the gate reaches them."""
    monkeypatch.setitem(fast._CHECKS, FieldType.DATE, "")
    assert any(gate("invoice")[2])


@pytest.mark.parametrize(("kind", "loose"), [(FieldType.TEXT, str), (FieldType.INTEGER, Any), (FieldType.BOOLEAN, Any)])
def test_the_gate_finds_a_type_that_is_not_checked(kind: FieldType, loose: Any, gate: Gate, monkeypatch: Any) -> None:
    """Without the declared type of one kind of field, the gate names mutants that got through."""
    monkeypatch.setitem(fast._TYPES, kind, loose)
    assert any(gate("creditor")[2])


def test_the_gate_finds_unbounded_amounts(gate: Gate, monkeypatch: Any) -> None:
    """Without the bounds on short amounts, the gate names mutants that got through."""
    monkeypatch.setattr(fast, "_SHORT_AMOUNTS", Context(prec=99))
    assert any(gate("payment")[2])


def test_the_gate_finds_nul_characters(gate: Gate, monkeypatch: Any) -> None:
    """Without the search for NUL characters, the gate names mutants that got through."""
    monkeypatch.setattr(fast, "_NUL", b"never there")
    assert any(gate("action")[2])
