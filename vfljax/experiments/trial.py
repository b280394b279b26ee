"""From an experiment to pure functions of one trial.

A trial is one line: data → parties → protocol → transcript → view → attack → inference
→ metrics. It is cut in two, so that several attacks share a victim and each is timed
alone: `make_victim` trains and returns what the adversary saw at each step of
interest, `make_attack` attacks one of these views. Both are written for one key and
one setting; `sweep.py` maps them and scores what comes out.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vfljax import data, metrics, models, protocol
from vfljax.experiments.attack_specs import AttackSpec, Auxiliary
from vfljax.experiments.defense_specs import Public, Shapes
from vfljax.experiments.schema import Experiment


class Cell(NamedTuple):
    """What shapes the program: one program per cell, trials and strengths mapped."""

    num_classes: int
    batch_size: int
    defense: str


class Setting(NamedTuple):
    """What is swept within a cell: the strength, and which of the prepared ones."""

    strength: Float[Array, ""]
    place: Int[Array, ""]


class Arrays(NamedTuple):
    """The data set on the device; features have one entry per party.

    `prepared` is what the defense trained beforehand, stacked; see `_Spec.prepare`.
    """

    features: tuple[Float[Array, "samples ..."], ...]
    labels: Int[Array, " samples"]
    table: data.ClassTable
    test_features: tuple[Float[Array, "test_samples ..."], ...]
    test_labels: Int[Array, " test_samples"]
    prepared: Any = ()


class Seen(NamedTuple):
    """What one adversary may see at one training step, and the truth for the metrics.

    Attributes:
        params: The adversary's parameters before the step.
        rows: Sample numbers of the batch.
        gradients: dL/dH as sent (batch, classes), for the plaintext protocol.
        gradient: The adversary's batch gradient, for the encrypted protocol.
        truth: Labels of the batch, in [0, classes).
        codebook: Soft label of each class; the identity without a label encoder.
        public: What the defense is known to do to a message.
    """

    params: Any
    rows: Int[Array, " batch"]
    gradients: Float[Array, "batch classes"]
    gradient: Any
    truth: Int[Array, " batch"]
    codebook: Float[Array, "classes classes"]
    public: Public


class Victim(NamedTuple):
    """One trained model and the views on its training, by position of the step.

    `main_accuracy` is `nan` where nothing was trained; a model whose training diverged
    has no answers and is not `trained`.
    """

    seen: tuple[Seen, ...]
    main_accuracy: Float[Array, ""]
    trained: Bool[Array, ""]
    chance_accuracy: Float[Array, ""]


class Outcome(NamedTuple):
    """One attack on one view.

    Attributes:
        labels: As inferred.
        published_labels: By the published readout; nothing (0,) where there is none.
        truth: For the metrics.
        is_known: Samples whose labels the adversary was given; they don't count.
        scores: For attacks that combine several inferences, like the next.
        own: softmax(H^p), what the adversary's own model says.
        finite: Whether all scores are.
        residual: Of linear recovery, else NaN.
        bound_held: Of linear recovery, −1 where not known.
    """

    labels: Int[Array, " batch"]
    published_labels: Int[Array, " _"]
    truth: Int[Array, " batch"]
    is_known: Bool[Array, " batch"]
    scores: Float[Array, "batch classes"]
    own: Float[Array, "batch classes"]
    finite: Bool[Array, ""]
    residual: Float[Array, ""]
    bound_held: Int[Array, ""]


def check_fits(experiment: Experiment, dataset: data.Dataset, num_classes: int) -> None:
    """Raises a `ValueError` where experiment and data don't fit, before anything runs.

    The split, the number of classes, and the sizes of batches are checked.
    """
    spec, total = experiment.data, len(dataset.class_names)
    if num_classes > total:
        raise ValueError(
            f"data.class_counts={num_classes}: {dataset.name} has {total} classes"
        )
    for label, defense in experiment.defenses.items():
        if defense.only_classes not in (None, num_classes):
            raise ValueError(
                f"defenses.{label}: is for {defense.only_classes} classes, this run "
                f"has {num_classes} (data.class_counts)"
            )
    for label, attack in experiment.attacks.items():
        known, smallest = attack.named_per_class, min(experiment.batch_sizes)
        if known and smallest <= known * num_classes:
            raise ValueError(
                f"attacks.{label}.named_per_class={known}: leaves nothing to infer in "
                f"a batch of {smallest} samples in {num_classes} classes; allowed is "
                "fewer, or larger batch_sizes"
            )
    trains_on_some = experiment.training.steps > 0 and num_classes < total
    if trains_on_some and spec.class_choice == "random":
        raise ValueError(
            "data.class_choice='random': must be 'first' where a model is trained "
            f"(training.steps > 0) on {num_classes} of {total} classes"
        )
    _split(experiment, dataset, dataset.train_features[:1])
    num_samples = len(dataset.train_labels)
    if spec.class_choice == "first":
        num_samples = int((dataset.train_labels < num_classes).sum())
    sizes = [("batch_sizes", size) for size in experiment.batch_sizes]
    if experiment.training.steps:
        sizes.append(("training.batch_size", experiment.training.batch_size))
    for name, size in sizes:
        if size > num_samples:
            raise ValueError(
                f"{name}={size}: larger than the data set, {dataset.name} has "
                f"{num_samples} training samples"
            )


def _split(experiment, dataset, features):
    spec = experiment.data
    return data.split_features(
        features,
        spec.split_argument(),
        None if spec.columns else spec.num_parties,
        feature_names=dataset.feature_names,
    )


def load_arrays(
    experiment: Experiment, dataset: data.Dataset, num_classes: int
) -> Arrays:
    """Splits a data set between the parties and puts it on the device."""
    spec, total = experiment.data, len(dataset.class_names)
    if spec.class_choice == "first" and num_classes < total:
        dataset = data.select_classes(dataset, range(num_classes))

    def split(features):
        parts = _split(experiment, dataset, features)
        return tuple(jnp.asarray(part) for part in parts)

    table = data.class_table(dataset.train_labels, len(dataset.class_names))
    return Arrays(
        features=split(dataset.train_features),
        labels=jnp.asarray(dataset.train_labels),
        table=jax.tree.map(jnp.asarray, table),
        test_features=split(dataset.test_features),
        test_labels=jnp.asarray(dataset.test_labels),
    )


def make_victim(experiment: Experiment, cell: Cell) -> Callable[..., Victim]:
    """Returns `victim(key, setting, arrays)`, which trains one model under attack.

    `key` is one trial's: two calls that differ in the setting alone start from the
    same weights and see the same batches. The setting may be traced.
    """
    spec, training = experiment.data, experiment.training
    defense_spec = experiment.defenses[cell.defense]
    model = models.mlp(experiment.model.hidden, embed=cell.num_classes)

    def victim(key, setting: Setting, arrays: Arrays) -> Victim:
        num_samples, num_parties = len(arrays.labels), len(arrays.features)
        defense = defense_spec.make(
            setting.strength,
            _shapes(experiment, cell, num_samples),
            jax.tree.map(lambda leaf: leaf[setting.place], arrays.prepared),
        )
        run = protocol.sum_of_logits(
            (model,) * num_parties,
            tuple(training.make() for _ in range(num_parties)),
            num_classes=cell.num_classes,
            defense=defense,
            label_party=spec.label_party,
        )
        public = Public(
            *map(
                jnp.float32,
                defense_spec.public(
                    setting.strength, cell.batch_size, cell.num_classes
                ),
            )
        )
        key_classes, key_weights, key_order, key_train, key_views = jax.random.split(
            key, 5
        )
        num_total = arrays.table.counts.size
        if cell.num_classes == num_total:
            classes = jnp.arange(num_total)  # in order: the model is trained on labels
        else:
            classes = data.draw_classes(key_classes, num_total, cell.num_classes)
        state = run.init(key_weights, [party[:1] for party in arrays.features])
        if training.steps:
            batches = protocol.epoch_batches(
                key_order, num_samples, training.batch_size, training.steps
            )
        views, done, rows, truth = {}, 0, None, None
        for step in sorted({*experiment.train_steps, training.steps}):
            if step > done:
                state, _ = protocol.train(
                    run,
                    key_train,
                    state,
                    arrays.features,
                    arrays.labels,
                    batches[done:step],
                    first_step=done,
                )
                done = step
            if step in experiment.train_steps:
                key_batch, key_defense = jax.random.split(
                    jax.random.fold_in(key_views, step)
                )
                if rows is None or truth is None or not experiment.same_samples:
                    rows, truth = data.draw_batch(
                        key_batch, arrays.table, classes, cell.batch_size
                    )
                views[step] = Seen(
                    **_look(key_defense, run, state, arrays, rows, truth, spec),
                    codebook=defense.encode_labels(jnp.eye(cell.num_classes)),
                    public=public,
                )
        if training.steps:
            logits = run.predict(state, arrays.test_features)
            is_answer = jnp.all(jnp.isfinite(logits), axis=1)
            predicted = jnp.where(is_answer, jnp.argmax(logits, axis=1), -1)
            main = metrics.accuracy(predicted, arrays.test_labels)
            is_trained = jnp.all(is_answer)
        else:
            main, is_trained = jnp.array(jnp.nan), jnp.array(True)
        return Victim(
            seen=tuple(views[step] for step in experiment.train_steps),
            main_accuracy=main,
            trained=is_trained,
            chance_accuracy=metrics.chance_accuracy(arrays.table.counts[classes]),
        )

    return victim


def make_attack(
    experiment: Experiment, cell: Cell, label: str
) -> Callable[..., Outcome]:
    """Returns `attack(key, (seen, earlier), arrays)`, one attack on one view.

    `earlier` holds scores and own predictions of all observations up to this one, for
    attacks that combine them.
    """
    model = models.mlp(experiment.model.hidden, embed=cell.num_classes)
    adversary, spec = experiment.data.adversary, experiment.attacks[label]
    keeps_zero_sum, drops_entries = _public_facts(experiment, cell)

    def attack(key, seen_and_earlier, arrays: Arrays) -> Outcome:
        seen, earlier = seen_and_earlier
        features = arrays.features[adversary][seen.rows]
        key_known, key_attack = jax.random.split(key)
        auxiliary = Auxiliary(
            known_labels=data.draw_known_labels(
                key_known, seen.truth, cell.num_classes, spec.named_per_class
            ),
            codebook=seen.codebook,
            noise_std=seen.public.noise_std,
            keep_fraction=seen.public.keep_fraction,
            earlier=earlier,
            keeps_zero_sum=keeps_zero_sum,
            drops_entries=drops_entries,
        )
        if experiment.view_of(label) == "sample_gradient":
            view = protocol.SampleGradientView(
                model=model,
                params=seen.params,
                features=features,
                gradients=seen.gradients,
                num_classes=cell.num_classes,
            )
        else:
            view = protocol.BatchGradientView(
                model=model,
                params=seen.params,
                features=features,
                gradient=seen.gradient,
                num_classes=cell.num_classes,
            )
        inference = spec.run(key_attack, view, auxiliary)
        published = inference.published_labels
        return Outcome(
            labels=inference.labels,
            published_labels=jnp.zeros(0, int) if published is None else published,
            truth=seen.truth,
            is_known=auxiliary.known_labels >= 0,
            scores=inference.scores,
            own=jax.nn.softmax(model.apply(seen.params, features)),
            finite=inference.finite,
            residual=getattr(inference.info, "residual", jnp.array(jnp.nan)),
            bound_held=getattr(inference.info, "bound_held", jnp.array(-1)),
        )

    return attack


def attack_program_key(
    experiment: Experiment, cell: Cell, spec: AttackSpec
) -> tuple[Any, ...]:
    """Cells with equal keys share this compiled attack, whatever the defense."""
    keeps_zero_sum, drops_entries = _public_facts(experiment, cell)
    facts = {"keeps_zero_sum": keeps_zero_sum, "drops_entries": drops_entries}
    relevant = [facts[name] for name in spec.depends_on]
    return cell.num_classes, cell.batch_size, *relevant


def _look(key, run, state, arrays, rows, truth, spec):
    """What the adversary sees of one batch."""
    features = [party[rows] for party in arrays.features]
    adversary = spec.adversary % len(features)
    transcript, _ = run.exchange(key, state, features, truth, rows)
    view = protocol.batch_gradient_view(
        run, state, features[adversary], transcript, adversary
    )
    return {
        "params": view.params,
        "rows": rows,
        "gradients": transcript.gradients[adversary],
        "gradient": view.gradient,
        "truth": truth,
    }


def _shapes(experiment, cell, num_samples):
    trains = experiment.training.steps > 0
    return Shapes(
        num_samples=num_samples,
        batch_size=experiment.training.batch_size if trains else cell.batch_size,
        num_classes=cell.num_classes,
    )


def _public_facts(experiment, cell):
    """What of the defense shapes an attack's program."""
    return experiment.defenses[cell.defense].facts()
