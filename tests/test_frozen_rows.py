"""Rows of small runs as they were before methods became records: nothing may move.

`golden/frozen_rows.jsonl` was written by the library as it stood then (commit b4b21a0),
with the same settings under their old names. Every column that a row had must be the
same, bit for bit, but for seconds and residuals, which are rounding. What changed on
purpose is in CHANGELOG.md.

XLA adds up in another order on another number of cores, so the runs have a process of
their own with two of them, as the golden rows had; where a machine has one, the test is
skipped. Another kind of processor rounds in another way, too, and training and
clustering enlarge the last bit: there, texts must be equal, and every column of numbers
on average.
"""

import collections
import dataclasses
import hashlib
import json
import math
import os
import runpy
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vfljax import attacks, data, defenses, models
from vfljax.experiments import Data, Experiment, Training, read_run, run_sweep

_ROOT = Path(__file__).parents[1]
_GOLDEN_ROUNDING = "6181d9f886ed3e4d39a2003b58cd3b67731d5437f3db0e7a1e8d35458e4e9bb3"
_FAR = 0.1
_CHANGED: dict[Any, Any] = {
    # A nested attack has no label, so its name stands in words.
    ("fig6", "flip", "knowledge"): "labels inferred by cluster matching",
}


def _config(name):
    if str(_ROOT / "configs") not in sys.path:  # a config may import its neighbors
        sys.path.append(str(_ROOT / "configs"))
    return runpy.run_path(str(_ROOT / "configs" / f"{name}.py"))["make"]("small")


def _quickstart():
    whole = _config("quickstart")
    kept = dict.fromkeys(row["attack"] for row in _frozen("quickstart"))
    chosen = {label: whole.attacks[label] for label in kept}
    chosen["gradient_inversion"] = attacks.GradientInversion(steps=100)
    training = dataclasses.replace(whole.training, steps=100)
    return dataclasses.replace(whole, training=training, attacks=chosen)


def _fig6():
    whole = _config("fig6_mnist")
    few: dict[str, Any] = {"num_poisoned": 100, "num_poisoned_test": 60}
    return dataclasses.replace(
        whole,
        num_trials=2,
        data=dataclasses.replace(whole.data, train_samples=2000, test_samples=500),
        training=dataclasses.replace(whole.training, steps=300),
        attacks={
            **{
                f"gamma_{gamma:g}": attacks.LabelReplacement(amplification=gamma, **few)
                for gamma in (0.0, 10.0, 100.0)
            },
            "stealthy": attacks.LabelReplacement(is_stealthy=True, **few),
            "clustered": attacks.ClusterMatching(),
            "flip": attacks.LabelFlip(of=attacks.ClusterMatching(), **few),
        },
    )


def _repeated():
    return Experiment(
        name="repeated",
        data=Data(dataset="digits", split="columns"),
        training=Training(steps=60, batch_size=64, learning_rate=0.01),
        train_steps=(0, 20, 60),
        same_samples=True,
        batch_sizes=(64,),
        num_trials=2,
        defenses={
            "none": defenses.NoDefense(),
            "laplace": defenses.DPLaplace(noise=(0.003,), reading="released"),
            "sparse": defenses.Sparsification(keep_fraction=(0.1,)),
            "dcae": defenses.Chain(
                defenses.CAE(entropy_weight=(0.5,), num_epochs=1),
                defenses.DiscreteSGD(bins=12),
            ),
        },
        attacks={
            "linear_recovery": attacks.LinearRecovery(),
            "direct_inference": attacks.DirectInference(),
            "own": attacks.OwnPrediction(),
            "noise_aware": attacks.NoiseAwareRecovery(),
            "known_encoder": attacks.KnownEncoder(),
            "entry": attacks.EntryFiltering(),
            "repeated": attacks.RepeatedObservation(),
            "repeated_named": attacks.RepeatedObservation(
                of=attacks.DirectInference(), named_per_class=1
            ),
        },
    )


def _fu_cifar10():
    whole = _config("fu_cifar10")
    return dataclasses.replace(
        whole,
        num_trials=1,
        data=dataclasses.replace(whole.data, train_samples=300, test_samples=200),
        model=models.ResNet(depth=8, width=4),
        training=dataclasses.replace(whole.training, steps=30),
        attacks={
            label: dataclasses.replace(attack, epochs=2, steps_per_epoch=6)
            for label, attack in whole.attacks.items()
        },
    )


def _frozen(run):
    path = Path(__file__).parent / "golden" / "frozen_rows.jsonl"
    rows = map(json.loads, path.read_text().splitlines())
    return [row for row in rows if row.pop("run") == run]


