"""Goals: what is inferred, what the truth of it is, and how an answer is scored."""

from vfljax.goals import metrics
from vfljax.goals.all_labels import ALL_LABELS
from vfljax.goals.backdoor import BACKDOOR
from vfljax.goals.base import Goal, Truth
from vfljax.goals.label_counts import LABEL_COUNTS
from vfljax.goals.labels import LABELS
from vfljax.goals.membership import MEMBERSHIP
from vfljax.goals.properties import PROPERTY
from vfljax.goals.samples import SAMPLES

__all__ = [
    "ALL_LABELS",
    "BACKDOOR",
    "LABELS",
    "LABEL_COUNTS",
    "MEMBERSHIP",
    "PROPERTY",
    "SAMPLES",
    "Goal",
    "Truth",
    "metrics",
]
