"""What a redactor learns from the configuration and the profiles in use."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bridge.discretion import gather_terms, open_redactor
from bridge.errors import SettingsFault
from bridge.mapping import load_profile, load_profiles
from bridge.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
RULES = """
[fields]
undocumented = ["invoice.saksref"]
"""


CONFIG = """
[mappings]
folder = "{mappings}"

[[organization]]
id = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
client_id = "a"
client_secret = "a"

[[sender]]
id = "ERP-1"
organizations = ["3fa85f64-5717-4562-b3fc-2c963f66afa6"]
bearer = "a"

[recording]
{recording}

[cutover]
{cutover}
"""


def write_config(folder: Path, recording: str, cutover: str = "") -> Path:
    path = folder / "bridge.toml"
    text = CONFIG.format(mappings=ROOT / "mappings", recording=recording, cutover=cutover)
    path.write_text(text, encoding="utf-8")
    return path


def test_terms_of_the_shipped_profiles() -> None:
    """Codes, references, creditors, flags and amounts stay as they are, names of fields and words of tables too."""
    terms = gather_terms(load_profiles(ROOT / "mappings").values())
    assert {
        "customertype",
        "invoicetype",
        "actiontype",
        "countrycode",
        "creditorid",
        "ledgerref",
        "vat",
    } <= terms.plain_fields
    assert {"originalsum", "invoiceId", "sum"} <= terms.plain_fields
    assert not {"customername", "name", "birthno", "kid", "mobile", "birthdate", "duedate"} & terms.plain_fields
    assert {"debtors", "phoneNumbers", "originalValue", "customername"} <= terms.declared
    assert {"NORGE", "reminder", "handler"} <= terms.words | {word.lower() for word in terms.words}


def test_a_code_field_of_an_own_profile(tmp_path: Path) -> None:
    """A field that goes through a table, or is carried through one, is a code, whatever it is called."""
    folder = Path(shutil.copytree(ROOT / "mappings" / "autocollect", tmp_path / "own"))
    invoice = folder / "invoice.toml"
    text = invoice.read_text(encoding="utf-8").replace("[fields]\n", '[fields]\nart = "text"\n')
    rule = '[[rule]]\nfrom = "art"\nto = "description"\nevidence = "assumed"\n'
    rule += 'transform = { name = "table", table = "arts" }\n'
    table = '[table.arts]\nrows = [{ code = "Langtur", value = "LONG", evidence = "assumed" }]\n'
    text = text.replace('"uniqueSourceInvoiceId", "description",\n', '"uniqueSourceInvoiceId",\n', 1)
    dropped = '[[drop]]\nfields = ["description"]\nreason = "none"\nevidence = "assumed"\n'
    invoice.write_text(f"{text}\n{rule}\n{dropped}\n{table}", encoding="utf-8")
    terms = gather_terms([load_profile(folder)])
    assert "art" in terms.plain_fields
    assert "Langtur" in terms.words


def test_the_configuration_makes_the_redactor(tmp_path: Path) -> None:
    """Its key, its plain fields and the fields that its rules file declares count."""
    (tmp_path / "rules.toml").write_text(RULES, encoding="utf-8")
    config = write_config(tmp_path, 'key = "k"\nplain_fields = ["kid"]', 'differences = "rules.toml"')
    settings = load_settings(config, {})
    redactor = open_redactor(settings, load_profiles(settings.mappings.folder).values())
    redacted = redactor.redact(
        b'{"invoice":[{"kid":"0001234567","customerref":"0001234567"}]}', 200, b'{"saksref":"Kari"}'
    )
    row = json.loads(redacted.request or b"")["invoice"][0]
    assert row["customerref"] != "0001234567"
    assert row["kid"] == row["customerref"]  # what is personal elsewhere in the record is so here
    assert list(json.loads(redacted.reply or b"")) == ["saksref"]


def test_without_a_key_nothing_is_recorded(tmp_path: Path) -> None:
    """The fault names the setting and how to make a key."""
    settings = load_settings(write_config(tmp_path, ""), {})
    with pytest.raises(SettingsFault, match=r"recording\.key: needed .*openssl rand"):
        open_redactor(settings, ())
