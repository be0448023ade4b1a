"""Who decides what may be kept of a person: a redactor that knows the profiles in use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from bridge.comparing import load_rules
from bridge.errors import SettingsFault
from bridge.mapping import Profile
from bridge.mapping.document import LookUp, ObjectDocument
from bridge.recording import Redactor, Terms
from bridge.settings import Settings
from bridge.shape import FieldType

NO_KEY = (
    "recording.key: needed to make pseudonyms; set a long random secret, such as the output of `openssl rand -hex 32`, "
    "and keep it: another key makes other pseudonyms"
)
_HARMLESS = frozenset({FieldType.BOOLEAN, FieldType.DECIMAL})
_WORD = re.compile(r"[^\W\d_]+")


def open_redactor(settings: Settings, profiles: Iterable[Profile]) -> Redactor:
    """Return the redactor of a configuration; SettingsFault without a key."""
    key = settings.recording.key.get_secret_value() if settings.recording.key else ""
    if not key:
        raise SettingsFault(NO_KEY)
    rules = load_rules(settings.cutover.differences, {one.id for one in settings.organizations})
    return Redactor(key.encode(), settings.recording.plain_fields, gather_terms(profiles, rules.undocumented))


def gather_terms(profiles: Iterable[Profile], undocumented: Iterable[str] = ()) -> Terms:
    """Return what mapping files say of fields: which are codes, references, flags or amounts, and the words of tables.

    `undocumented` are paths of fields of the legacy answer that a rules file declares: their names may stay.

    Those are needed as they are, or a recorded row would be judged otherwise than the row itself.
    """
    documents = [mapping.document for profile in profiles for mapping in profile.objects.values()]
    return Terms(
        plain_fields=frozenset(name for document in documents for name in _plain_fields(document)),
        declared=frozenset(name for path in _paths(documents, undocumented) for name in path.split(".")),
        words=frozenset(word for document in documents for text in _texts(document) for word in _WORD.findall(text)),
    )


def _paths(documents: Iterable[ObjectDocument], undocumented: Iterable[str]) -> Iterator[str]:
    yield from (path.replace("[]", "") for document in documents for path in document.fields)
    yield from undocumented


def _plain_fields(document: ObjectDocument) -> Iterator[str]:
    paths = [document.creditor_field, *document.reply_reference, *document.keys.values()]
    if document.reference:
        paths += [document.reference.id, *document.reference.keys.values()]
    if document.choose:
        paths.append(document.choose.field)
    for sources, transforms in _transformed(document):
        if any(isinstance(transform, LookUp) for transform in transforms):
            paths += sources
    paths += [path for path, kind in document.fields.items() if kind in _HARMLESS]
    yield from (path.rpartition(".")[2].removesuffix("[]") for path in paths if path)


def _transformed(document: ObjectDocument) -> Iterator[tuple[Sequence[str], Sequence[object]]]:
    yield from ((rule.source, rule.transform) for rule in document.rule)
    yield from ((carried.fields, carried.transform) for carried in document.carry)


def _texts(document: ObjectDocument) -> Iterator[str]:
    """Yield the codes, values and refusals of a document's tables, and what else it writes by itself."""
    for table in document.table.values():
        for row in table.rows:
            yield from (str(part) for part in (row.code, row.value, row.refused) if part is not None)
    yield from (str(part) for rule in document.rule for part in (rule.constant, rule.default) if part is not None)
    yield from (operation.name.replace("_", " ") for operation in document.operation)
