"""A small training of two or more parties, and roles with a network between them."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
import pytest

from vfljax.protocol import encrypted
from vfljax.protocol.encrypted import messages

_NUM_SAMPLES = 40


def keys_like_training(num_iterations: int, seed: int = 7) -> Any:
    """Those of `protocol.train` for a key."""
    numbers = np.arange(num_iterations)
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), numbers)


class Training(NamedTuple):
    """Everything that `run_here` takes, in its order."""

    agreement: encrypted.Agreement
    passive: list[encrypted.PassiveInputs]
    active: encrypted.ActiveInputs
    batches: np.ndarray


@pytest.fixture(scope="session")
def make_training() -> Callable[..., Training]:
    """Random activations and labels; parties' widths differ."""

    def make(
        batch_size: int = 6,
        widths: Sequence[int] = (4, 5),
        num_classes: int = 3,
        num_iterations: int = 2,
        preset: Any = "small",
        operations: Any = None,
        defense: Any = None,
        seed: int = 0,
        num_samples: int = _NUM_SAMPLES,
        **settings: Any,
    ) -> Training:
        random = np.random.default_rng(seed)
        shapes = [(num_samples, width) for width in widths]
        features = [random.random(shape, np.float32) for shape in shapes]
        params = [
            {
                "output": {
                    "kernel": random.uniform(-1, 1, (width, num_classes)) / width**0.5,
                    "bias": random.uniform(-1, 1, num_classes) / width**0.5,
                }
            }
            for width in widths
        ]
        params = jax.tree.map(np.float32, params)
        optimizer = functools.partial(optax.sgd, 0.1, momentum=0.5)
        passive = [
            encrypted.PassiveInputs(
                activations=of_party,
                params=of_params,
                make_optimizer=optimizer,
                operations=operations or {},
                observe=tuple(range(num_iterations)),
            )
            for of_party, of_params in zip(features[:-1], params[:-1], strict=True)
        ]
        labels = random.integers(0, num_classes, num_samples, np.int32)
        batches = [
            random.choice(num_samples, batch_size, replace=False)
            for _ in range(num_iterations)
        ]
        active = encrypted.ActiveInputs(
            activations=features[-1],
            params=params[-1],
            make_optimizer=optimizer,
            labels=labels,
            keys=keys_like_training(num_iterations),
            defense=defense,
        )
        agreement = encrypted.Agreement(
            num_classes=num_classes,
            batch_size=batch_size,
            widths=tuple(widths),
            preset=preset,
            **settings,
        )
        return Training(agreement, passive, active, np.array(batches))

    return make


class Wire:
    """Roles in one iteration after another; keeps every message as bytes."""

    def __init__(self, training: Training):
        agreement = training.agreement
        self.agreement, self.batches = agreement, training.batches
        self.third_party = encrypted.ThirdParty(agreement)
        self.active = encrypted.ActiveParty(agreement, training.active)
        self.passive = [
            encrypted.PassiveParty(agreement, name, inputs)
            for name, inputs in zip(
                agreement.passive_names, training.passive, strict=True
            )
        ]
        everyone = [*self.passive, self.active, self.third_party]
        self.roles = {role.name: role for role in everyone}
        self.passed: list[bytes] = []
        self._pass_on([self.told(-1, "third_party", "setup")])

    @staticmethod
    def told(iteration, role, kind, *parts):
        message = messages.Message(iteration, "network", role, kind, "public", parts)
        return messages.to_bytes(message)

    def begin(self, iteration: int, role: str) -> list[bytes]:
        """Tells a role that an iteration begins, and returns what it says."""
        rows = [self.batches[iteration].astype("<i8").tobytes()]
        if role == self.third_party.name:
            rows = []
        return self.roles[role].receive(self.told(iteration, role, "batch", *rows))

    def run(self, iteration: int) -> list[messages.Message]:
        """One iteration; returns its messages."""
        first = len(self.passed)
        replies = [
            reply for role in self.roles for reply in self.begin(iteration, role)
        ]
        self._pass_on(replies)
        return [messages.from_bytes(content) for content in self.passed[first:]]

    def _pass_on(self, waiting):
        waiting = list(waiting)
        while waiting:
            content = waiting.pop(0)
            message = messages.from_bytes(content)
            if message.sender != messages.NETWORK:
                self.passed.append(content)
            waiting += self.roles[message.receiver].receive(content)


@pytest.fixture(scope="session")
def make_wire() -> Callable[[Training], Wire]:
    """Roles as objects, for tests that look at single messages."""
    return Wire
