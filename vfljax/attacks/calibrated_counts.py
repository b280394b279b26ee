"""Count labels by a regression calibrated on simulated updates.

The adversary knows the network, the local training and the defense, and has labeled
samples of its own. So it makes updates of label sets that it draws itself, through the
local training and the defense in question, and learns from them how the last layer's
update tells the shares of the classes. Whatever the defense or the local steps do to
the update is in the simulation: one attacker that adapts to all of them, secure
aggregation included, whose aggregate is an update of more samples.
"""

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from vfljax.attacks.base import CountInference, map_with_keys
from vfljax.attacks.counting import (
    CountAttack,
    bias_of,
    count_inference,
    sum_over_auxiliary,
)
from vfljax.data import ClassTable, draw_rows_of, rows_of_classes
from vfljax.known import NOTHING, Known
from vfljax.protocol import UpdateView, check_update, head_of

_CONCENTRATIONS = (0.1, 0.3, 1.0, 10.0)  # of the label sets that are drawn
_STRENGTHS = tuple(10.0**power for power in range(-5, 3))  # of the ridge
_SMALLEST = 1e-30  # of a norm that is divided by


class RegressionInfo(NamedTuple):
    """How well the regression does on simulated updates.

    Attributes:
        error: Root mean square error of a share, on updates left out one by one.
        strength: Of the ridge that was chosen for it.
    """

    error: Float[Array, ""]
    strength: Float[Array, ""]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CalibratedCounts(CountAttack):
    """Count labels by a ridge regression on simulated updates, which knows the defense.

    Shares of the classes are drawn from Dirichlet distributions of concentration .1,
    .3, 1 and 10, over classes that have an auxiliary sample; features are the bias's
    gradient, the row sums of the kernel's and its products with the mean input of each
    class, their signed roots and normalized copies. The ridge is as strong as leaves
    the smallest error on simulated updates left out one by one.
    """

    num_simulations: int = 1000
    """Number of simulated updates, at least 10; the cost is proportional to it."""
    simulations_at_once: int = 50
    """Number of updates, at least 1, that are simulated at once, for speed and memory
    alone."""
    uses = ("auxiliary_features", "auxiliary_labels", "simulate")
    is_adaptive = True
    knowledge = "the network, the defense and labeled samples"
    ranges: ClassVar = {
        "num_simulations": {"low": 10},
        "simulations_at_once": {"low": 1},
    }

    def __call__(self, key, view, known: Known = NOTHING) -> CountInference:
        """Infers from one view; the key is of all simulations."""
        check_update(view, self.layer)
        bias_of(view, self.layer)
        means = _mean_inputs(view, known, self.layer)
        samples = jnp.asarray(known.auxiliary_features)
        table = rows_of_classes(known.auxiliary_labels, view.num_classes)

        def simulate(key, _):
            key_labels, key_rows, key_update = jax.random.split(key, 3)
            labels = _draw_labels(key_labels, view, table)
            rows = draw_rows_of(key_rows, table, labels)
            update = known.simulate(key_update, samples[rows], labels)
            counts = jnp.sum(jax.nn.one_hot(labels, view.num_classes), axis=(0, 1))
            return _read(update, means, self.layer), counts / view.num_labels

        number, at_once = self.num_simulations, self.simulations_at_once
        readings, shares = map_with_keys(
            key, simulate, (), number=number, at_once=at_once
        )
        found = _read(view.update, means, self.layer)
        estimates, info = _regress(readings, shares, found)
        return count_inference(view.num_labels * estimates, view.num_labels, info)


def _draw_labels(
    key: Key[Array, ""], view: UpdateView, table: ClassTable
) -> Int[Array, "steps batch"]:
    """Labels of one simulated participant: of all steps, from the same shares."""
    key_width, key_shares, key_labels = jax.random.split(key, 3)
    width = jax.random.choice(key_width, jnp.array(_CONCENTRATIONS))
    draws = jax.random.loggamma(key_shares, jnp.full(view.num_classes, width))
    logits = jnp.where(jnp.asarray(table.counts) > 0, draws, -jnp.inf)
    shape = (view.num_steps, view.batch_size)
    return jax.random.categorical(key_labels, logits, shape=shape)


def _mean_inputs(view, known, layer):
    """Directions of the last layer's mean input in each class, (n, d)."""

    def summands(one_hot, inputs, _):
        return one_hot.T @ inputs

    total = sum_over_auxiliary(view, known, layer, summands)
    return _unit(total, axis=1)


def _read(update, means, layer):
    """The features of an update, which a change of its scale changes in part only."""
    kernel, bias = head_of(update, layer)
    plain = jnp.concatenate([bias, jnp.sum(kernel, axis=1), (kernel @ means.T).ravel()])
    num_classes = len(bias)
    parts = jnp.split(plain, (num_classes, 2 * num_classes))
    normalized = [_unit(part, axis=0) for part in parts]
    roots = jnp.sign(plain) * jnp.sqrt(jnp.abs(plain))
    return jnp.concatenate([plain, roots, *normalized])


def _unit(values, axis):
    norms = jnp.linalg.norm(values, axis=axis, keepdims=True)
    return values / jnp.maximum(norms, _SMALLEST)


def _regress(
    features: Float[Array, "simulations features"],
    shares: Float[Array, "simulations classes"],
    found: Float[Array, " features"],
) -> tuple[Float[Array, " classes"], RegressionInfo]:
    """The shares behind `found`, by a ridge on standardized features.

    With features X = U S Vᵀ the prediction for a simulation left out is in closed form:
    its residual is that of the fit over 1 − the diagonal of U S²/(S² + r) Uᵀ, the
    constant being part of the fit.
    """
    num_simulations = len(features)
    middle, width = jnp.mean(features, axis=0), jnp.std(features, axis=0)
    width = jnp.where(width > 0, width, 1.0)
    mean_shares = jnp.mean(shares, axis=0)
    standardized = (features - middle[None, :]) / width[None, :]
    left, spread, right = _factors(standardized)
    others = shares - mean_shares[None, :]
    targets = left.T @ others

    def weights(strength):
        return spread**2 / (spread**2 + strength * num_simulations)

    def error(strength):
        kept = weights(strength)
        residual = others - left @ (kept[:, None] * targets)
        leverage = jnp.square(left) @ kept + 1 / num_simulations
        return jnp.mean(jnp.square(residual / (1 - leverage)[:, None]))

    strengths = jnp.array(_STRENGTHS)
    errors = jax.lax.map(error, strengths)
    best = jnp.argmin(errors)
    kept = weights(strengths[best]) / jnp.where(spread > 0, spread, 1.0)
    there = right @ ((found - middle) / width)
    estimates = mean_shares + (there * kept) @ targets
    return estimates, RegressionInfo(jnp.sqrt(errors[best]), strengths[best])


@jax.custom_batching.sequential_vmap
def _factors(features):
    """One after the other, as batches on several CPU devices wait for each other."""
    return tuple(jnp.linalg.svd(features, full_matrices=False))
