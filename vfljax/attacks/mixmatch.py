"""MixMatch, as label inference uses it: a few labeled samples, many unlabeled ones.

Berthelot et al. (2019, https://arxiv.org/abs/1905.02249) in the reading of the
released code of Fu et al. (USENIX Security 2022): no augmentation, one view per sample,
one λ per batch. For n labeled samples (x, y), n unlabeled ones u and a network f:

    q  = p^(1/T) / Σ p^(1/T),  p = softmax(f(u))      sharpened guesses, no gradient
    X  = [x; u],  Q = [onehot(y); q],  π a permutation
    l  ~ Beta(α, α),  λ = max(l, 1−l),  X' = λX + (1−λ)X_π,  Q' = λQ + (1−λ)Q_π
    L  = CE(f(X'), Q') over the first n
         + λ_u·t/T_total · mean (softmax(f(X')) − Q')² over the rest
    θ  ← Adam(θ),  θ̄ ← .999 θ̄ + .001 θ,  θ ← (1 − .02 η) θ

The teacher θ̄ is what is evaluated. X' runs through the network in two batches of n
that hold half of each kind, so that batch normalization never sees one kind alone.
Running statistics are averaged and shrunk like parameters.
"""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from vfljax import models
from vfljax.attacks.base import Number
from vfljax.losses import cross_entropy
from vfljax.models import Forward, Params, PartyModel, Statistics


class MixMatch(NamedTuple):
    """Hyperparameters, the same for all image and tabular sets in the released code.

    Attributes:
        learning_rate: η of Adam.
        temperature: T of the sharpening, in (0, 1].
        alpha: α of the Beta distribution.
        unlabeled_weight: λ_u at the end of the ramp.
        ema_decay: Of the teacher.
        shrink: Share of η by which weights shrink in each step.
    """

    learning_rate: Number = 2e-3
    temperature: Number = 0.8
    alpha: Number = 0.75
    unlabeled_weight: Number = 50.0
    ema_decay: Number = 0.999
    shrink: Number = 0.02


DEFAULTS = MixMatch()


class Weights(NamedTuple):
    """What a network is run with."""

    params: Params
    statistics: Statistics


class _State(NamedTuple):
    student: Weights
    teacher: Weights
    optimizer_state: optax.OptState


class LabeledRows(NamedTuple):
    """The samples whose labels are known: row numbers and labels, both (known,)."""

    rows: Int[Array, " known"]
    labels: Int[Array, " known"]


