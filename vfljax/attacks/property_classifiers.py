"""Classifiers of rows of features, trained and asked in one call.

Two are JAX; trees are grown by scikit-learn on the host, outside of any program.
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, Key

from vfljax._checks import require
from vfljax.attacks.least_squares import conjugate_gradients

ClassifierKind = Literal["ridge", "logistic", "forest", "boosting", "released_forest"]
"""Names of the classifiers of `classify`."""

_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # of a ridge, of the mean eigenvalue
_FARTHEST = 3.0  # standard deviations from the mean, for linear classifiers
_WEIGHT_DECAY = 0.1  # of logistic regression, on columns of variance one
_NUM_STEPS = 200  # of logistic regression
_NUM_ITERATIONS, _TOLERANCE = 100, 1e-4  # of conjugate gradients
_NUM_POWER_STEPS = 30
_MARGIN = 1.1  # above what that many steps find of the largest eigenvalue


class Judgment(NamedTuple):
    """What a classifier says of rows that are asked about.

    Attributes:
        scores: Higher means more likely that the row is a positive one; above .5 the
            classifier takes it for one.
        shares: Estimated share in [0, 1]; NaN of a classifier that does not estimate.
        weights: Of each feature, standardized, for the property; NaN of trees.
    """

    scores: Float[Array, " asked"]
    shares: Float[Array, " asked"]
    weights: Float[Array, " features"]


def classify(
    kind: ClassifierKind,
    key: Key[Array, ""],
    features: Float[Array, "rows features"],
    shares: Float[Array, " rows"],
    halves: Int[Array, " rows"],
    asked: Float[Array, "asked features"],
) -> Judgment:
    """Learns to tell rows of share zero from others, and judges the rows asked about.

    Columns are standardized by the training rows first. For linear classifiers, which
    one far entry would sway, entries then end at three standard deviations: a unit that
    hardly any batch excites has a column that is nearly constant.

    Args:
        kind: Name of a classifier.
        key: Of what it draws.
        features: Training rows.
        shares: Of each training row, such as of the samples with the property.
        halves: 0 or 1 for each training row. Rows of different halves have no sample in
            common, so that the one says how well a fit to the other does.
        asked: Rows to judge.

    Returns:
        Scores; NaN for all rows if a training row is not finite, and for each row asked
        about that is not.
    """
    middle, width = jnp.mean(features, axis=0), jnp.std(features, axis=0)
    width = jnp.where(width > 0, width, 1.0)
    rows = (features - middle[None, :]) / width[None, :]
    there = (asked - middle[None, :]) / width[None, :]
    is_positive = shares > 0
    is_finite = jnp.all(jnp.isfinite(rows)) & jnp.all(jnp.isfinite(there), axis=1)
    nothing = jnp.full(len(asked), jnp.nan)
    if kind in ("ridge", "logistic"):
        rows, there = (jnp.clip(x, -_FARTHEST, _FARTHEST) for x in (rows, there))
        moved = jnp.mean(rows, axis=0)[None, :]
        rows, there = rows - moved, there - moved
    if kind == "ridge":
        both = jnp.stack([is_positive.astype(rows.dtype), shares], axis=1)
        found, both_weights = ridge(rows, both, halves, there)
        scores, estimates = found[:, 0], jnp.clip(found[:, 1], 0.0, 1.0)
        weights = both_weights[:, 0]
    elif kind == "logistic":
        scores, weights = logistic(rows, is_positive, there)
        estimates = nothing
    else:
        scores, estimates = trees(kind, key, rows, is_positive, there), nothing
        weights = jnp.full(rows.shape[1], jnp.nan)
    return Judgment(
        scores=jnp.where(is_finite, scores, jnp.nan),
        shares=jnp.where(is_finite, estimates, jnp.nan),
        weights=weights,
    )


def ridge(
    rows: Float[Array, "rows features"],
    targets: Float[Array, "rows targets"],
    halves: Int[Array, " rows"],
    asked: Float[Array, "asked features"],
) -> tuple[Float[Array, "asked targets"], Float[Array, "features targets"]]:
    """Linear regression of the targets with a penalty on the squared weights.

    Returns what it says of the rows asked about, and the weights.

    The penalty is the one whose fits to either half do best on the other, in the first
    target. (Leaving out single rows would choose one that is far too small, as batches
    share samples.) Rows are looked at once, for XᵀX and XᵀY of each half, from which
    all else follows; equations are solved by conjugate gradients, all strengths and
    targets at once. Columns are taken to have mean zero.
    """
    middle = jnp.mean(targets, axis=0)
    others = targets - middle[None, :]
    strengths = jnp.array(_STRENGTHS, rows.dtype)
    is_in = [(halves == half).astype(rows.dtype)[:, None] for half in (0, 1)]
    first, second = ((part * rows).T @ rows for part in is_in)
    of_first, of_second = ((part * rows).T @ others for part in is_in)
    smaller = min(rows.shape)

    def solve(gram, right, strengths):
        """(gram + strength · mean eigenvalue)⁻¹ right, for each strength."""
        penalties = strengths * jnp.trace(gram) / smaller
        penalties = jnp.where(penalties > 0, penalties, 1.0)

        def one(penalty, column):
            found = conjugate_gradients(
                lambda z: gram @ z + penalty * z,
                column[:, None],
                num_iterations=_NUM_ITERATIONS,
                tolerance=_TOLERANCE,
            )
            return found.best_solution[:, 0]

        of_columns = jax.vmap(one, in_axes=(None, 1), out_axes=1)
        return jax.vmap(of_columns, in_axes=(0, None))(penalties, right)

    def lost(weights, gram, right):
        """Squared errors, but for a constant, on rows of such products."""
        kept = jnp.einsum("sf,fg,sg->s", weights, gram, weights)
        return kept - 2.0 * weights @ right

    on_second = lost(
        solve(first, of_first, strengths)[:, :, 0], second, of_second[:, 0]
    )
    on_first = lost(solve(second, of_second, strengths)[:, :, 0], first, of_first[:, 0])
    best = strengths[jnp.argmin(on_first + on_second)]
    weights = solve(first + second, of_first + of_second, best[None])[0]
    return middle[None, :] + asked @ weights, weights


def logistic(
    rows: Float[Array, "rows features"],
    is_positive: Bool[Array, " rows"],
    asked: Float[Array, "asked features"],
) -> tuple[Float[Array, " asked"], Float[Array, " features"]]:
    """Probabilities by logistic regression with a penalty on the squared weights.

    Accelerated gradient descent with the step that the largest curvature allows:
    Nesterov's method for losses whose least curvature is known, the penalty's.
    Returns those of the rows asked about, and the weights.
    """
    targets = is_positive.astype(rows.dtype)
    number = len(rows)
    share = jnp.mean(targets)
    weights = jnp.zeros(rows.shape[1], rows.dtype)

    def power_step(direction, _):
        moved = rows.T @ (rows @ direction)
        return moved / jnp.maximum(jnp.linalg.norm(moved), 1e-30), None

    first = jnp.ones(rows.shape[1], rows.dtype) / rows.shape[1] ** 0.5
    direction, _ = jax.lax.scan(power_step, first, None, length=_NUM_POWER_STEPS)
    largest = jnp.sum(jnp.square(rows @ direction)) / number
    curvature = _MARGIN * 0.25 * jnp.maximum(largest, 1.0) + _WEIGHT_DECAY
    root = jnp.sqrt(_WEIGHT_DECAY / curvature)
    momentum = (1.0 - root) / (1.0 + root)

    def step(carry, _):
        (weights, constant), (before, constant_before) = carry
        ahead = weights + momentum * (weights - before)
        constant_ahead = constant + momentum * (constant - constant_before)
        errors = jax.nn.sigmoid(rows @ ahead + constant_ahead) - targets
        slope = rows.T @ errors / number + _WEIGHT_DECAY * ahead
        moved = ahead - slope / curvature
        constant_moved = constant_ahead - jnp.mean(errors) / curvature
        return ((moved, constant_moved), (weights, constant)), None

    odds = jnp.log(jnp.maximum(share, 1e-6)) - jnp.log(jnp.maximum(1.0 - share, 1e-6))
    start = weights, odds
    ((weights, constant), _), _ = jax.lax.scan(
        step, (start, start), None, length=_NUM_STEPS
    )
    return jax.nn.sigmoid(asked @ weights + constant), weights


def trees(
    kind: ClassifierKind,
    key: Key[Array, ""],
    rows: Float[Array, "rows features"],
    is_positive: Bool[Array, " rows"],
    asked: Float[Array, "asked features"],
) -> Float[Array, " asked"]:
    """Probabilities of a forest, or of boosted trees, by scikit-learn on the host.

    For arrays that are there: a callback from within a program would wait for ever
    where several devices of one processor make one.

    Raises:
        ValueError: Inside of `jit` or `vmap`.
    """
    is_there = not isinstance(rows, Tracer)
    allowed = "ridge or logistic inside of jit and vmap; trees grow outside of them"
    require(is_there, "classifier", kind, allowed)
    seed = jax.random.randint(key, (), 0, np.iinfo(np.int32).max)
    given = (np.asarray(array) for array in (rows, is_positive, asked))
    return jnp.asarray(_grow(kind, int(seed), *given))


def _grow(
    kind: str, seed: int, rows: np.ndarray, is_positive: np.ndarray, asked: np.ndarray
) -> Any:
    """The part in NumPy."""
    from sklearn import ensemble

    nothing = np.full(len(asked), np.nan, rows.dtype)
    is_fit = np.isfinite(asked).all(axis=1)
    if not np.isfinite(rows).all() or not is_fit.any():
        return nothing
    if kind == "boosting":
        model = ensemble.HistGradientBoostingClassifier(random_state=seed)
    elif kind == "forest":
        model = ensemble.RandomForestClassifier(50, random_state=seed, n_jobs=-1)
    else:
        model = ensemble.RandomForestClassifier(
            100, min_samples_leaf=5, min_samples_split=5, random_state=seed, n_jobs=-1
        )
    model.fit(rows, is_positive)
    nothing[is_fit] = np.asarray(model.predict_proba(asked[is_fit]))[:, 1]
    return nothing
