"""What is said about a batch from its last layer's gradient, and when it is certain."""

import dataclasses
from functools import partial
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vfljax.attacks.base import CountInference
from vfljax.attacks.counting import CountAttack, count_inference
from vfljax.attacks.head_factors import HeadFactors, coordinates, embeddings
from vfljax.attacks.head_samples import EXPLAINED, Batch, Effort, Fit
from vfljax.goals import SAMPLES, Goal
from vfljax.protocol import UpdateView, head_of

_RIVAL = 20.0  # mean squared residual of any other batch, for the right to be certain


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadAttack(CountAttack):
    """An attack that factors the gradient of the last dense layer."""

    num_first: int = 20
    """Iterations of the descent from every start, at least 1."""
    num_iterations: int = 60
    """Iterations of the starts that go on, the first ones included."""
    num_fit_iterations: int = 40
    """Iterations of the fit of all samples together, at least 1."""
    spread: float = 0.5
    """Distance of starts from the shortest typical input, relative to its norm."""
    tolerance: float = 0.03
    """Largest relative error of an embedding that noise may leave in what is certified,
    in (0, 1]."""
    goal: ClassVar[Goal] = SAMPLES
    needs_float64: ClassVar[bool] = True

    ranges: ClassVar = {
        "num_first": {"low": 1},
        "num_iterations": {"low": 1},
        "num_fit_iterations": {"low": 1},
        "spread": {"low": 0, "low_excluded": True},
        "tolerance": {"low": 0, "high": 1, "low_excluded": True},
    }

    def effort(self, num_starts: int, num_kept: int) -> Effort:
        """How much is tried, with so many starts, of which so many go on."""
        return Effort(
            num_starts=num_starts,
            num_first=self.num_first,
            num_iterations=self.num_iterations,
            num_kept=num_kept,
            spread=self.spread,
        )

    def fits(self, task) -> str | None:
        """It reads one gradient, not an update of several local steps."""
        steps = max(task.local_steps)
        if steps == 1:
            return None
        return f"local steps of a round={steps}: must be one, as it reads one gradient"


class HeadInfo(NamedTuple):
    """What the gradient of the last dense layer says about each sample.

    Samples are in the order of their labels and of the norms of their embeddings: what
    order they had in the batch, a mean does not tell.

    Attributes:
        labels: Their classes; −1 without an answer.
        embeddings: Their inputs of the layer.
        certified: Whether label and embedding are certain: the batch explains the
            gradient down to its noise, no batch of other label counts that was tried
            comes near, and the noise leaves the embedding within `tolerance`. A search
            that stops at the first batch that explains the gradient has tried no other.
        residual: ‖(1/B) Σ δ hᵀ − G‖/‖G‖ within the span of the inputs.
        excess: Mean square of that residual in units of the noise.
        error: Of each embedding, what the noise lets expect, relative.
        bound_held: Whether there are more equations than unknowns: 1 yes, 0 no.
    """

    labels: Int[Array, " batch"]
    embeddings: Float[Array, "batch d"]
    certified: Bool[Array, " batch"]
    residual: Float[Array, ""]
    excess: Float[Array, ""]
    error: Float[Array, " batch"]
    bound_held: Int[Array, ""]


def judge(
    fits: Fit, factors: HeadFactors, view: UpdateView, tolerance: float, bound: bool
) -> CountInference:
    """Answers with the best of several fits, and certifies it against the others."""
    excess = jnp.where(jnp.isfinite(fits.excess), fits.excess, jnp.inf)
    place = jnp.argmin(excess)
    best = jax.tree.map(lambda leaf: leaf[place], fits)
    spread = _spread_copies(best.batch)
    a = coordinates(best.batch.free, factors)[spread.source]
    found = embeddings(a, factors)
    order = jnp.lexsort((jnp.linalg.norm(found, axis=1), spread.labels))
    labels = jax.tree.map(lambda leaf: leaf[order], spread)
    counts = jax.vmap(partial(_count, num_classes=view.num_classes))(fits.batch)
    is_rival = jnp.any(counts != counts[place][None], axis=1)
    rival = jnp.min(jnp.where(is_rival, excess, jnp.inf))
    is_clear = (excess[place] < EXPLAINED) & (rival > _RIVAL)
    error = best.error[labels.source]
    is_whole = jnp.sum(best.batch.copies) == view.batch_size
    certified = bound & is_clear & is_whole & (error < tolerance)
    estimates = jnp.where(jnp.isfinite(excess[place]), counts[place], jnp.nan)
    info = HeadInfo(
        labels=jnp.where(jnp.isfinite(excess[place]), labels.labels, -1),
        embeddings=found[order],
        certified=certified,
        residual=best.residual.astype(jnp.float32),
        excess=excess[place].astype(jnp.float32),
        error=error.astype(jnp.float32),
        bound_held=jnp.asarray(int(bound), jnp.int32),
    )
    return count_inference(estimates.astype(jnp.float32), view.batch_size, info)


def no_answer(view: UpdateView, layer: str) -> CountInference:
    """What is said beyond the bound, where the equations leave more than one answer."""
    inputs = head_of(view.params, layer)[0].shape[1]
    batch = view.batch_size
    missing = jnp.asarray(jnp.nan, jnp.float32)
    info = HeadInfo(
        labels=jnp.full(batch, -1, jnp.int32),
        embeddings=jnp.full((batch, inputs), missing),
        certified=jnp.zeros(batch, bool),
        residual=missing,
        excess=missing,
        error=jnp.full(batch, missing),
        bound_held=jnp.asarray(0, jnp.int32),
    )
    return count_inference(jnp.full(view.num_classes, missing), batch, info)


class _Spread(NamedTuple):
    """The samples of a batch, each as often as it is there, and their places."""

    labels: Int[Array, " batch"]
    source: Int[Array, " batch"]


def _spread_copies(batch: Batch) -> _Spread:
    """Fills places up with copies of samples that are there more than once."""
    ends = jnp.cumsum(jnp.round(batch.copies))
    places = jnp.arange(len(batch.labels))
    source = jnp.searchsorted(ends, places, side="right")
    source = jnp.where(places < ends[-1], source, places)
    source = jnp.clip(source, 0, len(batch.labels) - 1)
    return _Spread(batch.labels[source], source)


def _count(batch: Batch, num_classes: int) -> Float[Array, " classes"]:
    """How many samples there are of each class."""
    labels = _spread_copies(batch).labels
    return jnp.sum(jax.nn.one_hot(labels, num_classes, dtype=jnp.float32), axis=0)
