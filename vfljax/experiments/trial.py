"""From an experiment to pure functions of one trial.

A trial is one line: data → parties → protocol → transcript → view → attack → inference
→ metrics. It is cut in two, so that several attacks share a victim and each is timed
alone: `make_victim` trains and returns what the adversary saw at each step of
interest, `make_attack` attacks one of these views. Both are written for one key and
one setting; `sweep.py` maps them and scores what comes out.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from vfljax import data, defenses, metrics, models, protocol
from vfljax.attacks import LabeledRows
from vfljax.experiments.alone import alone_accuracy
from vfljax.experiments.attack_specs import Auxiliary
from vfljax.experiments.backdoor_specs import BackdoorSpec
from vfljax.experiments.base_spec import Public, Shapes
from vfljax.experiments.completion_specs import CompletionSpec
from vfljax.experiments.loading import Arrays
from vfljax.experiments.schema import AnyAttack, Experiment
from vfljax.experiments.training_spec import AdversaryOptimizer
from vfljax.protocol import ProtocolState, VerticalProtocol


class Cell(NamedTuple):
    """What shapes the program: one program per cell, trials and strengths mapped."""

    num_classes: int
    batch_size: int
    defense: str
    variant: str = ""


class Setting(NamedTuple):
    """What is swept within a cell: the strength, and which of the prepared ones."""

    strength: Float[Array, ""]
    place: Int[Array, ""]


class Seen(NamedTuple):
    """What one adversary may see at one training step, and the truth for the metrics.

    Attributes:
        params: The adversary's parameters before the step.
        forward: How it ran its network on the batch.
        rows: Sample numbers of the batch.
        gradients: dL/dH as sent (batch, embed), for the plaintext protocol.
        gradient: The adversary's batch gradient, for the encrypted protocol.
        truth: Labels of the batch, in [0, classes).
        codebook: Soft label of each class; the identity without a label encoder.
        public: What the defense is known to do to a message.
        is_unprotected: Whether a defense that was on had to send it as it was.
    """

    params: Any
    forward: models.Forward
    rows: Int[Array, " batch"]
    gradients: Float[Array, "batch embed"]
    gradient: Any
    truth: Int[Array, " batch"]
    codebook: Float[Array, "classes classes"]
    public: Public
    is_unprotected: Bool[Array, ""]


class Own(NamedTuple):
    """What the adversary has of its own when training is over."""

    params: Any
    statistics: Any


class Victim(NamedTuple):
    """One trained model and the views on its training, by position of the step.

    Attributes:
        seen: What the adversary saw, one entry per training step of interest.
        main_accuracy: On test samples; `nan` where nothing was trained.
        trained: Whether all answers are finite: not if training diverged.
        chance_accuracy: Of always guessing the most frequent class.
        own: What the adversary has of its own in the end, an `Own`.
        main_top5: The same for the five most likely classes, or () if no more.
        main_f1: F1 of class 1, or () unless there are two.
        alone_accuracy: On test samples, of a model of the adversary's features alone
            that was trained with all labels; () unless asked for.
    """

    seen: tuple[Seen, ...]
    main_accuracy: Float[Array, ""]
    trained: Bool[Array, ""]
    chance_accuracy: Float[Array, ""]
    own: Any = ()
    main_top5: Any = ()
    main_f1: Any = ()
    alone_accuracy: Any = ()


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
        is_unprotected: Whether the message attacked had to be sent as it was.
        margin: Score of class 1 above class 0 (batch,), or () unless there are two.
        ranks: Of completion attacks, the most likely classes after each epoch (epochs,
            samples, ranks); else ().
        test_ranks: The same of test samples.
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
    is_unprotected: Bool[Array, ""]
    margin: Any = ()
    ranks: Any = ()
    test_ranks: Any = ()


def initial_state(
    run: VerticalProtocol, key: Key[Array, ""], arrays: Arrays
) -> ProtocolState:
    """The state before training, with what is pretrained put in."""
    state = run.init(key, [party[:1] for party in arrays.features])
    if not arrays.pretrained:
        return state
    start = (models.put_in(params, arrays.pretrained) for params in state.params)
    return state._replace(params=tuple(start))


def make_victim(
    experiment: Experiment,
    cell: Cell,
    adversary_optimizer: AdversaryOptimizer = "benign",
) -> Callable[..., Victim]:
    """Returns `victim(key, setting, arrays)`, which trains one model under attack.

    `key` is one trial's: two calls that differ in the setting or in the adversary's
    optimizer alone start from the same weights and see the same batches. The setting
    may be traced.
    """
    spec, training = experiment.data, experiment.training
    needs_no_views = all(
        isinstance(attack, CompletionSpec | BackdoorSpec)
        for attack in experiment.attacks.values()
    )
    view_steps = () if needs_no_views else experiment.train_steps

    def victim(key, setting: Setting, arrays: Arrays) -> Victim:
        num_samples, num_parties = len(arrays.labels), len(arrays.features)
        adversary = spec.adversary % num_parties
        defense = make_defense(experiment, cell, setting, arrays)
        run = make_protocol(experiment, cell, num_parties, defense, adversary_optimizer)
        key_classes, key_weights, key_order, key_train, key_views = jax.random.split(
            key, 5
        )
        num_total = arrays.table.counts.size
        if cell.num_classes == num_total:
            classes = jnp.arange(num_total)  # in order: the model is trained on labels
        else:
            classes = data.draw_classes(key_classes, num_total, cell.num_classes)
        state = initial_state(run, key_weights, arrays)
        if training.steps:
            batches = protocol.epoch_batches(
                key_order, num_samples, training.batch_size, training.steps
            )
        views, done, rows, truth = {}, 0, None, None
        for step in sorted({*view_steps, training.steps}):
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
            if step in view_steps:
                key_batch, key_defense = jax.random.split(
                    jax.random.fold_in(key_views, step)
                )
                if rows is None or truth is None or not experiment.same_samples:
                    rows, truth = data.draw_batch(
                        key_batch, arrays.table, classes, cell.batch_size
                    )
                views[step] = Seen(
                    **look(key_defense, run, state, arrays, rows, truth, adversary),
                    **public_knowledge(experiment, cell, setting, defense),
                )
        alone = ()
        if experiment.record_alone:
            alone = alone_accuracy(
                jax.random.fold_in(key_weights, adversary),
                run.models[adversary],
                training,
                batches,
                arrays.features[adversary],
                arrays.labels,
                arrays.test_features[adversary],
                arrays.test_labels,
                cell.num_classes,
                arrays.pretrained,
            )
        return Victim(
            seen=tuple(views[step] for step in view_steps),
            own=Own(state.params[adversary], state.statistics[adversary]),
            **main_task(run, state, arrays, training.steps > 0),
            chance_accuracy=metrics.chance_accuracy(arrays.table.counts[classes]),
            alone_accuracy=alone,
        )

    return victim


def make_attack(
    experiment: Experiment, cell: Cell, label: str
) -> Callable[..., Outcome]:
    """Returns `attack(key, (seen, earlier), arrays)`, one attack on one view.

    `earlier` holds scores and own predictions of all observations up to this one, for
    attacks that combine them.
    """
    adversary, spec = experiment.data.adversary, experiment.attacks[label]
    assert not isinstance(spec, CompletionSpec | BackdoorSpec)

    def attack(key, seen_and_earlier, arrays: Arrays) -> Outcome:
        seen, earlier = seen_and_earlier
        key_known, key_attack = jax.random.split(key)
        view = view_of(experiment, cell, label, seen, arrays.features[adversary])
        auxiliary = auxiliary_of(key_known, experiment, cell, label, seen, earlier)
        inference = spec.run(key_attack, view, auxiliary)
        published = inference.published_labels
        return Outcome(
            labels=inference.labels,
            published_labels=jnp.zeros(0, int) if published is None else published,
            truth=seen.truth,
            is_known=auxiliary.known_labels >= 0,
            scores=inference.scores,
            own=jax.nn.softmax(protocol.own_embedding(view)),
            finite=inference.finite,
            margin=_margin(inference.scores),
            residual=getattr(inference.info, "residual", jnp.array(jnp.nan)),
            bound_held=getattr(inference.info, "bound_held", jnp.array(-1)),
            is_unprotected=seen.is_unprotected,
        )

    return attack


def make_completion(
    experiment: Experiment, cell: Cell, label: str
) -> Callable[..., Outcome]:
    """Returns `attack(key, own, arrays)`, on a trained model, with known labels."""
    model = experiment.model.make(experiment.embed(cell.num_classes))
    adversary, spec = experiment.data.adversary, experiment.attacks[label]
    assert isinstance(spec, CompletionSpec)

    def attack(key, own: Own, arrays: Arrays) -> Outcome:
        key_known, key_attack = jax.random.split(key)
        rows = data.draw_known_rows(key_known, arrays.table, spec.known_per_class)
        view = protocol.TrainedModelView(
            model=model,
            params=own.params,
            features=arrays.features[adversary],
            num_classes=cell.num_classes,
            forward=models.Forward(own.statistics),
        )
        known = LabeledRows(rows, arrays.labels[rows])
        test_features = arrays.test_features[adversary]
        inference = spec.run(key_attack, view, known, test_features)
        return Outcome(
            labels=inference.labels,
            published_labels=jnp.zeros(0, int),
            truth=arrays.labels,
            is_known=jnp.zeros(len(arrays.labels), bool).at[rows].set(True),
            scores=jnp.zeros((0, cell.num_classes)),
            own=jnp.zeros((0, cell.num_classes)),
            finite=inference.finite,
            margin=_margin(inference.scores),
            residual=jnp.array(jnp.nan),
            bound_held=jnp.array(-1),
            is_unprotected=jnp.array(False),
            ranks=inference.info.ranks,
            test_ranks=inference.info.other_ranks,
        )

    return attack


def view_of(
    experiment: Experiment, cell: Cell, label: str, seen: Seen, features: Array
) -> protocol.SampleGradientView | protocol.BatchGradientView:
    """What an attack gets of `Seen`; `features` are the adversary's of all samples."""
    common = {
        "model": experiment.model.make(experiment.embed(cell.num_classes)),
        "params": seen.params,
        "features": features[seen.rows],
        "num_classes": cell.num_classes,
        "forward": seen.forward,
    }
    if experiment.view_of(label) == "sample_gradient":
        return protocol.SampleGradientView(
            **common, gradients=seen.gradients, sums_logits=experiment.top is None
        )
    return protocol.BatchGradientView(**common, gradient=seen.gradient)


