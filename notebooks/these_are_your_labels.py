# %% [markdown]
# # These are your labels
#
# Two companies know different things about the same people, and one of them knows
# what both want to predict. They train a model together, with encryption, so that
# neither sees the other's numbers. Below, the other company reads all labels off the
# one thing it has to decrypt: the gradient of its own parameters.
#
# Runs in half a minute; `VFLJAX_SMALL=1` in the environment makes it a few seconds.
# `VFLJAX_FIGURE_DIR` names a folder for the figure.

# %%
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from vfljax import attacks, data, losses, metrics, protocol

is_small = os.environ.get("VFLJAX_SMALL") == "1"
batch_sizes = (17, 56, 512) if is_small else (4, 8, 17, 24, 32, 56, 80, 128, 256, 512)
num_trials = 4 if is_small else 20
num_classes = 10

# %% [markdown]
# ## Two companies, the same pictures
#
# Handwritten digits stand in for customers. Company A holds the left half of every
# picture, company B the right half and, alone, the labels. This is *vertical*
# federated learning: the features are split, not the samples.

# %%
digits = data.load("digits")
left, right = (
    jnp.asarray(half.reshape(len(half), -1))
    for half in data.split_features(digits.train_features, "columns")
)
labels = jnp.asarray(digits.train_labels)

# %% [markdown]
# Each company runs a network of its own, from its features to one logit per class;
# the two are added before the softmax. A network is any pair of functions over a tree
# of parameters, here one hidden layer of 16 units:


# %%
def init(key, features):
    keys, sizes = jax.random.split(key), (features.shape[1], 16, num_classes)
    layers = zip(("hidden", "output"), keys, sizes[:-1], sizes[1:], strict=True)
    return {
        name: {"kernel": jax.random.normal(k, (m, n)) / m**0.5, "bias": jnp.zeros(n)}
        for name, k, m, n in layers
    }


def hidden(params, features):
    return jnp.tanh(features @ params["hidden"]["kernel"] + params["hidden"]["bias"])


def apply(params, features):
    outputs = hidden(params, features) @ params["output"]["kernel"]
    return outputs + params["output"]["bias"]


model = protocol.PartyModel(init, apply)

# %% [markdown]
# ## What company A decrypts
#
# With encryption on, the logits and their gradients cross as ciphertexts. A computes
# with them blindly and has only the result decrypted: the gradient of the loss with
# respect to its own parameters, averaged over the batch. It needs that number for its
# next step. Computing on ciphertexts gives the same gradient as computing in the
# clear, so we take it in the clear; the attack gets a view, which holds what A has,
# no more.


# %%
def what_a_sees(params_a, params_b, rows):
    def loss(params):
        logits = apply(params, left[rows]) + apply(params_b, right[rows])
        return losses.cross_entropy(logits, jax.nn.one_hot(labels[rows], num_classes))

    gradient = jax.grad(loss)(params_a)
    return protocol.BatchGradientView(
        model, params_a, left[rows], gradient, num_classes
    )


rng = np.random.default_rng(0)
key_a, key_b = jax.random.split(jax.random.key(0))
params_a = init(key_a, left)
rows = rng.permutation(len(left))[:32]
view = jax.jit(what_a_sees)(params_a, init(key_b, right), rows)

# %% [markdown]
# ## Every label of the batch
#
# A does not know the matrix $U$ of loss gradients with respect to the logits, one row
# per sample. But its own gradient is *linear* in it, $g = J^\top U$, and $J$, the
# derivative of A's logits with respect to A's parameters, needs nothing that A lacks.
# So A solves for $U$. Its rows are (softmax − one-hot label) / batch size: they sum
# to zero, and the one negative entry is the label.

# %%
inference = jax.jit(attacks.linear_recovery)(view)
print("inferred", *inference.labels)
print("truth   ", *labels[rows])

# %% [markdown]
# ## How large must a batch be to hide them?
#
# A linear system has one solution if it has enough independent equations. With the
# gradient of the last layer alone, whose inputs are $A$, labels are exact up to the
# batch size rank([A, 1]) (Zou et al., 2022, https://arxiv.org/abs/2112.05409, Theorem
# 1, here with a bias). All layers together give more equations: a batch of $B$
# samples in $C$ classes has $B\,(C-1)$ unknowns, and the bound is rank(J) / (C − 1),
# where $J$ acts on rows that sum to zero. Both ranks are computed in double
# precision, the second as the median over three batches of 64 pictures.

# %%
inputs = np.asarray(hidden(params_a, left), np.float64)
bound_last = np.linalg.matrix_rank(np.column_stack([inputs, np.ones(len(inputs))]))


def rank_of_jacobian(rows):
    with jax.enable_x64(True):
        params, features = jax.tree.map(
            lambda leaf: jnp.asarray(leaf, jnp.float64), (params_a, left[rows])
        )
        leaves = jax.tree.leaves(jax.jit(jax.jacobian(apply))(params, features))
        columns = [np.reshape(leaf, (len(rows), num_classes, -1)) for leaf in leaves]
    jacobian = np.concatenate(columns, axis=2)
    jacobian -= jacobian.mean(axis=1, keepdims=True)
    return np.linalg.matrix_rank(jacobian.reshape(len(rows) * num_classes, -1))


