"""Experiments are checked when they are built: ranges, and what is no part of one."""

import dataclasses
from typing import Any

import pytest
from flax import linen

from vfljax import attacks, defenses, models
from vfljax.experiments import Data, Execution, Experiment, Training, Variant
from vfljax.protocol import ModelSplitting, SampleGradientView, SumOfLogits

pytestmark = pytest.mark.usefixtures("unchecked_types")

BY_ROW = defenses.Sparsification(keep_fraction=(0.5,), residual="by_row")
BATCHES: Any = {"training": Training(steps=1, batch_size=8), "batch_sizes": (4, 9)}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Data(num_parties=1), "data.num_parties=1: must be >= 2"),
        (lambda: Experiment(name="a/b"), "name='a/b': must be a name without a slash"),
        (lambda: Data(adversary=2), r"data.adversary=2: must be in \[-2, 1\]"),
        (lambda: Data(adversary=1), "another party than data.label_party"),
        (lambda: Data(adversary=-1), "another party than data.label_party"),
        (lambda: Data(columns=("0-3",)), r"data.columns=\('0-3',\): must be 2 or more"),
        (lambda: Data(shares=(0.5,)), r"data.shares=\(0.5,\): must be one for each"),
        (lambda: Data(train_samples=0), "data.train_samples=0: must be >= 1"),
        (lambda: Data(class_counts=()), r"data.class_counts=\(\): must be not empty"),
        (lambda: Data(class_counts=(2, 1)), "data.class_counts=1: must be >= 2"),
        (lambda: Data(class_counts=(2, 2)), "without repetitions"),
        (lambda: Data(class_choice="last"), "data.class_choice='last'"),  # pyright: ignore
        (lambda: Training(momentum=0.9), "training.momentum=0.9: must be 0 unless"),
        (lambda: Training(steps=-1), "training.steps=-1"),
        (lambda: Training(batch_size=0), "training.batch_size=0"),
        (
            lambda: Training(learning_rate=0.0),
            "training.learning_rate=0.0: must be > 0",
        ),
        (
            lambda: Training(optimizer="sgd", momentum=1.0),
            r"training.momentum=1.0: must be in \[0, 1\)",
        ),
        (lambda: Training(optimizer="lion"), "training.optimizer='lion'"),  # pyright: ignore
        (lambda: Training(decay=0.0), r"training.decay=0.0: must be in \(0, 1\]"),
        (
            lambda: Training(decay=0.5, milestones=(0.5,)),
            r"training.milestones=\(0.5,\): must be empty where the rate decays",
        ),
        (lambda: Execution(chunk_size=0), "chunk_size=0"),
        (lambda: SumOfLogits(mode="both"), "protocol.mode='both'"),  # pyright: ignore
        (lambda: ModelSplitting(mode="both"), "protocol.mode='both'"),  # pyright: ignore
        (lambda: Experiment(name=""), "name=''"),
        (lambda: Experiment(name="x", num_trials=0), "num_trials=0"),
        (
            lambda: Experiment(name="x", batch_sizes=()),
            r"batch_sizes=\(\): must be not",
        ),
        (lambda: Experiment(name="x", batch_sizes=(0,)), "batch_sizes=0: must be >= 1"),
        (lambda: Experiment(name="x", attacks={}), "attacks={}: must be not empty"),
        (lambda: Experiment(name="x", defenses={}), "defenses={}: must be not empty"),
        (
            lambda: Experiment(name="x", train_steps=(1,)),
            r"train_steps=1: must be in \[0, training.steps = 0\]",
        ),
        (
            lambda: Experiment(name="x", record_alone=True),
            "record_alone=True: must be False where nothing is trained",
        ),
        (
            lambda: Experiment(name="x", model=models.MLP(embed=3)),
            "model.embed=3: must be None without a top model",
        ),
        (
            lambda: Experiment(name="x", defenses={"gs": BY_ROW}, **BATCHES),
            "defenses.gs.residual='by_row': must be another, or batch_sizes at most",
        ),
        (
            lambda: Experiment(
                name="x",
                defenses={"both": defenses.Chain(BY_ROW, defenses.DiscreteSGD(bins=6))},
                **BATCHES,
            ),
            "defenses.both.residual='by_row'",
        ),
        (
            lambda: Experiment(
                name="x",
                train_steps=(1,),
                training=Training(steps=1),
                variants={"longer": Variant(training=Training())},
            ),
            r"variants.longer: train_steps=1: must be in \[0, training.steps = 0\]",
        ),
    ],
)
def test_bad_values_name_the_field_and_what_is_allowed(make, message):
    with pytest.raises(ValueError, match=message) as raised:
        make()
    assert "\n" not in str(raised.value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sightless(attacks.Attack):
    """Doesn't say what it sees."""

    def __call__(self, key, view, known=attacks.NOTHING):
        return attacks.inference_from_scores(view.gradients)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asks(Sightless):
    """Asks for what there is not."""

    sees = SampleGradientView
    uses = ("labels", "weather")


class Undecorated(Sightless):
    """Has a field that no folder and no command line would know."""

    sees = SampleGradientView

    def __init__(self, number):
        self.__dict__["number"] = number


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mute(attacks.Attack):
    """Never says anything."""

    sees = SampleGradientView


def a_function(key, view, known=None):
    return view


VARIED = {field.name for field in dataclasses.fields(Variant)}


class Dense(linen.Module):
    """A network of flax."""

    @linen.compact
    def __call__(self, x):
        return linen.Dense(10)(x)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"attacks": {"m": a_function}},
            "attacks.m: is the function 'a_function', must be a record",
        ),
        (
            {"attacks": {"m": attacks.DirectInference}},
            r"attacks.m: is the class DirectInference, must be an instance: Direct",
        ),
        ({"attacks": {"m": Sightless()}}, "attacks.m: Sightless has no `sees`, must"),
        ({"attacks": {"m": Asks()}}, "attacks.m: Asks.uses has 'weather', must be of"),
        (
            {"attacks": {"m": defenses.DPGaussian()}},
            "attacks.m: is a defense, DPGaussian; defenses stand in `defenses`",
        ),
        ({"attacks": {"m": "cluster"}}, "attacks.m: is 'cluster', must be an instance"),
        (
            {"defenses": {"m": a_function}},
            "defenses.m: is the function 'a_function', must be a record",
        ),
        (
            {"defenses": {"m": defenses.DPGaussian}},
            r"defenses.m: is the class DPGaussian, must be an instance: DPGaussian\(\)",
        ),
        (
            {"defenses": {"m": attacks.DirectInference()}},
            "defenses.m: is an attack, DirectInference; attacks stand in `attacks`",
        ),
        ({"defenses": {"m": 0.1}}, "defenses.m: is 0.1, must be an instance"),
        (
            {"model": models.MLP},
            r"model: is the class MLP, must be an instance: MLP\(...\)",
        ),
        ({"model": Dense}, "model: is the class Dense, must be an instance"),
        ({"model": Dense()}, r"model: is the linen module Dense, must be models.from_"),
        ({"model": a_function}, "model: is the function or module a_function, must be"),
        ({"model": "mlp"}, "model: is 'mlp', must be a network such as models.MLP"),
        (
            {"protocol": SumOfLogits},
            r"protocol: is the class SumOfLogits, must be an instance: SumOfLogits\(",
        ),
        ({"protocol": models.Top()}, "protocol: is Top.*, must be SumOfLogits"),
        ({"data": "digits"}, r"data='digits': must be Data\(...\)"),
        ({"training": {"steps": 3}}, r"training={'steps': 3}: must be Training\(...\)"),
        ({"attacks": [Asks()]}, r"attacks=\[Asks\(\)\]: must be a dictionary"),
        ({"defenses": defenses.NoDefense()}, "defenses=NoDefense.*a dictionary"),
        ({"variants": ["a"]}, r"variants=\['a'\]: must be a dictionary"),
        ({"batch_sizes": 16}, "batch_sizes=16: must be a tuple of sizes"),
        ({"num_trials": 2.5}, "num_trials=2.5: must be a whole number"),
        ({"encryption": True}, r"encryption=True: must be Encryption\(...\), or None"),
        ({"attacks": {"m": Undecorated(2)}}, "attacks.m='class Undecorated': must be"),
        ({"attacks": {"m": Mute()}}, "attacks.m: Mute has no `__call__`, must define"),
        (
            {"attacks": dict.fromkeys(("a_b", "a-b"), attacks.DirectInference())},
            r"labels of attacks=\['a_b', 'a-b'\]: must be different ones",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_what_is_no_part_is_told_what_is_missing_in_one_line(fields, message):
    with pytest.raises(ValueError, match=message) as raised:
        Experiment(name="x", **fields)
    assert "\n" not in str(raised.value)
    in_variant = {name: part for name, part in fields.items() if name in VARIED}
    if in_variant:
        with pytest.raises(ValueError, match=f"variants.v: {message}"):
            Experiment(name="x", variants={"v": Variant(**in_variant)})


def test_a_network_may_be_a_record_or_functions():
    record = models.MLP(hidden=(4,))
    assert Experiment(name="x", model=record).network is record
    given = Experiment(name="x", model=record.make(10))
    assert given.network.make(10) is record.make(10)
    split = Experiment(name="x", model=models.MLP(embed=3), protocol=ModelSplitting())
    assert (split.embed(10), given.embed(7)) == (3, 7)


def test_variants_have_the_data_set_of_the_experiment():
    """A run loads one; another one's rows would stand under a wrong name."""
    other = {"v": Variant(data=Data(dataset="breast_cancer", split="features"))}
    with pytest.raises(
        ValueError, match=r"variants.v.data.dataset='breast_cancer': mu"
    ):
        Experiment(name="x", variants=other)


def test_a_list_of_strengths_is_refused():
    strengths: Any = [0.1, 0.2]
    with pytest.raises(ValueError, match=r"noise_std=\[0.1, 0.2\]: must be a number, "):
        defenses.DPGaussian(noise_std=strengths)


def test_variants_replace_what_they_hold():
    wide = models.MLP(hidden=(64, 64))
    whole = Experiment(name="x", seed=3, variants={"wide": Variant(model=wide)})
    assert whole.variant("wide") == Experiment(name="x", seed=3, model=wide)


def test_experiments_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Experiment(name="x").seed = 1  # pyright: ignore


def test_columns_are_numbers_ranges_and_names():
    split = Data(columns=("0-2,7", "age, 3")).split_argument()
    assert split == [[0, 1, 2, 7], ["age", 3]]
    assert Data().split_argument() == "rows"