def auxiliary_of(
    key: Key[Array, ""],
    experiment: Experiment,
    cell: Cell,
    label: str,
    seen: Seen,
    earlier: Any = (),
) -> Auxiliary:
    """What an attack may know besides its view; `key` draws the known samples."""
    keeps_zero_sum, drops_entries = experiment.defenses[cell.defense].facts()
    spec: Any = experiment.attacks[label]
    return Auxiliary(
        known_labels=data.draw_known_labels(
            key, seen.truth, cell.num_classes, spec.named_per_class
        ),
        codebook=seen.codebook,
        noise_std=seen.public.noise_std,
        keep_fraction=seen.public.keep_fraction,
        replaced_by=seen.public.replaced_by,
        earlier=earlier,
        keeps_zero_sum=keeps_zero_sum,
        drops_entries=drops_entries,
    )


def attack_program_key(
    experiment: Experiment, cell: Cell, spec: AnyAttack
) -> tuple[Any, ...]:
    """Cells with equal keys share this compiled attack, whatever the defense."""
    keeps_zero_sum, drops_entries = experiment.defenses[cell.defense].facts()
    facts = {"keeps_zero_sum": keeps_zero_sum, "drops_entries": drops_entries}
    relevant = [facts[name] for name in spec.depends_on]
    return cell.num_classes, cell.batch_size, *relevant


