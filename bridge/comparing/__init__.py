"""The legacy answer to a batch held against the bridge's: what differs, where, in what way, and what of it is expected.

`replies` takes an answer apart, `aligning` walks two values, `judging` puts both together and gives every row one of
three buckets. `rules` are expected differences, `rules_file` reads them, `references` pairs generated ids, `noise`
learns what the legacy system itself is not sure of. `findings` and `tree` put many comparisons together,
`describing` gives them to scripts.
"""

from bridge.comparing.describing import describe_rule, describe_tree
from bridge.comparing.findings import Findings
from bridge.comparing.judging import Judge, Origin, compare, compare_by_steps
from bridge.comparing.loading import load_rules
from bridge.comparing.noise import learn_by_steps, learn_noise
from bridge.comparing.paths import in_reply_order
from bridge.comparing.references import References
from bridge.comparing.rules import Does, Rule, Rules
from bridge.comparing.rules_file import read_rules
from bridge.comparing.tree import Branch, Leaf, Sample, Tree
from bridge.comparing.values import NOISE, NOT_PREDICTED, Answer, Bucket, Comparison, Difference, Kind

__all__ = [
    "NOISE",
    "NOT_PREDICTED",
    "Answer",
    "Branch",
    "Bucket",
    "Comparison",
    "Difference",
    "Does",
    "Findings",
    "Judge",
    "Kind",
    "Leaf",
    "Origin",
    "References",
    "Rule",
    "Rules",
    "Sample",
    "Tree",
    "compare",
    "compare_by_steps",
    "describe_rule",
    "describe_tree",
    "in_reply_order",
    "learn_by_steps",
    "learn_noise",
    "load_rules",
    "read_rules",
]
