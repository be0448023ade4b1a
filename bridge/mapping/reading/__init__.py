"""Modern JSON to the entries of a legacy answer, by the files of a profile's `read/` folder.

`document` says what a file may contain, `rules` where values are read, `ways` how they get to their field, `values`
what is done to one on the way; `compiler` turns all of it into Python source, `profile` is what the readback calls.
"""

from bridge.mapping.reading.document import SOURCES, ReadDocument
from bridge.mapping.reading.loading import list_assumed_reading, load_reading, rebuild_reading
from bridge.mapping.reading.profile import NullField, ReadMapping, ReadProfile, gather_profile, list_parts

__all__ = [
    "SOURCES",
    "NullField",
    "ReadDocument",
    "ReadMapping",
    "ReadProfile",
    "gather_profile",
    "list_assumed_reading",
    "list_parts",
    "load_reading",
    "rebuild_reading",
]
