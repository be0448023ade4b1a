"""Recordings: exchanges with the legacy host, kept to be compared and replayed, with nothing personal in them.

- `redaction`    bytes of a request and its answer → the same with stable pseudonyms
- `plain`, `words`  what stays as it is, and why: fields, and words of messages. Data, to be read by people
- `scrubbing`    one text at a time; by `patterns` (what looks personal), `pseudonyms` and `national_ids`
- `rewriting`    JSON with other values, number by number and name by name
- `lines`, `files`  a recorded exchange as a line of JSON; recordings read back
- `recorder`     lines on their way to a file, from a bounded queue

Pure but for `files` and `recorder`. Nobody else may decide what is stored of a person.
"""

from bridge.recording.files import Found, list_files, measure, read_recordings
from bridge.recording.lines import Line, Side, make_line, read_line, write_line
from bridge.recording.recorder import Recorder
from bridge.recording.redaction import Redacted, Redactor, Terms

__all__ = [
    "Found",
    "Line",
    "Recorder",
    "Redacted",
    "Redactor",
    "Side",
    "Terms",
    "list_files",
    "make_line",
    "measure",
    "read_line",
    "read_recordings",
    "write_line",
]
