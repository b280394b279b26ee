"""Gradient inversion as published, as a plain PyTorch loop: the reference for speed.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), Algorithm 2, with the choices of
the released code: the gradient of all bottom parameters, softmax(y') for the labels,
batch means, Adam with rate 0.05 from H', y' ~ N(0, 1). Every step runs the bottom model
forward, differentiates the loss with respect to its parameters and differentiates the
distance to the observed gradient once more, through both. Nothing is reused between
steps: that is what the closed form in `vfljax.attacks.gradient_inversion` saves.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import Tensor, nn  # pyright: ignore[reportMissingImports]


class Problem(NamedTuple):
    """What the adversary has: its network, its features and its batch gradient.

    Attributes:
        network: Dense layers with ReLU between them.
        features: (batch, features).
        observed: One gradient per parameter, in the order of `network.parameters()`.
    """

    network: nn.Sequential
    features: Tensor
    observed: tuple[Tensor, ...]


class Search(NamedTuple):
    """The unknowns H' and y' (batch, classes), and the optimizer that owns them."""

    other_logits: Tensor
    label_logits: Tensor
    optimizer: torch.optim.Optimizer


class Readout(NamedTuple):
    """Labels read in two ways: arg-max of y' (published) and arg-min of U'."""

    from_label_logits: np.ndarray
    from_message: np.ndarray


def make_problem(
    params: Mapping[str, Mapping[str, Any]],
    features: np.ndarray,
    gradient: Mapping[str, Mapping[str, Any]],
) -> Problem:
    """Builds the network of `vfljax.models.mlp` in PyTorch.

    Args:
        params: `{layer: {"kernel": (in, out), "bias": (out,)}}`, layers `hidden_0`,
            `hidden_1`, ... and `output`.
        features: (batch, ...), flattened here.
        gradient: Of the same form as `params`.
    """
    names = [*sorted(name for name in params if name != "output"), "output"]
    layers: list[nn.Module] = []
    observed: list[Tensor] = []
    for name in names:
        weight = _tensor(params[name]["kernel"]).T
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(_tensor(params[name]["bias"]))
        layers += [layer] if name == "output" else [layer, nn.ReLU()]
        observed.append(_tensor(gradient[name]["kernel"]).T.contiguous())
        observed.append(_tensor(gradient[name]["bias"]))
    return Problem(
        network=nn.Sequential(*layers),
        features=_tensor(np.reshape(features, (len(features), -1))),
        observed=tuple(observed),
    )


def start(
    other_logits: np.ndarray, label_logits: np.ndarray, learning_rate: float = 0.05
) -> Search:
    """Starts a search from a guess of H' and y', each (batch, classes)."""
    other, label = (
        _tensor(guess).requires_grad_() for guess in (other_logits, label_logits)
    )
    return Search(other, label, torch.optim.Adam([other, label], lr=learning_rate))


def matching_loss(
    problem: Problem, other_logits: Tensor, label_logits: Tensor
) -> Tensor:
    """‖g' − g‖², with g' the gradient that the guess H', y' would have caused."""
    logits = problem.network(problem.features) + other_logits
    targets = torch.softmax(label_logits, dim=1)
    loss = -(targets * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()
    simulated = torch.autograd.grad(
        loss, tuple(problem.network.parameters()), create_graph=True
    )
    distances = [
        ((ours - theirs) ** 2).sum()
        for ours, theirs in zip(simulated, problem.observed, strict=True)
    ]
    return torch.stack(distances).sum()


def step(problem: Problem, search: Search) -> Tensor:
    """One Adam step; returns the loss before it and leaves the gradients in place."""
    search.optimizer.zero_grad()
    loss = matching_loss(problem, search.other_logits, search.label_logits)
    loss.backward()
    search.optimizer.step()
    return loss.detach()


def read(problem: Problem, search: Search) -> Readout:
    """The labels that the current guess stands for."""
    with torch.no_grad():
        embedding = problem.network(problem.features)
        softmax = torch.softmax(embedding + search.other_logits, dim=1)
        message = softmax - torch.softmax(search.label_logits, dim=1)
        return Readout(
            from_label_logits=search.label_logits.argmax(dim=1).numpy(),
            from_message=message.argmin(dim=1).numpy(),
        )


def _tensor(array):
    """A copy in float32, as JAX's own arrays can't be written to."""
    return torch.tensor(np.asarray(array, dtype=np.float32))
