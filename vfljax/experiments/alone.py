"""What the adversary could learn from its features with all labels: an upper bound.

No label inference from features can be expected to beat a model trained on the true
labels: Fu et al. (USENIX Security 2022) compare with it where the adversary's share of
the features varies. It is no attack, as nobody but the label party could train it.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from vfljax import losses, metrics, models
from vfljax.experiments.world import World
from vfljax.models import Forward


def alone_accuracy(
    key: Key[Array, ""], world: World, batches: Int[Array, "steps batch"]
) -> Float[Array, ""]:
    """Test accuracy of the adversary's bottom model with a head, trained on all labels.

    Args:
        key: Of weights and dropout.
        world: Whose adversary it is, and what it has.
        batches: Sample numbers of each step, those that the protocol trains on.
    """
    arrays, party, num_classes = world.arrays, world.adversary, world.cell.num_classes
    features, labels = arrays.features[party], arrays.labels
    network = models.completed(world.bottom, num_classes=num_classes)
    optimizer = world.experiment.training.make()
    key_weights, key_training = jax.random.split(key)
    params = network.init(key_weights, features[:1])
    if arrays.pretrained:
        params = models.put_in(params, {"bottom": arrays.pretrained})
    statistics = models.init_statistics(network, features[:1])

    def one_step(state, numbered):
        number, rows = numbered
        params, statistics, optimizer_state = state
        dropout_key = jax.random.fold_in(key_training, number)
        mode = Forward(statistics, dropout_key, is_training=True)

        def loss_of(params):
            logits, after = models.run(network, params, features[rows], mode)
            targets = jax.nn.one_hot(labels[rows], num_classes)
            return losses.cross_entropy(logits, targets), after

        gradient, statistics = jax.grad(loss_of, has_aux=True)(params)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
        params = optax.apply_updates(params, updates)
        return (params, statistics, optimizer_state), None

    start = (params, statistics, optimizer.init(params))
    numbered = (jnp.arange(len(batches)), batches)
    (params, statistics, _), _ = jax.lax.scan(one_step, start, numbered)
    tests, mode = arrays.test_features[party], Forward(statistics)
    logits = models.embed_in_parts(network, params, tests, mode)
    return metrics.accuracy(jnp.argmax(logits, axis=1), arrays.test_labels)
