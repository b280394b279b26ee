"""What specs say about a defense, beside what the defense does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax.experiments import PPDL
from vfljax.experiments.defense_specs import Shapes


def send(spec, message, labels, seed=0):
    """The message as the spec's defense sends it at its first strength."""
    shapes = Shapes(
        num_samples=len(message), batch_size=len(message), num_classes=message.shape[1]
    )
    defense = spec.make(spec.strengths[0], shapes)
    perturb = jax.jit(defense.perturb)
    rows = jnp.arange(len(message))
    return perturb(jax.random.key(seed), defense.init(), message, labels, rows)[0]


@pytest.mark.parametrize("exhausted", ["raw", "zero"])
def test_what_ppdl_puts_in_place_of_entries_is_public(exhausted):
    spec = PPDL(strengths=(0.25,), exhausted=exhausted)
    sent = send(spec, jnp.full((8, 5), 0.01), jnp.zeros(8, int))
    size = np.float32(spec.public(0.25, 8, 5).replaced_by)
    assert set(np.abs(np.asarray(sent)).ravel()) == {np.float32(0.0), size}
