"""Count labels by the signs and sizes of the last layer's gradient: LLG, LLG*, LLG+.

Wainakh et al., "User-Level Label Leakage from Gradients in Federated Learning" (PoPETs
2022, https://doi.org/10.2478/popets-2022-0043). With softmax and cross-entropy the sum
of row i of the last layer's gradient, averaged over B samples, is

    g_i = (1/B) Σ_b (p_{b,i} − 1[y_b = i])·a_b,     a_b = Σ_k h_{b,k},

where h_b is what the layer is given and p_b the softmax. Where all a_b >= 0, a negative
g_i says that class i is there, and in an untrained network g_i ≈ λ_i·m + s_i: each of
the λ_i samples adds the *impact* m < 0, all others together the *offset* s_i >= 0.

The released code finds m and s by 10·n batches through the whole network and back. Both
are closed forms of (h, p), one forward pass: the row sums of an update of samples of
class c alone are the mean of (p − e_c)·a over them.
"""

import dataclasses
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from vfljax.attacks.base import CountInference
from vfljax.attacks.counting import (
    CountAttack,
    count_inference,
    ranks,
    row_sums,
    run_head,
    sum_over_auxiliary,
)
from vfljax.known import NOTHING, Known
from vfljax.protocol import UpdateView


class Calibration(NamedTuple):
    """What one sample does to the row sums.

    Attributes:
        impact: m, what a sample adds to the sum of its own class.
        offset: s, what the others add.
    """

    impact: Float[Array, ""]
    offset: Float[Array, " classes"]


