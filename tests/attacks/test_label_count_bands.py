"""How many labels are counted on MNIST, beside anchors, which are not published.

The published protocol: fresh weights for each
batch, uniform in ±.5, and images from one half of the test images, the attacker's own
from the other.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, data, models, protocol
from vfljax.goals.label_counts import overlap
from vfljax.known import Known

ATTACKS = {
    "llg": attacks.LLG(),
    "zero": attacks.LLGStar(),
    "one": attacks.LLGStar(dummy="one"),
    "plus": attacks.LLGPlus(),
    "squares": attacks.LabelCountLeastSquares(),
}
BANDS = {
    (8, "iid"): {"llg": 0.830, "zero": 0.979, "one": 0.931, "plus": 0.999},
    (32, "iid"): {"llg": 0.804, "zero": 0.970, "one": 0.912, "plus": 0.996},
    (8, "skewed"): {"llg": 0.855, "zero": 0.986, "one": 0.943, "plus": 0.999},
    (32, "skewed"): {"llg": 0.821, "zero": 0.973, "one": 0.921, "plus": 0.992},
}
MODEL = models.SigmoidCNN(start_bound=0.5).make(10)
NUM_BATCHES = 200
NUM_AUXILIARY = 1000


def draw_labels(generator, batch, kind):
    """Uniform, or half of one class, a quarter of another and the rest uniform."""
    if kind == "iid":
        return generator.integers(0, 10, batch)
    first, second = generator.choice(10, 2, replace=False)
    half, quarter = batch // 2, batch // 4
    rest = generator.integers(0, 10, batch - half - quarter)
    return np.concatenate([np.full(half, first), np.full(quarter, second), rest])


@jax.jit
def attack_all(trials, known):
    """Counts by each attack; compiled once for all kinds of batches of a size."""

    def one(trial):
        key, x, y = trial
        params = MODEL.init(key, x)
        view = protocol.UpdateView(
            model=MODEL,
            params=params,
            update=protocol.batch_gradient(MODEL, params, x, y, 10),
            learning_rate=0.1,
            num_classes=10,
            batch_size=len(y),
            sample_shape=(28, 28),
        )
        return {n: each(None, view, known).counts for n, each in ATTACKS.items()}

    return jax.lax.map(one, trials, batch_size=10)


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "kind"), BANDS)
def test_counts_on_mnist_stay_in_their_bands(batch, kind, data_dir):
    """Within .03 of the anchors; 200 batches have standard errors up to .0125.

    Half as many would leave LLG's rate to chance, at .017.
    """
    images = data.load("mnist", data_dir)
    features, labels = images.test_features, images.test_labels
    generator = np.random.default_rng(0)
    rows = generator.permutation(len(labels))
    own, others = rows[:NUM_AUXILIARY], rows[len(rows) // 2 :]
    truth = np.stack([draw_labels(generator, batch, kind) for _ in range(NUM_BATCHES)])
    of_class = [others[labels[others] == c] for c in range(10)]
    chosen = [[generator.choice(of_class[c]) for c in each] for each in truth]

    known = Known(
        auxiliary_features=jnp.asarray(features[own]),
        auxiliary_labels=jnp.asarray(labels[own]),
    )
    keys = jax.random.split(jax.random.key(batch), NUM_BATCHES)
    trials = keys, jnp.asarray(features[np.array(chosen)]), jnp.asarray(truth)
    found = jax.tree.map(np.asarray, attack_all(trials, known))
    true = [np.bincount(each, minlength=10) for each in truth]
    rates = {
        name: float(np.mean([overlap(c, t) for c, t in zip(counts, true, strict=True)]))
        for name, counts in found.items()
    }
    print(batch, kind, {name: round(rate, 3) for name, rate in rates.items()})
    for name, anchor in BANDS[batch, kind].items():
        assert abs(rates[name] - anchor) <= 0.03, (name, rates[name], anchor)
    assert rates["squares"] >= 0.98
    assert rates["plus"] >= rates["zero"] >= rates["llg"]