batches_of_64 = [rng.permutation(len(left))[:64] for _ in range(3)]
ranks = [rank_of_jacobian(rows) for rows in batches_of_64]
bound_all = np.median(ranks) / (num_classes - 1)
print(f"last layer: B <= {bound_last}, all layers: B <= {bound_all:.1f}")

# %% [markdown]
# Each trial has a batch of its own, without repeated pictures, and a fresh network at
# company B; company A's network stays, as the bounds are its. Conjugate gradients are
# the faster of the two solvers, and enough unless a batch is right at the bound.


# %%
@jax.jit
@jax.vmap
def accuracies(params_b, rows):
    view = what_a_sees(params_a, params_b, rows)
    last, everything = (
        attacks.linear_recovery(view, layers=layers, solver="cg").labels
        for layers in (("output",), None)
    )
    return {
        "last layer only": metrics.accuracy(last, labels[rows]),
        "all layers": metrics.accuracy(everything, labels[rows]),
        "chance": metrics.chance_accuracy(jnp.bincount(labels, length=num_classes)),
    }


keys = jax.random.split(jax.random.key(1), num_trials)
networks_b = jax.vmap(lambda key: init(key, right))(keys)
by_batch_size = []
for batch_size in batch_sizes:
    draws = [rng.permutation(len(left))[:batch_size] for _ in range(num_trials)]
    by_batch_size.append(accuracies(networks_b, jnp.asarray(draws)))
results = {
    name: np.array([trials[name] for trials in by_batch_size])
    for name in by_batch_size[0]
}

# %%
figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
for name, bound, formula, color, marker in (
    ("last layer only", bound_last, "rank([A, 1])", "#D55E00", "s"),
    ("all layers", bound_all, "rank(J) / (C - 1)", "#0072B2", "o"),
):
    low, high = np.quantile(results[name], (0.1, 0.9), axis=1)
    axes.fill_between(batch_sizes, low, high, color=color, alpha=0.2, linewidth=0)
    axes.plot(batch_sizes, results[name].mean(axis=1), color=color, marker=marker)
    axes.annotate(
        name,
        (batch_sizes[-1], results[name][-1].mean()),
        xytext=(8, 0),
        textcoords="offset points",
        color=color,
        va="center",
    )
    axes.axvline(bound, color=color, linestyle="--", linewidth=1)
    axes.annotate(
        f"{formula} = {bound:.3g}",
        (bound, 0.3),
        xytext=(-4, 0),
        textcoords="offset points",
        color=color,
        rotation=90,
        ha="right",
    )
axes.plot(batch_sizes, results["chance"].mean(axis=1), color="0.45", linestyle=":")
axes.annotate(
    "chance",
    (batch_sizes[-1], results["chance"][-1].mean()),
    xytext=(8, 0),
    textcoords="offset points",
    color="0.35",
    va="center",
)
axes.set_xscale("log", base=2)
axes.xaxis.set_major_formatter("{x:g}")
axes.set(xlabel="batch size B", ylabel="share of labels recovered", ylim=(0, 1.04))
axes.spines[["top", "right"]].set_visible(False)
if "VFLJAX_FIGURE_DIR" in os.environ:
    folder = Path(os.environ["VFLJAX_FIGURE_DIR"])
    figure.savefig(folder / "these_are_your_labels.png", dpi=200)
plt.show()

# %% [markdown]
# Mean over trials, band from the 10th to the 90th percentile, dashed the bounds;
# *chance* is always naming the most frequent digit. At sizes up to its
# bound each attack recovers every label. Beyond it the system has many solutions, but
# the smallest of them, which conjugate gradients find, still has most labels right.
#
# ## What this means
#
# Encrypting messages and averaging over a batch do not hide labels: whoever trains on
# a gradient can solve for what is in it. Larger batches help only beyond what the
# network's parameters can resolve, and slowly. A defense has to change what is sent.
# Strong noise hides labels and costs accuracy; rounding or dropping some entries
# looks like protection mainly to weaker attacks. `vfljax run quickstart` puts numbers
# on that for these digits. Here the networks were untrained and smooth; units that
# are switched off, as with ReLU, lower both ranks.
#
# Use this on models and data that you are responsible for or have been asked to test,
# to decide what needs protection before anybody's labels depend on it.

# %%
sizes = np.array(batch_sizes)
last_layer, all_layers = results["last layer only"], results["all layers"]
assert np.array_equal(inference.labels, labels[rows])
assert np.all(last_layer[sizes <= bound_last] == 1.0)
assert np.all(all_layers[sizes <= bound_all] == 1.0)
assert np.all(last_layer[-1] < 0.9)
assert np.all(all_layers[-1] < 0.97)
assert np.all(last_layer[-1] > 3 * results["chance"][-1])
for name, accuracy in results.items():
    print(f"{name:16}", *(f"{value:.3f}" for value in accuracy.mean(axis=1)))
