# %% [markdown]
# # What the bottom model learned
#
# Two companies train one network together, cut in two: each runs a *bottom* model on
# its own features, and one, which alone has the labels, a *top* model on what comes out
# of both. Labels never leave their company. Below, the other company's half of the
# network has learned them nevertheless, and with forty known labels it tells nearly
# every second of the rest.
#
# After Fu et al., *Label Inference Attacks Against Vertical Federated Learning* (USENIX
# Security 2022). Runs in a few minutes on two idle cores; `VFLJAX_SMALL=1` in the
# environment shortens it, with fewer and coarser pictures. `VFLJAX_DATA` names the
# folder with CIFAR-10, `VFLJAX_FIGURE_DIR` one for the figures.

# %%
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from vfljax import attacks, data, models, optimizers, protocol
from vfljax.attacks.mixmatch import Weights, mixmatch

is_small = os.environ.get("VFLJAX_SMALL") == "1"
num_samples, num_epochs, every_pixel = (600, 50, 2) if is_small else (2000, 40, 1)
num_draws = 1 if is_small else 3  # of the known labels
num_shown, map_steps = (300, 250) if is_small else (1000, 1000)  # of the t-SNE
num_classes = 10
key_model, key_batches, key_train, key_known, key_attack, key_head = jax.random.split(
    jax.random.key(0), 6
)


def show(figure, name):
    if "VFLJAX_FIGURE_DIR" in os.environ:
        figure.savefig(Path(os.environ["VFLJAX_FIGURE_DIR"]) / name, dpi=200)
    plt.show()


# %% [markdown]
# ## Half a picture each
#
# Photographs stand in for customers: company A has the left half of every picture,
# company B the right half and the labels.

# %%
try:
    cifar10 = data.load("cifar10", os.environ.get("VFLJAX_DATA", "../shared/data"))
except data.DataError as error:
    raise SystemExit(f"This page needs CIFAR-10, and there is none: {error}") from None
cifar10 = data.take_rows(cifar10, num_samples, 1000)
left, right = (
    jnp.asarray(half[:, ::every_pixel, ::every_pixel])
    for half in data.split_features(cifar10.train_features, "columns")
)
labels = jnp.asarray(cifar10.train_labels)

# %% [markdown]
# Each trains a small residual network, whose ten outputs, the *embedding*, go to B's
# top model; back comes their gradient. Everybody uses SGD with momentum. In a second
# training, from the same start and in the same batches, A brings the *malicious*
# optimizer: it goes further wherever the gradient keeps its sign, so that the joint
# network comes to lean on A's part. What A runs at home is not for others to see.

