"""Drop logits at random in a participant's loss."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from vfljax.defenses.base import Defense, Number, Swept


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogitDropout(Defense):
    """Drop logits at random before the loss of every local step.

    Each logit of each sample becomes zero with probability p, independently, and the
    others are divided by 1 − p, as in `torch.nn.Dropout`. An option of LLG (Wainakh et
    al. 2022, https://doi.org/10.2478/popets-2022-0043). A dropped logit has no
    gradient, so that a sample whose own logit is dropped leaves no negative entry.
    At rate 0 this is exactly no defense.
    """

    rate: Swept = (0.2, 0.5, 0.8)
    """Probability p of a logit to be dropped, in [0, 1)."""
    swept: ClassVar[str] = "rate"
    ranges: ClassVar = {"rate": {"low": 0.0, "high": 1.0, "high_excluded": True}}

    def perturb_logits(self, key, logits):
        """Drops the logits."""
        kept = jax.random.bernoulli(key, 1.0 - self.rate, logits.shape)
        return jnp.where(kept, logits / (1.0 - self.rate), 0.0)


def logit_dropout(rate: Number) -> LogitDropout:
    """`LogitDropout` at one rate, which may be traced."""
    return LogitDropout(rate=rate)
