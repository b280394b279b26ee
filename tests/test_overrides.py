"""Every field of every record can be set from the command line."""

import dataclasses

import pytest

from vfljax import attacks, cli, defenses
from vfljax.attacks import DirectInference, ModelCompletion
from vfljax.defenses import CAE, Chain, DiscreteSGD
from vfljax.experiments import Experiment, Training
from vfljax.models import Top
from vfljax.overrides import OverrideError, override
from vfljax.protocol import ModelSplitting


def kinds(room, base, *left_out):
    """Every class of a room that derives from its base, built, by name."""
    found = {}
    for name in set(room.__all__) - {base.__name__, *left_out}:
        kind = getattr(room, name)
        if isinstance(kind, type) and issubclass(kind, base):
            found[name] = kind()
    return dict(sorted(found.items()))


def everything():
    """An experiment with every defense and every attack, by their kinds.

    Defenses of defenses have tests of their own, and so has completion, whose fields
    exclude others.
    """
    return Experiment(
        name="everything",
        same_samples=True,
        defenses=kinds(defenses, defenses.Defense, "Chain", "PerTensor"),
        attacks=kinds(attacks, attacks.Attack, "ModelCompletion"),
    )


def fields_of(experiment):
    """(option, value) of every field of every record, and of those inside."""
    return [
        field
        for part in ("defenses", "attacks")
        for label, record in getattr(experiment, part).items()
        for field in fields_inside(f"--{part}.{label}", record)
    ]


def fields_inside(option, record):
    """The same for one record; a trained autoencoder is for Python only."""
    found = []
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        name = f"{option}.{field.name}".replace("_", "-")
        if dataclasses.is_dataclass(value):
            found += fields_inside(name, value)
        elif field.name != "autoencoder":
            found.append((name, value))
    return found


WORDS = {
    "noise-std": "0.5 0.25",
    "noise-scale": "0.5 0.25",
    "noise-multiplier": "0.5 0.25",
    "centered": "True",
    "rate": "0.5 0.25",
    "withheld": "0.5 0.25",
    "noise": "0.5 0.25",
    "keep-fraction": "0.5 0.25",
    "release-fraction": "0.5 0.25",
    "bins": "5 3",
    "power": "0.5 0.25",
    "share": "0.5 0.25",
    "ratio": "0.5 0.25",
    "entropy-weight": "0.5 0.25",
    "clip-norm": "3.5",
    "reading": "released",
    "covers-label-party": "True",
    "residual": "by_row",
    "selection": "random",
    "num-participants": "3",
    "memory-shape": "4 6",
    "exhausted": "zero",
    "epsilon": "2.5",
    "sensitivity": "3",
    "bound": "0.125",
    "threshold": "0.0625",
    "loss": "printed",
    "contrast-weight": "0.5",
    "num-epochs": "2",
    "seeds": "4 5",
    "solver": "exact",
    "iterations": "17",
    "tolerance": "0.125",
    "ridge": "0.125",
    "layers": "output hidden_0",
    "zero-sum": "False",
    "steps": "19",
    "learning-rate": "0.75",
    "plaintext": "True",
    "reweightings": "3",
    "named-per-class": "3",
    "restarts": "5",
    "signed": "True",
    "product": "inner",
    "trigger": "cifar",
    "adversaries": "all",
    "num-poisoned": "7",
    "num-poisoned-test": "8",
    "target-class": "1",
    "batches": "as_drawn",
    "amplification": "2.5",
    "num-targets": "3",
    "uses-targets": "True",
    "is-stealthy": "True",
    "known-per-class": "2",
    "epochs": "3",
    "steps-per-epoch": "7",
    "batch-size": "6",
    "ema-decay": "0.25",
    "head-layers": "2",
    "layer": "other",
    "second-stage": "stale_index",
    "dummy": "one",
    "num-dummies": "7",
    "num-simulations": "20",
    "simulations-at-once": "7",
    "points": "3",
    "of": "bias",
    "num-starts": "5",
    "num-first": "3",
    "num-kept": "3",
    "num-tries": "3",
    "spread": "0.25",
    "num-iterations": "9",
    "num-fit-iterations": "9",
    "max-descents": "99",
    "max-label-sets": "99",
    "num-batches": "9",
    "property-weight": "0.25",
    "head": "frozen",
    "head-learning-rate": "0.75",
    "head-layer": "other",
    "num-batch-iterations": "9",
    "num-groups": "9",
    "num-completion-starts": "9",
    "width": "9",
    "batches-at-once": "9",
    "features": "published",
    "fractions": "0.5 0.25",
    "num-negatives": "9",
    "classifier": "forest",
    "batches-per-class": "9",
    "table": "other",
    "last-tokens": "9",
    "weight-decay": "0.25",
    "momentum": "0.25",
}
"""Another value than the default of every field."""


def as_arguments(option, value, words):
    """How a field is set on the command line."""
    if isinstance(value, bool):
        path, _, name = option.rpartition(".")
        return [option if words == "True" else f"{path}.no-{name}"]
    return [option, *words.split()]