def _margin(scores):
    return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else ()


def make_defense(
    experiment: Experiment,
    cell: Cell,
    setting: Setting,
    arrays: Arrays,
    extra_rows: int = 0,
) -> defenses.Defense:
    """The cell's defense at the strength of the setting, which may be traced."""
    trains = experiment.training.steps > 0
    shapes = Shapes(
        num_samples=len(arrays.labels),
        batch_size=extra_rows
        + (experiment.training.batch_size if trains else cell.batch_size),
        num_classes=experiment.embed(cell.num_classes),
        sums_logits=experiment.top is None,
    )
    prepared = jax.tree.map(lambda leaf: leaf[setting.place], arrays.prepared)
    return experiment.defenses[cell.defense].make(setting.strength, shapes, prepared)


def make_protocol(
    experiment: Experiment,
    cell: Cell,
    num_parties: int,
    defense: defenses.Defense,
    adversary_optimizer: AdversaryOptimizer = "benign",
    manipulations: Mapping[int, protocol.Manipulation] | None = None,
) -> protocol.VerticalProtocol:
    """The protocol with everybody's networks and optimizers."""
    spec, training = experiment.data, experiment.training
    embed = experiment.embed(cell.num_classes)
    is_malicious = [
        adversary_optimizer == "all_malicious"
        or (
            adversary_optimizer == "malicious" and party == spec.adversary % num_parties
        )
        for party in range(num_parties)
    ]
    bottoms = (experiment.model.make(embed),) * num_parties
    optimizers = [
        training.make_malicious() if malicious else training.make()
        for malicious in is_malicious
    ]
    common = {
        "num_classes": cell.num_classes,
        "defense": defense,
        "label_party": spec.label_party,
        "mode": experiment.mode,
        "manipulations": manipulations,
    }
    top = experiment.top
    if top is None:
        return protocol.sum_of_logits(bottoms, optimizers, **common)
    return protocol.model_splitting(
        bottoms,
        optimizers,
        top.make(embed * num_parties, cell.num_classes),
        training.make_top(),
        class_weights=top.class_weights,
        **common,
    )