# %%
depth, width, embed = 8, 8, 10
bottom = models.resnet(depth, embed=embed, width=width)
top = models.top_mlp((20, 10, 10, num_classes))
num_steps = num_epochs * (num_samples // 32)
learning_rate = optax.piecewise_constant_schedule(
    0.1, {num_steps // 2: 0.1, int(0.85 * num_steps): 0.1}
)
honest = optax.chain(
    optax.add_decayed_weights(5e-4), optax.sgd(learning_rate, momentum=0.9)
)
malicious = optimizers.malicious_sgd(learning_rate, momentum=0.9, weight_decay=5e-4)
batches = protocol.epoch_batches(key_batches, num_samples, 32, num_steps)
train = jax.jit(protocol.train, static_argnums=0)


def trained(optimizer):
    """A's view of its own network before and after a training with its optimizer."""
    run = protocol.model_splitting(
        (bottom, bottom), (optimizer, honest), top, honest, num_classes=num_classes
    )
    start = jax.jit(run.init)(key_model, (left[:1], right[:1]))
    end, step_losses = train(run, key_train, start, (left, right), labels, batches)
    print(f"loss in the end {float(step_losses[-20:].mean()):.2f} nats")
    return [protocol.trained_model_view(run, state, left) for state in (start, end)]


untrained, passive = trained(honest)
_, active = trained(malicious)

# %% [markdown]
# ## What A's half makes of A's pictures
#
# Nothing below is more than A has: its pictures and its bottom model. Embeddings of
# training pictures, from ten dimensions to two by t-SNE, which keeps neighbors
# together. The colors, true classes, are for us; A sees gray. Above each map a number
# that does not depend on t-SNE: of a picture's ten nearest neighbors in all ten
# dimensions, how many share its class; by chance, one in ten.

# %%
embed_all = jax.jit(models.embed, static_argnums=0)
truth = np.asarray(labels)


def embedding_of(view):
    return embed_all(view.model, view.params, view.features, view.forward)


def neighbors_alike(points):
    """Mean share of the ten nearest other samples that have the same class."""
    nearest = NearestNeighbors(n_neighbors=10).fit(points)
    neighbors = nearest.kneighbors(return_distance=False)
    return float(np.mean(truth[neighbors] == truth[:, None]))


alike = {}
figure, panels = plt.subplots(1, 3, figsize=(10.2, 3.9), layout="constrained")
for axes, title, view in zip(
    panels,
    ("untrained", "trained, A honest", "trained, A malicious"),
    (untrained, passive, active),
    strict=True,
):
    points = np.asarray(embedding_of(view))
    alike[title] = neighbors_alike(points)
    few = TSNE(init="pca", max_iter=map_steps, random_state=0).fit_transform(
        points[:num_shown]
    )
    dots = axes.scatter(
        *few.T, c=truth[:num_shown], cmap="tab10", vmin=-0.5, vmax=9.5, s=9, lw=0
    )
    axes.set_title(f"{title}\n{alike[title]:.0%} of neighbors alike", fontsize=10)
    axes.set(xticks=(), yticks=())
    axes.spines[:].set_color("0.8")
handles, _ = dots.legend_elements(num=range(num_classes))
figure.legend(
    handles,
    cifar10.class_names,
    loc="outside lower center",
    ncols=num_classes,
    frameon=False,
    fontsize=9,
    handletextpad=0,
    columnspacing=1,
)
show(figure, "embeddings_by_class.png")
for title, share in alike.items():
    print(f"{title:22}{share:.2f}")

# %% [markdown]
# B's answers, a gradient at a time, have sorted A's pictures by B's labels.
#
# ## Forty known labels
#
# A finds out four labels per class, puts a small head on its bottom model and trains it
# on those and on all its unlabeled pictures (MixMatch): *model completion*. No message
# is used, so encryption is no help. The baseline, *direct*, has the same pictures,
# known labels, network and method, but starts from fresh weights: what A could find
# without B. Here MixMatch mixes embeddings, which takes seconds (`mix="feature"`); the
# published attack mixes pictures. Known labels don't count.

# %%
few_epochs = {
    "settings": attacks.MixMatch(ema_decay=0.99),
    "num_epochs": 10,
    "steps_per_epoch": 32 if is_small else 64,
    "batch_size": 16,
}
table = data.class_table(truth, num_classes)


def found_by(attack, **options):
    """A function from views to the shares of unknown labels found, for each draw."""

    @jax.jit
    def share(view, draw):
        rows = data.draw_known_rows(jax.random.fold_in(key_known, draw), table, 4)
        known = attacks.LabeledRows(rows, labels[rows])
        key = jax.random.fold_in(key_attack, draw)
        inference = attack(key, view, known, **few_epochs, **options)
        is_unknown = jnp.ones(num_samples).at[rows].set(0.0)
        return jnp.average(inference.labels == labels, weights=is_unknown)

    return lambda view: np.array([share(view, draw) for draw in range(num_draws)])


completion = found_by(attacks.model_completion, mix="feature")
shares = {
    "direct": found_by(attacks.direct_semi_supervised)(untrained),
    "passive": completion(passive),
    "active": completion(active),
}
for name, of_draws in shares.items():
    print(f"{name:10}", *(f"{share:.2f}" for share in of_draws))

# %%
figure, axes = plt.subplots(figsize=(5.6, 2.5), layout="constrained")
meanings = {
    "direct": "without B\n(direct)",
    "passive": "A honest\n(passive)",
    "active": "A malicious\n(active)",
}
axes.barh(
    list(meanings.values()),
    [100 * shares[name].mean() for name in meanings],
    color=("0.65", "#0072B2", "#D55E00"),
    height=0.62,
)
for row, name in enumerate(meanings):
    mean, most = 100 * shares[name].mean(), 100 * shares[name].max()
    axes.text(most + 2, row, f"{mean:.0f} %", va="center")
    axes.plot(100 * shares[name], [row] * num_draws, "o", color="0.15", ms=4)
axes.axvline(100 / num_classes, color="0.25", linestyle=":", linewidth=1.2)
axes.annotate(
    "chance",
    (100 / num_classes, 1),
    xycoords=("data", "axes fraction"),
    xytext=(0, 2),
    textcoords="offset points",
    ha="center",
    color="0.25",
    fontsize=9,
)
axes.invert_yaxis()
axes.set(xlabel="training labels found, 4 known per class (%)", xlim=(0, 70))
axes.tick_params(axis="y", length=0)
axes.spines[["top", "right", "left"]].set_visible(False)
show(figure, "labels_found.png")

# %% [markdown]
# Each dot is a draw of the forty known labels, the bar their mean. Between honest and
# malicious this page can't decide: it has one training of each, and a small one. For
# that, `vfljax run fu_cifar10` repeats everything.
#
# ## Where it looks
#
# Now the completed model itself: the head, trained once more as above, on the bottom
# model. Grad-CAM (Selvaraju et al., 2017, https://arxiv.org/abs/1610.02391) weighs the
# channels of the last feature map by how much the score of a class depends on them: red
# is where the model finds most of what speaks for it, each map on its own scale. The
# class is the true one; the pictures are the first of their class that both models name
# right, of those with unknown labels.

# %%
head = models.completion_head(num_classes=num_classes)
parts = models.ResNet(depth=depth, width=width)
known_rows = data.draw_known_rows(jax.random.fold_in(key_known, 0), table, 4)


@jax.jit(static_argnums=0)
def logits_of(model, weights, embeddings):
    return models.embed(
        model, weights.params, embeddings, models.Forward(weights.statistics)
    )


@jax.jit
def trained_head(embeddings):
    """The head of the attack: its averaged weights in the end."""
    start = Weights(
        head.init(key_head, embeddings), models.init_statistics(head, embeddings)
    )
    known = attacks.LabeledRows(known_rows, labels[known_rows])
    teacher, _, _ = mixmatch(
        key_attack,
        head,
        start,
        embeddings,
        known,
        num_classes=num_classes,
        evaluate=lambda teacher: (),
        **few_epochs,
    )
    return teacher


@jax.jit
def looked_at(view, weights, rows):
    """Heat maps for the true classes of some pictures, as large as the pictures."""

    def score_fn(feature_map):
        embeddings = parts.embedding(view.params, feature_map)
        logits = logits_of(head, weights, embeddings)
        return jnp.take_along_axis(logits, labels[rows][:, None], axis=1)[:, 0]

    pictures = view.features[rows]
    feature_map = parts.feature_map(view.params, pictures, view.forward.statistics)
    heat = models.grad_cam(score_fn, feature_map)
    return jax.image.resize(heat, pictures.shape[:3], "linear")


heads = [trained_head(embedding_of(view)) for view in (passive, active)]
is_right = np.all(
    [
        np.argmax(logits_of(head, weights, embedding_of(view)), axis=1) == truth
        for view, weights in zip((passive, active), heads, strict=True)
    ],
    axis=0,
)
is_right[np.asarray(known_rows)] = False
chosen = np.array(
    [
        np.flatnonzero(is_right & (truth == number))[0]
        for number in range(num_classes)
        if np.any(is_right & (truth == number))
    ]
)[:8]
maps = [
    np.asarray(looked_at(view, weights, chosen))
    for view, weights in zip((passive, active), heads, strict=True)
]

# %%
figure, grid = plt.subplots(
    3, len(chosen), figsize=(0.95 * len(chosen) + 0.9, 5.6), layout="constrained"
)
grid = grid.reshape(3, -1)
for column, row in enumerate(chosen):
    picture = np.asarray(left[row])
    gray = picture.mean(axis=2)
    grid[0, column].imshow(picture, interpolation="nearest")
    grid[0, column].set_title(cifar10.class_names[truth[row]], fontsize=9)
    for axes, heat in zip(grid[1:, column], maps, strict=True):
        strength = heat[column] / max(heat[column].max(), 1e-12)
        axes.imshow(gray, cmap="gray", vmin=-0.1, vmax=1.1)
        axes.imshow(plt.get_cmap("turbo")(strength), alpha=0.6 * strength)
for axes in grid.flat:
    axes.set(xticks=(), yticks=())
    axes.spines[:].set_visible(False)
for axes, name in zip(
    grid[:, 0], ("what A has", "A honest", "A malicious"), strict=True
):
    axes.set_ylabel(name, fontsize=10)
show(figure, "where_it_looks.png")

# %% [markdown]
# A was never told what a bird is; its network was, a gradient at a time. What it goes
# by is sometimes the bird and sometimes the sky around an airplane: from so few
# pictures a network learns whatever tells classes apart, and labels leak either way.
#
# ## What to take from it
#
# - What leaks here is not a message but the trained model: defenses of messages help
#   only as far as they keep the bottom model from learning, which is its purpose.
# - The number to report is the gain over the baseline: pictures alone, with forty known
#   labels, already say something.
# - These were pictures that the network was trained on, with few of them to learn from.
#   Runs of `fu_cifar10` have the published sizes and repetitions.
#
# Use this on models and data that you are responsible for or have been asked to test.

# %%
assert shares["passive"].mean() >= shares["direct"].mean() + 0.1