_RUNS = {
    "quickstart": _quickstart,
    "fig6": _fig6,
    "repeated": _repeated,
    "fu_cifar10": _fu_cifar10,
}


def _write_rows(run, data_dir, folder):
    """Runs an experiment into a folder, and says how this processor rounds."""
    experiment = _RUNS[run]()
    warnings.simplefilter("ignore")  # of CIFAR files that are packed otherwise
    dataset = data.load(experiment.data.dataset, Path(data_dir))
    for _ in run_sweep(experiment, dataset, Path(folder)):
        pass
    (Path(folder) / "rounding").write_text(_rounding())


def _rounding():
    """A digest of results that depend on how a processor adds up, without vfljax.

    A trained perceptron and a trained convolution, at the sizes of the frozen runs, and
    the factorizations that attacks use: their last bits differ from one kind of
    processor to another, and so do rows that training and clustering were built on.
    """
    keys = jax.random.split(jax.random.key(0), 6)
    features = jax.random.normal(keys[0], (2048, 784))
    images = jax.random.normal(keys[1], (64, 32, 16, 3))
    weights = [
        jax.random.normal(keys[2], (784, 32)) / 28,
        jax.random.normal(keys[3], (32, 10)) / 6,
        jax.random.normal(keys[4], (3, 3, 3, 8)) / 5,
    ]
    labels = jnp.arange(2048) % 10

    def loss(weights):
        logits = jax.nn.relu(features @ weights[0]) @ weights[1]
        layers = ("NHWC", "HWIO", "NHWC")
        maps = jax.lax.conv_general_dilated(
            images, weights[2], (1, 1), "SAME", dimension_numbers=layers
        )
        entropy = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return jnp.mean(entropy) + jnp.mean(jax.nn.relu(maps) ** 2)

    @jax.jit
    def train(weights):
        def step(weights, _):
            grads = jax.grad(loss)(weights)
            return jax.tree.map(lambda w, g: w - 0.1 * g, weights, grads), None

        return jax.lax.scan(step, weights, length=50)[0]

    trained = train(weights)
    square = features[:64, :64]
    factors = [jnp.linalg.svd(square), jnp.linalg.qr(features[:256, :64])]
    factors.append(jnp.linalg.eigh(square + square.T))
    solved = jnp.linalg.lstsq(features[:256, :64], features[:256, 64:74])[0]
    parts = jax.tree.leaves((trained, factors, solved))
    return hashlib.sha256(b"".join(np.asarray(x).tobytes() for x in parts)).hexdigest()


_ON_TWO_CORES = """
import os, sys
os.sched_setaffinity(0, range(os.cpu_count()))  # a worker of the tests has a share
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])  # before JAX counts them
import jax
jax.config.update("jax_num_cpu_devices", 2)
sys.path.insert(0, sys.argv[1])
import test_frozen_rows
test_frozen_rows._write_rows(*sys.argv[2:])
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or (os.cpu_count() or 1) < 2,
    reason="the golden rows are those of two cores",
)
@pytest.mark.parametrize("run", _RUNS)
def test_rows_are_as_frozen(run, tmp_path, data_dir):
    here = str(Path(__file__).parent)
    arguments = [sys.executable, "-c", _ON_TWO_CORES, here, run, data_dir, tmp_path]
    subprocess.run([str(each) for each in arguments], check=True)
    found = read_run(tmp_path).rows
    expected = _frozen(run)
    assert len(found) == len(expected)
    pairs = [
        (row, name, _CHANGED.get((run, row["attack"], name), value), new.get(name))
        for row, new in zip(expected, found, strict=True)
        for name, value in row.items()
    ]
    if (tmp_path / "rounding").read_text() == _GOLDEN_ROUNDING:
        differing = [pair for pair in pairs if not _is_same(*pair[1:])]
    else:
        differing = list(_far(pairs))
    assert not differing


def _is_same(name, old: Any, new: Any):
    if name == "residual" and old is not None and new is not None:
        return math.isclose(old, new, rel_tol=0.5, abs_tol=1e-6)
    return old == new


def _far(pairs):
    """What differs by more than rounding can explain: texts, and means of numbers."""
    numbers = collections.defaultdict(list)
    for row, name, old, new in pairs:
        if isinstance(old, float) and isinstance(new, float):
            numbers[name].append((old, new))
        elif name != "residual" and old != new:
            yield row, name, old, new
    numbers.pop("residual", None)
    for name, values in numbers.items():
        old, new = np.mean(values, axis=0)
        if not math.isclose(old, new, rel_tol=_FAR, abs_tol=_FAR):
            yield name, old, new