def main_task(
    run: protocol.VerticalProtocol,
    state: protocol.ProtocolState,
    arrays: Arrays,
    was_trained: bool,
) -> dict[str, Any]:
    """The main task's rates on test samples, as fields of `Victim`."""
    if not was_trained:
        return {"main_accuracy": jnp.array(jnp.nan), "trained": jnp.array(True)}
    logits, truth = run.predict(state, arrays.test_features), arrays.test_labels
    is_answer = jnp.all(jnp.isfinite(logits), axis=1)
    predicted = jnp.where(is_answer, jnp.argmax(logits, axis=1), -1)
    top5 = f1 = ()
    if logits.shape[1] > 5:
        top5 = metrics.top_k_accuracy(logits, truth, 5)
    if logits.shape[1] == 2:
        is_found = jnp.sum((predicted == 1) & (truth == 1))
        f1 = 2 * is_found / jnp.maximum(jnp.sum(predicted == 1) + jnp.sum(truth), 1)
    return {
        "main_accuracy": metrics.accuracy(predicted, truth),
        "main_top5": top5,
        "main_f1": f1,
        "trained": jnp.all(is_answer),
    }


def look(
    key: Key[Array, ""],
    run: protocol.VerticalProtocol,
    state: protocol.ProtocolState,
    arrays: Arrays,
    rows: Int[Array, " batch"],
    truth: Int[Array, " batch"],
    adversary: int,
) -> dict[str, Any]:
    """What the adversary sees of one batch, as fields of `Seen`."""
    features = [party[rows] for party in arrays.features]
    transcript, after = run.exchange(key, state, features, truth, rows)
    before, after = (
        of_all.defense_state if run.sums_logits else of_all.defense_state[adversary]
        for of_all in (state, after)
    )
    view = protocol.batch_gradient_view(
        run, state, features[adversary], transcript, adversary
    )
    return {
        "params": view.params,
        "forward": view.forward,
        "rows": rows,
        "gradients": transcript.gradients[adversary],
        "gradient": view.gradient,
        "truth": truth,
        "is_unprotected": defenses.count_unprotected(after)
        > defenses.count_unprotected(before),
    }


def public_knowledge(
    experiment: Experiment, cell: Cell, setting: Setting, defense: defenses.Defense
) -> dict[str, Any]:
    """What is known of the defense, as fields of `Seen`."""
    public = experiment.defenses[cell.defense].public(
        setting.strength, cell.batch_size, cell.num_classes
    )
    return {
        "codebook": defense.encode_labels(jnp.eye(cell.num_classes)),
        "public": Public(*map(jnp.float32, public)),
    }