def test_every_field_of_every_record_can_be_set():
    """A new field needs a line in WORDS."""
    experiment = everything()
    expected, arguments = [], []
    for option, value in fields_of(experiment):
        words = WORDS[option.rpartition(".")[2]]
        expected.append((option, words))
        arguments += as_arguments(option, value, words)
    changed = fields_of(override(experiment, arguments))
    assert [(option, spelled(value)) for option, value in changed] == expected
    for (option, before), (_, after) in zip(
        fields_of(experiment), changed, strict=True
    ):
        assert before != after, option
    assert override(experiment, []) == experiment


@pytest.mark.parametrize("number", [1, 2])
def test_a_swept_field_takes_one_number_or_several(number):
    experiment = everything()
    are_swept = {n: d for n, d in experiment.defenses.items() if d.swept is not None}
    assert len(are_swept) == len(experiment.defenses) - 2  # all but NoDefense, Signs
    for name, defense in are_swept.items():
        field = f"{defense.swept}".replace("_", "-")
        words = WORDS[field].split()[:number]
        changed = override(experiment, [f"--defenses.{name}.{field}", *words])
        assert changed.defenses[name].strengths == tuple(map(float, words))
        assert changed.defenses[name].swept == defense.swept


def test_a_chain_stays_as_the_config_has_it():
    chain = Chain(CAE(entropy_weight=1.0), DiscreteSGD())
    experiment = Experiment(name="chained", defenses={"both": chain})
    changed = override(experiment, ["--num-trials", "3"])
    assert isinstance(changed, Experiment)
    assert (changed.num_trials, changed.defenses) == (3, {"both": chain})


def test_every_field_of_a_completion_attack_can_be_set():
    """All at once but `mix`, which goes with a frozen bottom model alone."""
    experiment = Experiment(
        name="split",
        protocol=ModelSplitting(top=Top()),
        training=Training(steps=1, optimizer="sgd"),
        attacks={"passive": ModelCompletion()},
    )
    words = {
        "known-per-class": "2",
        "epochs": "3",
        "steps-per-epoch": "7",
        "batch-size": "6",
        "learning-rate": "0.5",
        "ema-decay": "0.25",
        "head-layers": "2",
        "optimizer": "malicious",
        "finetune-bottom": "True",
        "mix": "feature",
    }
    fields = {option.split(".")[-1] for option, _ in fields_of(experiment)}
    assert words.keys() == fields
    first = [
        word
        for name, value in words.items()
        if name != "mix"
        for word in (f"--attacks.passive.{name}", value)
        if word != "True"
    ]
    for arguments in (first, ["--attacks.passive.mix", "feature"]):
        changed = override(experiment, arguments).attacks["passive"]
        for name, value in words.items():
            if f"--attacks.passive.{name}" in arguments:
                found = getattr(changed, name.replace("-", "_"))
                assert spelled(found) == value


def spelled(value):
    """A value as it is written on the command line."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def test_help_shows_every_field_of_every_record(monkeypatch, capsys):
    monkeypatch.setattr(cli, "_load_config", lambda name, path, scale: everything())
    assert cli.main(["run", "quickstart", "--help"]) == 0
    printed = capsys.readouterr().out
    for option, _ in fields_of(everything()):
        assert option in printed


def test_attacks_inside_attacks_are_set_by_path():
    experiment = Experiment(
        name="nested",
        attacks={
            "plain": attacks.ClusterMatching(of=DirectInference()),
            "deep": attacks.RepeatedObservation(of=attacks.MessageSmoothing()),
        },
    )
    arguments = [
        *("--attacks.deep.of.of.iterations", "7"),
        *("--attacks.deep.of.iterations", "5"),
        *("--attacks.plain.iterations", "3"),
    ]
    changed = override(experiment, arguments).attacks
    recovery = attacks.LinearRecovery(iterations=7)
    assert changed == {
        "plain": attacks.ClusterMatching(of=DirectInference(), iterations=3),
        "deep": attacks.RepeatedObservation(
            of=attacks.MessageSmoothing(of=recovery, iterations=5)
        ),
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--num-trialz", "3"],
            r"Unrecognized options: --num-trialz, 3; did you mean --num-trials\?$",
        ),
        (
            ["--num-trialz", "3", "--attacks.linear-recovery.iteration", "3"],
            r"did you mean (?=.*--attacks\.linear-recovery\.iterations).*--num-trials",
        ),
        (["--defenses.none.noise-std", "3"], "Unrecognized options: --defenses.none"),
        (["--num-trials", "3.5"], "Error parsing --num-trials: .*'3.5'$"),
    ],
)
def test_what_cannot_be_set_is_said_without_help_texts(arguments, message):
    with pytest.raises(OverrideError, match=message) as raised:
        override(Experiment(name="x"), arguments)
    assert len(str(raised.value)) < 320
    assert "\n" not in str(raised.value)
