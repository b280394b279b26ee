"""Labels from the batch gradient of residual networks, in the mode they ran in.

Batch normalization and dropout change the gradient: an attack has to run the network
as the adversary did, with the statistics of the batch or the running ones, and with the
same units dropped.
"""

import functools

import jax
import jax.numpy as jnp
import optax

from vfljax import protocol

BATCH, CLASSES = 10, 3
EXCHANGE = functools.partial(jax.jit, static_argnums=0)


def make_view(model, features, labels, mode, num_classes):
    """The first party's view of one exchange of untrained networks, compiled."""
    run = protocol.sum_of_logits(
        (model, model), (optax.identity(),) * 2, num_classes=num_classes, mode=mode
    )

    @jax.jit
    def exchange(features, labels):
        state = run.init(jax.random.key(1), features)
        rows = jnp.arange(len(labels))
        transcript, _ = run.exchange(jax.random.key(2), state, features, labels, rows)
        return protocol.batch_gradient_view(run, state, features[0], transcript)

    return exchange(features, labels)
