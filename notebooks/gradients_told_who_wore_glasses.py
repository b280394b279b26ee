# %% [markdown]
# # The gradients told who wore glasses
#
# A model is trained to tell smiles. Nobody ever told it of glasses, no label mentions
# them, and no picture leaves the phone it was taken on. Still whoever trains along can
# tell from the gradients in which round the pictures of another participant were of
# people with glasses (Melis et al., S&P 2019).
#
# We have no smiles and no glasses here but FairFace: the model learns **gender**, and
# the gradients tell whose pictures were of which **race**. Runs in two minutes;
# `VFLJAX_SMALL=1` in the environment makes it half a minute. The data set's files are
# looked for in `VFLJAX_DATA`; `VFLJAX_FIGURE_DIR` names a folder for the figures.

# %%
import os
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from vfljax import attacks, data, models, protocol
from vfljax.experiments import (
    Data,
    Experiment,
    Horizontal,
    TargetProperty,
    Training,
    read_run,
    run_sweep,
)

is_small = os.environ.get("VFLJAX_SMALL") == "1"
num_rounds = 150 if is_small else 480
faces = data.load("fairface", os.environ.get("VFLJAX_DATA", "../shared/data"))
race = faces.property_names["race"].index("Black")
has_it = faces.train_properties["race"] == race
correlation = np.corrcoef(faces.train_labels, has_it)[0, 1]
print(f"{len(has_it)} faces; correlation of gender and property: {correlation:.3f}")

# %% [markdown]
# ## Two participants and one model
#
# In each round both send the gradient of one batch of 32 faces. In half of the rounds,
# drawn at random, all faces of the *target*'s batch have the property; in the other
# rounds none has. The other participant is the *adversary*. It has faces of its own
# with the property and without, and in each round it computes the gradients that
# batches of these would have, at the network as it is in that round. A regression on
# them is then asked about the gradient that it saw.

# %%
network = models.FaceCNN(filters=(8, 16, 32), hidden=64)
watching = attacks.PropertyReader(fractions=(1.0, 1.0, 0.6, 0.6), num_negatives=4)
experiment = Experiment(
    name="glasses",
    data=Data(
        dataset="fairface",
        horizontal=Horizontal(
            target=TargetProperty(name="race", values=("Black",)),
            auxiliary_from="participant",
        ),
    ),
    model=network,
    protocol=protocol.FederatedSGD(num_participants=2, observer="participant"),
    training=Training(
        steps=num_rounds, batch_size=None, optimizer="sgd", learning_rate=0.1
    ),
    batch_sizes=(32,),
    watch_every=3,
    attacks={"ridge": attacks.PropertyInference(reader=watching)},
    record_confusion=True,
    num_trials=1,
)
with tempfile.TemporaryDirectory() as folder:
    for _ in run_sweep(experiment, faces, folder):
        pass
    (row,) = read_run(Path(folder)).rows
scores = np.array(row["score_series"], dtype=float)
had_it = np.array(row["true_series"]) > 0
print(f"AUC of rounds with the property: {row['auc']:.2f} (chance: 0.50)")
print(f"the model's own AUC, of gender: {row['main_auc']:.2f}")

# %%
figure, axes = plt.subplots(figsize=(6, 2.6), layout="constrained")
bins = np.linspace(scores.min(), scores.max(), 20)
for kind, name, color in ((True, "all", "#c55a11"), (False, "none", "#3b6ea5")):
    label = f"{name} of the target's faces have it"
    axes.hist(scores[had_it == kind], bins, alpha=0.6, color=color, label=label)
axes.set_xlabel("score that the adversary gives a round")
axes.set_ylabel("rounds")
axes.legend()

# %% [markdown]
# ## Why it works
#
# A network finds its own way to its task, and the first layers find whatever tells
# pictures apart. We train the same network on gender alone and look at what its layers
# put out for test faces: of each face the ten nearest ones, and how often they share
# the property, or the class. (In the paper, a picture: the first layers group faces by
# race, the last by gender.)

# %%
images, labels = jnp.asarray(faces.train_features), jnp.asarray(faces.train_labels)
model = network.make(2)


@jax.jit
def train(key):
    """Adam with batches of 32."""
    key_weights, key_rows = jax.random.split(key)
    rows = jax.random.randint(key_rows, (1000, 32), 0, len(images))
    params, optimizer = model.init(key_weights, images[:1]), optax.adam(0.001)

    def step(state, rows):
        params, kept = state
        batch = images[rows], labels[rows]
        gradient = protocol.batch_gradient(model, params, *batch, num_classes=2)
        change, kept = optimizer.update(gradient, kept)
        return (optax.apply_updates(params, change), kept), None

    return jax.lax.scan(step, (params, optimizer.init(params)), rows)[0][0]


params = train(jax.random.key(0))
test_race = faces.test_properties["race"] == race
shown = np.concatenate([np.flatnonzero(test_race)[:100], np.flatnonzero(~test_race)])
shown = np.sort(shown[: 2 * min(100, int(test_race.sum()))])
outputs = network.layer_outputs(params, jnp.asarray(faces.test_features[shown]))
outputs = {
    name: np.asarray(each).reshape(len(shown), -1) for name, each in outputs.items()
}
kinds = {"property": test_race[shown], "gender": faces.test_labels[shown] == 1}


def share_of_neighbors(rows, kind):
    """How often the ten nearest rows are of the same kind."""
    nearest = NearestNeighbors(n_neighbors=11).fit(rows).kneighbors(rows)[1][:, 1:]
    return float(np.mean(kind[nearest] == kind[:, None]))


shares = {
    name: {kind: share_of_neighbors(rows, which) for kind, which in kinds.items()}
    for name, rows in outputs.items()
}
for name, found in shares.items():
    print(name, {kind: round(share, 2) for kind, share in found.items()})

# %%
layers, grid = plt.subplots(1, len(outputs), figsize=(11, 3), layout="constrained")
marks = {(False, False): "o", (False, True): "s", (True, False): "o", (True, True): "s"}
for axes, (name, rows) in zip(grid, outputs.items(), strict=True):
    places = TSNE(random_state=0, init="pca").fit_transform(rows)
    for (of_race, is_male), mark in marks.items():
        chosen = (kinds["property"] == of_race) & (kinds["gender"] == is_male)
        color = "#c55a11" if of_race else "#3b6ea5"
        label = f"{'with' if of_race else 'without'}, {'male' if is_male else 'female'}"
        axes.scatter(*places[chosen].T, s=10, marker=mark, color=color, label=label)
    axes.set(title=name, xticks=[], yticks=[])
grid[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5))

folder = os.environ.get("VFLJAX_FIGURE_DIR")
if folder:
    figure.savefig(Path(folder) / "property_scores.png", dpi=150)
    layers.savefig(Path(folder) / "property_layers.png", dpi=150)

# %% [markdown]
# The property has next to nothing to do with the label, and the gradients tell it all
# the same. On the way from the first pool to the last layer neighbors come to share
# gender more often.

# %%
assert abs(correlation) < 0.05
assert row["auc"] > 0.65
assert shares["hidden"]["gender"] > shares["pool_1"]["gender"]
assert shares["pool_1"]["property"] > 0.5
