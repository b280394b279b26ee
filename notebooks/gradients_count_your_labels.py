# %% [markdown]
# # Gradients count your labels
#
# Many hospitals, phones or shops train one model together and never send their data:
# each sends a gradient of the model on a few samples of its own. This is *horizontal*
# federated learning: the samples are split, not the features. Below, whoever reads one
# gradient counts how many samples of each class are behind it, and at last names the
# label of every single one.
#
# Runs in a minute; `VFLJAX_SMALL=1` in the environment makes it a few seconds.
# `VFLJAX_FIGURE_DIR` names a folder for the figures.

# %%
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from vfljax import attacks, data, models, protocol
from vfljax.goals.label_counts import guessed_overlap, overlap

is_small = os.environ.get("VFLJAX_SMALL") == "1"
num_batches = 10 if is_small else 60
num_classes, batch_size = 10, 24

# %% [markdown]
# ## One gradient
#
# Handwritten digits stand in for patients. The model is a small convolutional network
# with sigmoid units, whose weights everybody knows. A participant draws a batch in
# which some classes are more frequent than others, as in any real place, and sends the
# gradient of the mean loss.

# %%
digits = data.load("digits")
images, labels = jnp.asarray(digits.train_features), jnp.asarray(digits.train_labels)
table = data.class_table(digits.train_labels, num_classes)
model = models.SigmoidCNN(start_bound=0.5).make(num_classes)


@jax.jit
def take_part(key):
    """What is seen of one participant, and what it wanted to keep to itself."""
    key_weights, key_labels, key_rows = jax.random.split(key, 3)
    params = model.init(key_weights, images[:1])
    drawn = data.draw_labels(key_labels, "skewed", (1, batch_size), num_classes)
    rows = data.draw_rows_of(key_rows, table, drawn)
    update = protocol.local_update(
        model, params, images[rows], labels[rows], learning_rate=0.1, num_classes=10
    )
    view = protocol.UpdateView(
        model, params, update, 0.1, num_classes, batch_size, images.shape[1:]
    )
    return view, jnp.bincount(drawn[0], length=num_classes)


view, true_counts = take_part(jax.random.key(0))

# %% [markdown]
# ## Read it
#
# The last layer has a row of weights for each class. Softmax and cross-entropy push
# the row of class *i* down once for every sample of that class, and the other rows up
# a little. So the sum of a row counts, roughly, how often its class is there: a
# negative sum says for certain that it is. Wainakh et al. (PoPETs 2022) read counts
# off these sums (LLG); with labeled samples of one's own, such as any public data set,
# the same counts are a small least-squares problem.

# %%
known = attacks.Known(
    auxiliary_features=jnp.asarray(digits.test_features[:200]),
    auxiliary_labels=jnp.asarray(digits.test_labels[:200]),
)
readers = {
    "LLG, the gradient alone": attacks.LLG(),
    "LLG+, with samples of its own": attacks.LLGPlus(),
    "least squares, with the same": attacks.LabelCountLeastSquares(),
}
print("true counts:", np.asarray(true_counts))
for name, attack in readers.items():
    inference = attack(jax.random.key(1), view, known.only(attack.uses))
    print(f"{name}: {np.asarray(inference.counts)}")

# %% [markdown]
# ## Many participants
#
# One batch is an anecdote. Here is the share of labels that are counted rightly, the
# overlap of both histograms, over many participants, beside what as many random labels
# would get.

# %%
keys = jax.random.split(jax.random.key(2), num_batches)
views, truths = jax.vmap(take_part)(keys)
guesses = [guessed_overlap(tuple(true)) for true in np.asarray(truths).tolist()]
guess = float(np.mean(guesses))
found = {}
for name, attack in readers.items():
    run = jax.jit(
        jax.vmap(lambda key, view, of=attack: of(key, view, known.only(of.uses)).counts)
    )
    counts = np.asarray(run(keys, views))
    found[name] = np.mean(
        [overlap(*pair) for pair in zip(counts, np.asarray(truths), strict=True)]
    )
    print(f"{name}: {100 * found[name]:.1f} % (random labels: {100 * guess:.1f} %)")

figure, axes = plt.subplots(figsize=(6, 2.4), layout="constrained")
axes.barh(list(found), [100 * rate for rate in found.values()], color="#3b6ea5")
axes.axvline(100 * guess, color="0.4", linestyle=":", label="random labels")
axes.set_xlabel("labels counted rightly (%)")
axes.set_xlim(0, 100)
axes.invert_yaxis()
axes.legend(loc="lower left")

# %% [markdown]
# ## Why it works, in one picture
#
# Each dot is a class of one batch: how often it is there, and the sum of its row. The
# sums fall by one step for each sample.

# %%
sums = np.asarray(jnp.sum(views.update["output"]["kernel"], axis=1))
scale = np.abs(sums).max(axis=1, keepdims=True)  # networks differ in the size of a step
dots, dots_axes = plt.subplots(figsize=(6, 3), layout="constrained")
dots_axes.scatter(np.asarray(truths), sums / scale, s=8, alpha=0.4, color="#3b6ea5")
dots_axes.axhline(0, color="0.6", linewidth=0.8)
dots_axes.set_xlabel("samples of the class in the batch")
dots_axes.set_ylabel("sum of its row (largest = 1)")

folder = os.environ.get("VFLJAX_FIGURE_DIR")
if folder:
    figure.savefig(Path(folder) / "label_counts.png", dpi=150)
    dots.savefig(Path(folder) / "row_sums.png", dpi=150)

# %% [markdown]
# ## Every single sample
#
# A sum of row updates says more than counts. The gradient of the last layer is a sum of
# one product per sample, of its message (softmax minus one-hot label) and of what the
# layer is given for it, its *embedding*. As the layer's weights are known, each sample
# has to satisfy equations of its own, and up to half as many samples as classes there
# is one solution: the label and the embedding of each, without any data of one's own.
# It says itself when it is certain.


# %%
def small_part(key, size):
    """The update of one small batch, with labels and embeddings of its samples."""
    key_weights, key_rows = jax.random.split(key)
    params = model.init(key_weights, images[:1])
    rows = jax.random.randint(key_rows, (size,), 0, len(images))
    update = protocol.batch_gradient(
        model, params, images[rows], labels[rows], num_classes
    )
    view = protocol.UpdateView(
        model, params, update, 0.1, num_classes, size, images.shape[1:]
    )
    return view, labels[rows], protocol.inputs_of_head(view, images[rows], "output")


view, own_labels, own_embeddings = small_part(jax.random.key(3), size=4)
with jax.enable_x64(True):  # the equations are solved in double precision
    samples = jax.jit(attacks.HeadDecoupling())(jax.random.key(4), view).info
print("labels", np.sort(own_labels), "- recovered", np.asarray(samples.labels))
print("certain of", np.asarray(samples.certified))
gaps = np.linalg.norm(
    np.asarray(samples.embeddings)[:, None] - np.asarray(own_embeddings)[None], axis=2
)
errors = gaps.min(axis=1) / np.linalg.norm(own_embeddings, axis=1).mean()
print("relative errors of the embeddings", errors)

# %% [markdown]
# Property 1 of LLG, that a negative sum means presence, holds without exception: units
# before the last layer are never negative.

# %%
is_negative = sums < 0
assert np.asarray(truths)[is_negative].min() >= 1
assert found["least squares, with the same"] > 0.97
assert min(found.values()) > guess + 0.2
assert samples.certified.all()
assert sorted(np.asarray(samples.labels)) == sorted(np.asarray(own_labels))
assert errors.max() < 0.01
