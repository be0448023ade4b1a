"""Row to modern object, by a profile's mapping files: JSON to JSON, knowing the names of neither API.

`document` says what a file may contain, `library` loads and checks a profile, `compiler` turns its rules into Python
source, `objects` is what the pipeline calls. `reading` is the way back: what a legacy read is answered with. `targets`
and `examples` prove a profile before it is used.
"""

from bridge.mapping.assumed import Assumption
from bridge.mapping.examples import run_examples
from bridge.mapping.library import load_profile, load_profiles
from bridge.mapping.objects import NotCarried, ObjectMapping
from bridge.mapping.profiles import AlwaysNull, Profile, assumptions, nulls
from bridge.mapping.reading import NullField, ReadMapping, ReadProfile
from bridge.mapping.reply import ReplyTable
from bridge.mapping.targets import check_targets

__all__ = [
    "AlwaysNull",
    "Assumption",
    "NotCarried",
    "NullField",
    "ObjectMapping",
    "Profile",
    "ReadMapping",
    "ReadProfile",
    "ReplyTable",
    "assumptions",
    "check_targets",
    "load_profile",
    "load_profiles",
    "nulls",
    "run_examples",
]
