"""Goals: what is inferred, what the truth of it is, and how an answer is scored."""

from vfljax.goals import metrics
from vfljax.goals.base import Goal, Truth
from vfljax.goals.labels import LABELS

__all__ = ["LABELS", "Goal", "Truth", "metrics"]
