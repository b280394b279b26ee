# %% [markdown]
# # Encryption was on, and these are your labels
#
# Three processes that exchange nothing but bytes: a passive party with one half of
# every picture, an active party with the other half and the labels, and a third party
# that alone can decrypt. Logits and gradients cross as BFV ciphertexts, everything that
# is decrypted was masked before. Below, the log of their messages, and beside it what
# the passive party reads out of the one thing it is meant to learn: the gradient of its
# own parameters.
#
# Runs in half a minute. `VFLJAX_FIGURE_DIR` names a folder for the figure. Needs
# `pip install 'vfljax[encrypted]'`.

# %%
import functools
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from vfljax import attacks, data, metrics, models, protocol
from vfljax.protocol import encrypted

num_classes, batch_size = 10, 24
num_iterations = 2 if os.environ.get("VFLJAX_SMALL") == "1" else 5

# %% [markdown]
# ## Who has what
#
# The left halves of scikit-learn's digits are the passive party's, the right halves
# and the labels the active party's. Each trains one linear layer on its pixels; logits
# are added. What is agreed beforehand is public: number of classes, size of the batch,
# how many features everybody has, how numbers become integers.

# %%
digits = data.load("digits")
left, right = (
    jnp.asarray(half.reshape(len(half), -1))
    for half in data.split_features(digits.train_features, "columns")
)
key_left, key_right, key_batches, key_defense = jax.random.split(jax.random.key(0), 4)
model = models.mlp((), embed=num_classes)
params = [model.init(key_left, left[:1]), model.init(key_right, right[:1])]
batches = protocol.epoch_batches(key_batches, len(left), batch_size, num_iterations)
sgd = functools.partial(optax.sgd, 0.5)
# One key per iteration for the defense; these are the plain training's.
keys = jax.vmap(jax.random.fold_in, (None, 0))(key_defense, jnp.arange(num_iterations))

agreement = encrypted.Agreement(
    num_classes=num_classes,
    batch_size=batch_size,
    widths=(left.shape[1], right.shape[1]),
)
for name, value in encrypted.describe(agreement).items():
    print(f"{name}: {value}")

# %% [markdown]
# ## Training on ciphertexts
#
# Every role is a process of its own. The secret key is made in the third party's and
# never leaves it.

# %%
run = encrypted.run_in_processes(
    agreement,
    [encrypted.PassiveInputs(left, params[0], sgd, observe=range(num_iterations))],
    encrypted.ActiveInputs(right, params[1], sgd, digits.train_labels, keys),
    batches,
)
log = [record for record in run.messages if record.iteration in (-1, 0)]
for record in log:
    print(
        f"{record.sender:>12} -> {record.receiver:<12} {record.kind:<22} "
        f"{record.form:<18} {record.num_bytes:>9,} bytes  {record.sha256[:12]}"
    )

# %% [markdown]
# ## It is the same training
#
# The plain protocol on the same batches ends with the same weights: encryption neither
# costs accuracy nor hides anything from those who decrypt their own gradient.

# %%
plain = protocol.sum_of_logits((model, model), (sgd(), sgd()), num_classes=num_classes)
labels = jnp.asarray(digits.train_labels)
state = plain.init(key_left, [left[:1], right[:1]])
state = state._replace(params=tuple(params))
trained, _ = protocol.train(plain, key_defense, state, [left, right], labels, batches)
difference = max(
    float(np.max(np.abs(np.asarray(ours) - np.asarray(theirs))))
    for ours, theirs in zip(
        jax.tree.leaves(run.params), jax.tree.leaves(trained.params), strict=True
    )
)
print(f"largest difference of a weight: {difference:.1e}")
assert difference < 1e-5

# %% [markdown]
# ## These are your labels
#
# The gradient is linear in what the active party sent, one row per sample, and the
# batch has no more samples than the layer has inputs. So the rows can be solved for,
# and the most negative entry of each is the label (Zou et al. 2022, Theorem 1). The
# attack gets a `BatchGradientView`; it can't tell whether that came out of a simulation
# or out of ciphertexts.

# %%
recover = jax.jit(functools.partial(attacks.linear_recovery, solver="exact"))
found, rates = {}, []
for iteration, seen in run.observations[0].items():
    found[iteration] = np.asarray(recover(seen.view).labels)
    truth = labels[np.asarray(batches[iteration])]
    rates.append(float(metrics.accuracy(jnp.asarray(found[iteration]), truth)))
print("labels recovered, iteration by iteration:", [f"{rate:.0%}" for rate in rates])
assert np.mean(rates) >= 0.9

# %%
forms = {"encrypted": "#0072B2", "masked plain": "#E69F00", "public": "0.6"}
figure, (axes, grid) = plt.subplots(
    1, 2, figsize=(11, 4.6), layout="constrained", width_ratios=(1.1, 1)
)
axes.set_title("what crossed between the parties, one iteration")
crossed = [record for record in log if record.sender != "network"]
names = [f"{r.sender} → {r.receiver}\n{r.kind}".replace("_", " ") for r in crossed]
colors = [
    next((c for form, c in forms.items() if record.form.startswith(form)), "0.6")
    for record in crossed
]
axes.barh(range(len(names)), [r.num_bytes for r in crossed], color=colors, log=True)
axes.set_yticks(range(len(names)), names, fontsize=7)
axes.invert_yaxis()
axes.set_xlabel("bytes")
handles = [plt.Rectangle((0, 0), 1, 1, color=color) for color in forms.values()]
axes.legend(handles, forms, frameon=False, fontsize=8)

rows = np.asarray(batches[0])
pictures = np.asarray(left).reshape(len(left), 8, -1)[rows]
canvas = np.full((3 * 12, 8 * 6), np.nan)
grid.set_title(f"what it read out of its gradient: {rates[0]:.0%} of the labels")
for place, (picture, label) in enumerate(zip(pictures, found[0], strict=True)):
    row, column = divmod(place, 8)
    canvas[12 * row : 12 * row + 8, 6 * column : 6 * column + 4] = picture
    is_right = label == digits.train_labels[rows[place]]
    grid.text(
        6 * column + 1.5,
        12 * row + 9.6,
        str(label),
        ha="center",
        va="center",
        color="#009E73" if is_right else "#D55E00",
        fontweight="bold",
    )
grid.imshow(canvas, cmap="gray_r")
grid.axis("off")
if "VFLJAX_FIGURE_DIR" in os.environ:
    folder = Path(os.environ["VFLJAX_FIGURE_DIR"])
    figure.savefig(folder / "encryption_was_on.png", dpi=150)

# %% [markdown]
# Encryption did what it promises, and no more: the passive party saw no logits but its
# own, and the third party saw masked numbers. The active party did read the passive
# party's logits, which the exact loss needs, as the description above says; and this
# scheme has no circuit privacy, so what is decrypted carries noise that depends on the
# activations. But what leaked the labels is what the protocol is for, the gradient.
# Defenses have to act on that; `configs/README.md` shows which do, and what they cost.
