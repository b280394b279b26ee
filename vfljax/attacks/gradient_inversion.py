"""Invert a batch gradient by gradient matching: batch-level label inference (BLI).

Zou et al. (2022, https://arxiv.org/abs/2112.05409), Algorithm 2, with the softmax of
the label variable and Adam as in the released code. The adversary looks for the other
parties' summed logits H' and label logits y' whose

    U' = (softmax(H^p + H') − softmax(y')) / B

explains its batch gradient: min ‖Jᵀ U' − g‖², summed over all its parameters. As g is
linear in U, J Jᵀ and J g are set up once (`vfljax.gradient_map`), and with
v = 2 J(Jᵀ U' − g) the derivatives are the chain rule through two softmaxes,

    ∂/∂H' = S ⊙ (v − Σ_c v S)/B,      ∂/∂y' = −Y' ⊙ (v − Σ_c v Y')/B.
"""

import dataclasses
from collections.abc import Callable, Collection
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from vfljax._checks import POSITIVE
from vfljax.attacks.base import (
    Attack,
    Inference,
    Number,
    inference_from_scores,
    jacobian_of,
)
from vfljax.known import NOTHING, Known
from vfljax.protocol import BatchGradientView, check_view


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientInversion(Attack):
    """Match the batch gradient by gradient descent (encrypted protocol)."""

    steps: int = 10_000
    """Number of Adam steps, at least 1; published 10,000 (MNIST), 20,000 (NUS-WIDE) and
    200 (CIFAR)."""
    learning_rate: Number = 0.05
    """Learning rate of Adam, above 0; published 0.05."""
    layers: tuple[str, ...] | None = None
    """Names of the layers whose gradient is matched; None takes all, as in the released
    code."""
    sees = BatchGradientView
    needs_sum_of_logits = True
    recovers_messages = True
    ranges: ClassVar = {"steps": {"low": 1}, "learning_rate": POSITIVE}

    def __call__(self, key, view, known: Known = NOTHING) -> Inference:
        """Infers from one view; the key is for the initial guess."""
        inversion = make_inversion(view, self.learning_rate, self.layers)
        state, losses = jax.lax.scan(
            lambda state, _: inversion.step(state),
            inversion.init(key),
            length=self.steps,
        )
        message, label_probabilities = inversion.read(state.best_guess)
        is_finite = jnp.isfinite(state.best_loss)
        published = jnp.where(is_finite, jnp.argmax(label_probabilities, axis=0), -1)
        return inference_from_scores(
            -view.features.shape[0] * jnp.where(is_finite, message.T, jnp.nan),
            published_labels=published,
            info=InversionInfo(losses=losses, best_loss=state.best_loss),
        )


class Guess(NamedTuple):
    """The unknowns: other parties' logits H' and label logits y'.

    A row per class, not per sample: sums over the classes are then faster.
    """

    other_logits: Float[Array, "classes batch"]
    label_logits: Float[Array, "classes batch"]


class InversionState(NamedTuple):
    """What the next step needs, and the best guess so far."""

    guess: Guess
    optimizer_state: optax.OptState
    best_guess: Guess
    best_loss: Float[Array, ""]


class Inversion(NamedTuple):
    """The attack as a loop of one's own.

    Attributes:
        init: `init(key) -> state`, guesses from N(0, 1).
        step: `step(state) -> (state, loss)`, the loss ‖Jᵀ U' − g‖² before the step.
        read: `read(guess) -> (message, label_probabilities)`, U' and softmax(y'), both
            (classes, batch).
    """

    init: Callable[[Key[Array, ""]], InversionState]
    step: Callable[[InversionState], tuple[InversionState, Float[Array, ""]]]
    read: Callable[[Guess], tuple[Any, Any]]


class InversionInfo(NamedTuple):
    """Diagnostics: the matching loss before each step and that of the best guess."""

    losses: Float[Array, " steps"]
    best_loss: Float[Array, ""]


def make_inversion(
    view: BatchGradientView,
    learning_rate: Number = GradientInversion.learning_rate,
    layers: Collection[str] | None = GradientInversion.layers,
) -> Inversion:
    """Prepares gradient inversion of one view; options as `GradientInversion`.

    In float32 the loss has a floor of about 1e-7 ‖g‖², where it may be negative;
    guesses below it tie.
    """
    check_view(view)
    jacobian = jacobian_of(view, layers)
    batch = view.features.shape[0]
    own_logits, observed = jacobian.embedding.T, jacobian.push(view.gradient).T
    observed_norm = optax.tree.norm(jacobian.restrict(view.gradient), squared=True)
    optimizer = optax.adam(learning_rate)

    def read(guess):
        softmax = jax.nn.softmax(own_logits + guess.other_logits, axis=0)
        label_probabilities = jax.nn.softmax(guess.label_logits, axis=0)
        return (softmax - label_probabilities) / batch, label_probabilities

    def init(key):
        key_other, key_label = jax.random.split(key)
        shape = own_logits.shape
        guess = Guess(
            other_logits=jax.random.normal(key_other, shape),
            label_logits=jax.random.normal(key_label, shape),
        )
        return InversionState(guess, optimizer.init(guess), guess, jnp.array(jnp.inf))

    def step(state):
        message, label_probabilities = read(state.guess)
        softmax = batch * message + label_probabilities
        explained = jacobian.gram(message.T).T
        with jax.default_matmul_precision("highest"):  # it is a small difference
            loss = observed_norm + jnp.vdot(message, explained - 2.0 * observed)
        v = 2.0 * (explained - observed)
        gradient = Guess(
            other_logits=_through_softmax(softmax, v) / batch,
            label_logits=-_through_softmax(label_probabilities, v) / batch,
        )
        updates, optimizer_state = optimizer.update(gradient, state.optimizer_state)
        is_better = loss < state.best_loss
        new_state = InversionState(
            guess=jax.tree.map(jnp.add, state.guess, updates),
            optimizer_state=optimizer_state,
            best_guess=optax.tree.where(is_better, state.guess, state.best_guess),
            best_loss=jnp.where(is_better, loss, state.best_loss),
        )
        return new_state, loss

    return Inversion(init, step, read)


def gradient_inversion(
    key: Key[Array, ""], view: BatchGradientView, **options: Any
) -> Inference:
    """Infers the labels of a batch from its gradient by gradient matching.

    Args:
        key: For the initial guess.
        view: Of the encrypted protocol.
        options: Fields of `GradientInversion`.

    Returns:
        `labels` are the most negative entry of each row of U', `published_labels` the
        arg-max of y'. Only U' is identified by the gradient: any y' with the same
        difference of softmaxes explains it as well, and for two classes the published
        readout loses 15 points by that. `scores` are −B·U' at the best loss.
    """
    return GradientInversion(**options)(key, view)


def _through_softmax(probabilities, gradient):
    """Pulls a gradient with respect to a softmax back to its logits."""
    mean = jnp.sum(gradient * probabilities, axis=0, keepdims=True)
    return probabilities * (gradient - mean)