class RowSums(NamedTuple):
    """What the counts were read off.

    Attributes:
        raw: Sum of each row of the last layer's gradient, g.
        corrected: The same less its offset, g − s.
        impact: What each label adds, m.
    """

    raw: Float[Array, " classes"]
    corrected: Float[Array, " classes"]
    impact: Float[Array, ""]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _ByRowSums(CountAttack):
    """What all variants have in common."""

    second_stage: Literal["each_label", "stale_index"] = "each_label"
    """Whose row sum rises by one step after a label is taken: that of its own class
    (each_label), or always that of the last class, a defect of the code of breaching
    by which nearly all further labels go to one class (stale_index)."""

    def read(
        self, sums: Float[Array, " classes"], calibration: Calibration, view: UpdateView
    ) -> CountInference:
        """Takes the labels off the row sums, if everything is finite."""
        is_stale = self.second_stage == "stale_index"
        counts = extract(sums, calibration, view.num_labels, is_stale=is_stale)
        impact, offset = calibration
        numbers: Any = jnp.concatenate([sums, offset, impact[None]])
        is_finite = jnp.all(jnp.isfinite(numbers))
        estimates = jnp.where(is_finite, counts.astype(sums.dtype), jnp.nan)
        info = RowSums(sums, sums - offset, impact)
        return count_inference(estimates, view.num_labels, info)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LLG(_ByRowSums):
    """Count labels by signs and sizes of the row sums, from the gradient alone.

    The impact is the sum of the negative row sums over the number of labels, times
    1 + 1/n, which corrects for the confidence 1/n of an untrained network; the offset
    is zero. The only variant that stays calibrated when the network is trained, and
    below random guesses for large batches of all classes.
    """

    def __call__(self, key, view, known: Known = NOTHING) -> CountInference:
        """Infers from one view; neither key nor knowledge is used."""
        sums = row_sums(view, self.layer)
        negative = jnp.sum(jnp.minimum(sums, 0.0))
        impact = (1 + 1 / view.num_classes) * negative / view.num_labels
        return self.read(sums, Calibration(impact, jnp.zeros_like(sums)), view)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Calibrated(_ByRowSums):
    """What the variants that know the network have in common."""

    reading: Literal["consistent", "released"] = "consistent"
    """How m and s of one batch become those of K local steps: as m and K·s, which small
    steps have (consistent), or as m/K and s, which the released code takes although it
    sums the steps' gradients, K times too little (released). Both agree for K = 1."""

    def scaled(self, calibration: Calibration, num_steps: int) -> Calibration:
        """Those of an update of K steps."""
        impact, offset = calibration
        if self.reading == "released":
            return Calibration(impact / num_steps, offset)
        return Calibration(impact, num_steps * offset)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LLGStar(_Calibrated):
    """LLG calibrated on dummy inputs, for which the network is needed.

    With a̅ the mean of a over the dummies, m = −(1 − 1/n²)·a̅/B whatever the network
    answers, and s_i is the mean of p_i·a. The best for untrained networks without any
    data, and the worst for trained ones, whose answers to dummies are unlike those to
    data.
    """

    dummy: Literal["zero", "one", "random"] = "zero"
    """What dummy inputs are: all zero, all one, or uniform in [0, 1]; published zero
    for MNIST and CelebA, one for CIFAR-100, random for SVHN (where the released code
    draws unbounded integers)."""
    num_dummies: int = 80
    """Number of random dummy inputs, at least 1; one is enough of those that are all
    the same."""
    ranges: ClassVar = {"num_dummies": {"low": 1}}
    knowledge = "the network"

    def __call__(self, key, view, known: Known = NOTHING) -> CountInference:
        """Infers from one view; the key is of random dummies."""
        sums, num_classes = row_sums(view, self.layer), view.num_classes
        inputs, probabilities = run_head(view, self._dummies(key, view), self.layer)
        totals = jnp.sum(inputs, axis=1)
        impact = -(1 - num_classes**-2) * jnp.mean(totals) / view.batch_size
        offset = jnp.mean(probabilities * totals[:, None], axis=0)
        calibration = self.scaled(Calibration(impact, offset), view.num_steps)
        return self.read(sums, calibration, view)

    def _dummies(self, key, view):
        if self.dummy == "random":
            return jax.random.uniform(key, (self.num_dummies, *view.sample_shape))
        value = 0.0 if self.dummy == "zero" else 1.0
        return jnp.full((1, *view.sample_shape), value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LLGPlus(_Calibrated):
    """LLG calibrated on labeled samples of the adversary's own.

    With A_c its samples of class c, m = (1 + 1/n)/(n·B) Σ_c mean_{A_c} (p_c − 1)·a and
    s_i = 1/(n − 1) Σ_{c≠i} mean_{A_c} p_i·a. Without an answer where a class has no
    such sample.
    """

    uses = ("auxiliary_features", "auxiliary_labels")
    knowledge = "the network and labeled samples"

    def __call__(self, key, view, known: Known = NOTHING) -> CountInference:
        """Infers from one view and the samples; the key is not used."""
        sums = row_sums(view, self.layer)
        calibration = calibrate(view, known, self.layer)
        return self.read(sums, self.scaled(calibration, view.num_steps), view)


def calibrate(view: UpdateView, known: Known, layer: str) -> Calibration:
    """Impact and offset of one batch from labeled samples, in one forward pass.

    Args:
        view: Of which the network, its parameters and the batch size are used.
        known: Has `auxiliary_features` and `auxiliary_labels`.
        layer: Name of the network's last dense layer.
    """

    def summands(one_hot, inputs, probabilities):
        totals = jnp.sum(inputs, axis=1, keepdims=True)
        own = jnp.sum(one_hot * (probabilities - 1) * totals, axis=0)
        others = one_hot.T @ (probabilities * totals)
        return jnp.sum(one_hot, axis=0), own, others

    num_classes = view.num_classes
    found, own, others = sum_over_auxiliary(view, known, layer, summands)
    impact = (1 + 1 / num_classes) / view.batch_size * jnp.mean(own / found)
    others = (others / found[:, None]) * (1 - jnp.eye(num_classes))
    return Calibration(impact, jnp.sum(others, axis=0) / (num_classes - 1))


def extract(
    sums: Float[Array, " classes"],
    calibration: Calibration,
    total: int,
    *,
    is_stale: bool = False,
) -> Int[Array, " classes"]:
    """Takes `total` labels off the row sums, one after the other; all at once here.

    First each class with a negative sum, the most negative ones if there are more than
    labels, then always the class with the smallest of what is left: the sum less its
    offset, less m for each label it has. That is to take the smallest of all
    u_i − m·t, t = 0, 1, ...; of equal ones the lowest class first. Where m >= 0, which
    no calibration on features that are not negative gives, one class gets the rest.
    With `is_stale` only the last class has such steps; see `second_stage`.

    Returns:
        The number of labels of each class.
    """
    impact, offset = calibration
    certain = (sums < 0) & (ranks(sums) < total)
    left = sums - impact * certain - offset
    steps = -jnp.minimum(impact, 0.0) * jnp.arange(total)
    rises = jnp.arange(len(sums)) >= (len(sums) - 1 if is_stale else 0)
    table = (left[:, None] + rises[:, None] * steps[None, :]).reshape(-1)
    is_taken = ranks(table) < total - jnp.sum(certain)
    more = jnp.sum(is_taken.reshape(-1, total), axis=1)
    return (certain + more).astype(jnp.int32)
