"""Every config of Melis et al. fits its data in all variants and traces at full scale.

The data are few random samples of the right shapes, with every value that a property
has.
"""

import runpy
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax.data import Dataset
from vfljax.data.fairface import NAMES
from vfljax.experiments.programs import Programs
from vfljax.experiments.task import load_arrays, make_tasks
from vfljax.experiments.trial import make_victim
from vfljax.experiments.world import Cell, Setting

_CONFIGS = Path(__file__).parents[1] / "configs"
_MELIS = sorted(path.stem for path in _CONFIGS.glob("melis_*.py"))
_KINDS = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_GROUPS = (
    *("sci.med", "rec.sport.hockey", "talk.politics.mideast", "sci.space"),
    *("sci.crypt", "rec.autos", "rec.motorcycles", "misc.forsale"),
    *("comp.graphics", "soc.religion.christian"),
)


class _Set(NamedTuple):
    """What a data set looks like: shape, classes, tokens if a text, properties."""

    shape: tuple[int, ...]
    task: str
    classes: tuple[str, ...]
    tokens: int
    properties: dict[str, tuple[str, ...]]


_BOTH = ("no", "yes")
_SETS = {
    "newsgroups_groups": _Set(
        *((200,), "coarse_group", tuple("abcde"), 5001),
        {"newsgroup": _GROUPS},
    ),
    "deceptive_opinions": _Set(
        *((300,), "polarity", _BOTH, 4001), {"veracity": ("deceptive", "truthful")}
    ),
    "checkins_synthetic": _Set((100,), "gender", _BOTH, 30_001, {}),
    "fairface": _Set(
        *((32, 32, 3), "gender", NAMES["gender"], 0),
        {name: NAMES[name] for name in ("race", "age")},
    ),
    "fairface_tiled": _Set(
        (64, 64, 3), "young_adult", _BOTH, 0, {"same_gender": _BOTH}
    ),
    "cifar10_animals": _Set((32, 32, 3), "kind", _BOTH, 0, {"identity": _KINDS}),
}


def few_samples(name, number) -> Dataset:
    """So many samples, of which a fifth is for tests."""
    looks, generator = _SETS[name], np.random.default_rng(0)

    def column(values):
        return (generator.permutation(number) % len(values)).astype(np.int32)

    if looks.tokens:
        features = generator.integers(1, looks.tokens, (number, *looks.shape))
    else:
        features = generator.random((number, *looks.shape))
    features, labels = features.astype(np.float32), column(looks.classes)
    columns = {each: column(values) for each, values in looks.properties.items()}
    cut = number // 5
    vocabulary = ("", *(f"word_{token}" for token in range(1, looks.tokens)))
    return Dataset(
        name=name,
        train_features=features[cut:],
        train_labels=labels[cut:],
        test_features=features[:cut],
        test_labels=labels[:cut],
        class_names=looks.classes,
        train_properties={each: values[cut:] for each, values in columns.items()},
        test_properties={each: values[:cut] for each, values in columns.items()},
        property_names=looks.properties,
        task_name=looks.task,
        vocabulary=vocabulary if looks.tokens else None,
    )


@pytest.fixture
def load(monkeypatch):
    """Loads the `make` of a config as `vfljax run` does."""
    monkeypatch.syspath_prepend(_CONFIGS)
    monkeypatch.delitem(sys.modules, "_melis", raising=False)
    return lambda name: runpy.run_path(str(_CONFIGS / f"{name}.py"))["make"]


def test_there_are_configs():
    assert len(_MELIS) >= 17


@pytest.mark.slow  # some seconds for each of so many networks
@pytest.mark.parametrize("name", _MELIS)
def test_full_scale_fits_and_traces(name, load):
    experiment = load(name)("full")
    number = 3 * max((240, *experiment.batch_sizes))
    if experiment.data.dataset == "fairface":  # as many as there are, half of each
        number = 3000
    dataset = few_samples(experiment.data.dataset, number)
    tasks = make_tasks(experiment, dataset)
    assert len(tasks) == max(1, len(experiment.variants))
    (variant, num_classes), task = next(iter(tasks.items()))
    part, defense = task.experiment, next(reversed(experiment.defenses))
    cell = Cell(num_classes, max(part.batch_sizes), defense, variant)
    sharing = Programs(part).sharing(next(iter(part.attacks.values())))
    victim = jax.eval_shape(
        make_victim(part, cell, sharing),
        jax.random.key(0),
        (Setting(jnp.array(0.5), jnp.array(0)), {}),
        load_arrays(task),
    )
    assert victim.main["main_accuracy"].shape == ()
    watched = (part.training.steps - part.watch_from) // part.watch_every
    readings = [next(iter(each.views.values())) for each in victim.watched.values()]
    assert readings
    for kept in readings:
        assert {leaf.shape[0] for leaf in jax.tree.leaves(kept)} == {watched}