def mixmatch(
    key: Key[Array, ""],
    network: PartyModel,
    start: Weights,
    features: Float[Array, "samples ..."],
    known: LabeledRows,
    settings: MixMatch,
    *,
    num_classes: int,
    num_epochs: int,
    steps_per_epoch: int,
    batch_size: int,
    evaluate: Callable[[Weights], Any],
    frozen: Collection[str] = (),
) -> tuple[Weights, Any, Float[Array, " epochs"]]:
    """Trains a network and evaluates its teacher after every epoch.

    Samples of a batch are drawn with replacement, so that a single known sample is
    enough; unlabeled ones are those that are not known.

    Args:
        key: Of batches, mixing and dropout.
        network: From features to logits (batch, classes).
        start: Parameters and running statistics of student and teacher at the start.
        features: Of all samples, the known ones among them.
        known: The labeled samples.
        settings: Hyperparameters, which may be traced.
        num_classes: C.
        num_epochs: T_total; the weight of the unlabeled part is ramped up over it.
        steps_per_epoch: Steps between evaluations.
        batch_size: n, an even number.
        evaluate: What to compute of the teacher after an epoch.
        frozen: Entries of the parameters' dictionary that get no gradient and are not
            averaged; the student's running statistics of them drift all the same, as
            batches are run in training mode.

    Returns:
        The teacher in the end, what `evaluate` gave, stacked over epochs, and the mean
        loss of each epoch.
    """
    optimizer = optax.adam(settings.learning_rate)
    student = start._replace(params=_without(start.params, frozen))
    held = {name: start.params[name] for name in frozen}
    is_known = jnp.zeros(len(features), bool).at[known.rows].set(True)
    unlabeled_rows = jnp.argsort(is_known)[: len(features) - len(known.rows)]

    def forward(params, statistics, x, dropout_key):
        mode = Forward(statistics, dropout_key, is_training=True)
        return models.run(network, _joined(params, held), x, mode)

    def one_step(state: _State, number):
        step_key = jax.random.fold_in(key, number)
        key_rows, key_mix, *dropout_keys = jax.random.split(step_key, 5)
        key_labeled, key_unlabeled = jax.random.split(key_rows)
        labeled = jax.random.randint(key_labeled, (batch_size,), 0, len(known.rows))
        unlabeled = jax.random.choice(key_unlabeled, unlabeled_rows, (batch_size,))
        x, u = features[known.rows[labeled]], features[unlabeled]
        params, statistics = state.student

        guessed, statistics = forward(params, statistics, u, dropout_keys[0])
        targets = jnp.concatenate(
            [
                jax.nn.one_hot(known.labels[labeled], num_classes),
                sharpen(jax.nn.softmax(guessed), settings.temperature),
            ]
        )
        inputs, targets = _mix(
            key_mix, jnp.concatenate([x, u]), targets, settings.alpha
        )
        ramp = number / (num_epochs * steps_per_epoch)
        weight = settings.unlabeled_weight * jnp.clip(ramp, 0.0, 1.0)

        def loss_of(params):
            batches = _interleave(inputs.reshape(2, batch_size, *inputs.shape[1:]))
            first, after = forward(params, statistics, batches[0], dropout_keys[1])
            second, after = forward(params, after, batches[1], dropout_keys[2])
            logits = _interleave(jnp.stack([first, second]))
            loss = mixmatch_loss(logits, targets.reshape(logits.shape), weight)
            return loss, after

        (loss, statistics), gradient = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, optimizer_state = optimizer.update(
            gradient, state.optimizer_state, params
        )
        student = Weights(optax.apply_updates(params, updates), statistics)
        teacher = jax.tree.map(
            lambda old, new: settings.ema_decay * old + (1 - settings.ema_decay) * new,
            state.teacher,
            student._replace(statistics=_without(statistics, frozen)),
        )
        kept = 1.0 - settings.shrink * settings.learning_rate
        student = Weights(
            jax.tree.map(lambda leaf: kept * leaf, student.params),
            _shrunk(student.statistics, kept, frozen),
        )
        return _State(student, teacher, optimizer_state), loss

    def one_epoch(state: _State, epoch):
        numbers = epoch * steps_per_epoch + jnp.arange(steps_per_epoch)
        state, step_losses = jax.lax.scan(one_step, state, numbers)
        return state, (evaluate(whole(state.teacher)), jnp.mean(step_losses))

    def whole(teacher: Weights):
        frozen_statistics = {name: start.statistics[name] for name in frozen}
        return Weights(
            _joined(teacher.params, held),
            _joined(teacher.statistics, frozen_statistics),
        )

    teacher = Weights(student.params, _without(start.statistics, frozen))
    state = _State(student, teacher, optimizer.init(student.params))
    state, (evaluations, losses) = jax.lax.scan(
        one_epoch, state, jnp.arange(num_epochs)
    )
    return whole(state.teacher), evaluations, losses


def sharpen(
    probabilities: Float[Array, "batch classes"], temperature: Number
) -> Float[Array, "batch classes"]:
    """Rows to the power of 1/T, normalized; without a gradient."""
    powers = probabilities ** (1.0 / temperature)
    return jax.lax.stop_gradient(powers / jnp.sum(powers, axis=1, keepdims=True))


def mixmatch_loss(
    logits: Float[Array, "2 batch classes"],
    targets: Float[Array, "2 batch classes"],
    unlabeled_weight: Number,
) -> Float[Array, ""]:
    """Cross-entropy of the labeled half, mean squared entry of the unlabeled half."""
    labeled = cross_entropy(logits[0], targets[0])
    unlabeled = jnp.mean((jax.nn.softmax(logits[1]) - targets[1]) ** 2)
    return labeled + unlabeled_weight * unlabeled


def _mix(key, inputs, targets, alpha):
    """A convex combination of the batch with itself in another order."""
    key_share, key_order = jax.random.split(key)
    share = jax.random.beta(key_share, alpha, alpha)
    share = jnp.maximum(share, 1.0 - share)
    order = jax.random.permutation(key_order, len(inputs))
    return (
        share * inputs + (1.0 - share) * inputs[order],
        share * targets + (1.0 - share) * targets[order],
    )


def _interleave(pair):
    """Swaps the second halves of two batches (2, n, ...); its own inverse."""
    half = pair.shape[1] // 2
    return jnp.concatenate([pair[:, :half], pair[::-1, half:]], axis=1)


def _without(tree, names):
    if not names:
        return tree
    return {name: part for name, part in tree.items() if name not in names}


def _joined(tree, held):
    return {**tree, **held} if held else tree


def _shrunk(statistics, kept, frozen):
    """Trained parts shrink; frozen ones are no part of the optimizer's bookkeeping."""
    shrunk = jax.tree.map(lambda leaf: kept * leaf, _without(statistics, frozen))
    return _joined(shrunk, {name: statistics[name] for name in frozen})
