"""What an attack hands out."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Inference(NamedTuple):
    """What the adversary believes.

    Attributes:
        labels: Class of each sample, in [0, C); −1 where the attack has no answer.
        scores: Higher means more likely; comparable within a row.
        finite: Whether all scores are finite. A diverged attack is a result.
        published_labels: The same run read as in the publication, where that readout
            differs from ours; else `None`.
        info: Diagnostics of the method.
    """

    labels: Int[Array, " batch"]
    scores: Float[Array, "batch classes"]
    finite: Bool[Array, ""]
    published_labels: Int[Array, " batch"] | None
    info: Any


def inference_from_scores(
    scores: Float[Array, "batch classes"],
    published_labels: Int[Array, " batch"] | None = None,
    info: Any = (),
) -> Inference:
    """Decides for the highest score of each row, and for −1 in rows with a NaN."""
    is_finite = jnp.isfinite(scores)
    answered = jnp.all(is_finite, axis=1)
    return Inference(
        labels=jnp.where(answered, jnp.argmax(scores, axis=1), -1),
        scores=scores,
        finite=jnp.all(is_finite),
        published_labels=published_labels,
        info=info,
    )
