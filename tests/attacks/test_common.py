"""What every attack owes its users; a method that is exported needs an example here."""

import dataclasses
import inspect
import pickle
import re
from typing import Any, Literal, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, goals, metrics
from vfljax.attacks import Known
from vfljax.attacks.completing import CompletesModel, complete
from vfljax.known import WithheldError

METHODS = sorted(
    (
        value
        for value in vars(attacks).values()
        if isinstance(value, type)
        and issubclass(value, attacks.Attack)
        and value is not attacks.Attack
    ),
    key=lambda method: method.__name__,
)
DIRECT = attacks.DirectInference()
SMALL: Any = {"epochs": 1, "steps_per_epoch": 1, "batch_size": 2}


class Example(NamedTuple):
    """An attack on undefended messages or on a model, and what it owes.

    Attributes:
        attack: A record.
        finds: Labels of undefended samples, classes without their names, or neither: an
            attack that does not look at gradients, or not at those of one step.
        classes: Of the data.
        is_blind: Whether it answers the same whatever was sent.
        batch: Its number of samples.
        overlap: Of an attack that counts labels, the least share that it counts right.
    """

    attack: attacks.Attack
    finds: Literal["labels", "classes", "neither"] = "labels"
    classes: int = 3
    is_blind: bool = False
    batch: int = 8
    overlap: float = 1.0


EXAMPLES = {
    "direct": Example(DIRECT),
    "entry": Example(attacks.EntryFiltering()),
    "linear_cg": Example(attacks.LinearRecovery(solver="cg", iterations=60)),
    "linear_exact": Example(attacks.LinearRecovery(solver="exact")),
    "inversion": Example(attacks.GradientInversion(steps=1500)),
    "own_sample": Example(
        attacks.OwnPrediction(plaintext=True), "neither", is_blind=True
    ),
    "own_batch": Example(attacks.OwnPrediction(), "neither", is_blind=True),
    "aware_cg": Example(
        attacks.NoiseAwareRecovery(reweightings=2, solver="cg", iterations=40)
    ),
    "aware_exact": Example(attacks.NoiseAwareRecovery(solver="exact")),
    "smoothing": Example(attacks.MessageSmoothing(of=DIRECT)),
    "smoothing_batch": Example(attacks.MessageSmoothing()),
    "cluster": Example(
        attacks.ClusterMatching(of=DIRECT, restarts=4, iterations=10), "classes"
    ),
    "cluster_batch": Example(attacks.ClusterMatching(), "classes"),
    "encoder": Example(attacks.KnownEncoder(of=DIRECT)),
    "encoder_batch": Example(attacks.KnownEncoder()),
    "norm": Example(attacks.NormScoring(), "neither", classes=2),
    "direction": Example(attacks.DirectionScoring(), classes=2),
    "repeated": Example(attacks.RepeatedObservation(of=DIRECT)),
    "repeated_named": Example(
        attacks.RepeatedObservation(of=DIRECT, named_per_class=1), "classes"
    ),
    "completion": Example(attacks.ModelCompletion(**SMALL), "neither"),
    "direct_semi": Example(attacks.DirectSemiSupervised(**SMALL), "neither"),
    "replacement": Example(attacks.LabelReplacement(), "neither"),
    "flip": Example(attacks.LabelFlip(of=DIRECT), "neither"),
    "llg": Example(attacks.LLG(), overlap=0.5),
    "llg_star": Example(attacks.LLGStar(dummy="one"), overlap=0.75),
    "llg_star_random": Example(attacks.LLGStar(dummy="random"), overlap=0.75),
    "llg_plus": Example(attacks.LLGPlus(), overlap=0.875),
    "squares_bias": Example(attacks.LabelCountLeastSquares(of="bias"), overlap=0.875),
    "squares": Example(attacks.LabelCountLeastSquares(), overlap=0.875),
    "calibrated": Example(attacks.CalibratedCounts(num_simulations=200), overlap=0.875),
    "rlu": Example(attacks.RLU(), overlap=0.875),
    "ilrg": Example(attacks.ILRG(), overlap=0.5),
    "idlg": Example(attacks.IDLG(), batch=1),
    "smallest": Example(attacks.SmallestColumns(), batch=2, overlap=0.5),
    "decoupling": Example(
        attacks.HeadDecoupling(num_starts=8, num_kept=4), classes=7, batch=3
    ),
    "joint": Example(
        attacks.JointFactorization(num_starts=8, num_groups=8), classes=5, batch=3
    ),
    "property": Example(attacks.PropertyInference(), "neither"),
    "property_logistic": Example(
        attacks.PropertyInference(classifier="logistic"), "neither"
    ),
    "property_published": Example(
        attacks.PropertyInference(reader=attacks.PropertyReader(features="published")),
        "neither",
    ),
    "property_counts": Example(attacks.PropertyCounts(), "neither"),
    "property_active": Example(attacks.ActivePropertyInference(), "neither"),
    "membership": Example(attacks.MembershipFromEmbedding(), "neither"),
}

DEFAULTS = {
    "keeps_zero_sum": True,
    "drops_entries": False,
    "labels": None,
    "other_features": None,
}
"""What takes the place of a withheld field, by the methods' docstrings."""


class Case(NamedTuple):
    """An example with everything that there is to see and to know.

    Attributes:
        example: Of a method.
        run: The attack given what it uses of what there is to know.
        jitted: The same as one program, shared by the tests.
        views: Of three batches.
        known: All that there is to know about each.
        truths: Labels of each.
    """

    example: Example
    run: Any
    jitted: Any
    views: list[Any]
    known: list[Known]
    truths: list[Any]

    @property
    def attack(self):
        return self.example.attack


@pytest.fixture(params=EXAMPLES, scope="module")
def case(request, make_sight):
    example = EXAMPLES[request.param]

    def run(key, view, known):
        return example.attack(key, view, known.only(example.attack.uses))

    sights = [
        make_sight(example.attack, seed, example.batch, example.classes)
        for seed in range(3)
    ]
    views, known, truths, _ = map(list, zip(*sights, strict=True))
    with jax.enable_x64(example.attack.needs_float64):
        yield Case(example, run, jax.jit(run), views, known, truths)


def test_every_method_has_an_example():
    assert {type(example.attack) for example in EXAMPLES.values()} == set(METHODS)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
def test_records_hash_pickle_and_are_checked(method):
    attack = method()
    assert attack == method() == pickle.loads(pickle.dumps(attack))
    assert hash(attack) == hash(method())
    attacks.check_attack("attacks.x", attack)
    assert attack.sees.name
    assert attack.goal.name
    for field in dataclasses.fields(method):
        source = inspect.getsource(_owner(method, field.name))
        words = re.search(rf'\n    {field.name}: .*\n    """(.*?)"""', source, re.S)
        assert words, f"{field.name} has no words"
        assert re.fullmatch(r"[A-Z].*\.", words[1], re.S), words[1]


def _owner(method, name):
    """The class that declares a field."""
    return next(c for c in method.__mro__ if name in vars(c).get("__annotations__", ()))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
def test_defaults_stand_once(method):
    """Those of the function form, where a method has one, are the record's."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", method.__name__).lower()
    attack, form = method(), getattr(attacks, name, None)
    forms: list[Any] = [form] if inspect.isfunction(form) else []  # or a module
    settings = None
    if isinstance(attack, CompletesModel):
        forms.append(complete)
        settings = attack.options(Known(rows=None, labels=None))["settings"]
    renamed = {"num_layers": "head_layers", "num_epochs": "epochs"}
    defaults = {
        renamed.get(name, name): parameter.default
        for form in forms
        for name, parameter in inspect.signature(form).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    for name, default in defaults.items():
        if name == "settings":
            assert settings == default
        elif hasattr(attack, name):
            assert getattr(attack, name) == default
        else:  # knowledge: nothing is known by default
            assert name in {*attack.uses, "known_labels", "reference", "codes"}


def test_undefended_labels_are_found(case):
    for seed in range(3):
        inference = case.jitted(
            jax.random.key(seed), case.views[seed], case.known[seed]
        )
        assert inference.finite
        if watches(case):
            assert_told(case, inference, case.truths[seed])
            continue
        if counts_labels(case):
            assert inference.scores.shape == (case.example.classes,)
            assert_counted(case.example, inference.counts, case.truths[seed])
            continue
        assert inference.scores.shape == (8, case.example.classes)
        if case.example.finds != "neither":
            assert_same(case.example, inference.labels, case.truths[seed])


def test_jit_equals_eager(case):
    eager = case.run(jax.random.key(0), case.views[0], case.known[0])
    jitted = case.jitted(jax.random.key(0), case.views[0], case.known[0])
    chex.assert_trees_all_close(eager, jitted, rtol=1e-3, atol=1e-3)


def test_vmap_equals_loop(case):
    keys = jax.random.split(jax.random.key(0), 3)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *case.views)
    known = jax.tree.map(lambda *leaves: jnp.stack(leaves), *case.known)
    mapped = jax.jit(jax.vmap(case.run))(keys, stacked, known)
    for place in range(3):
        key = jax.random.split(jax.random.key(0), 3)[place]
        alone = case.jitted(key, case.views[place], case.known[place])
        chex.assert_trees_all_equal(answer_of(mapped)[place], answer_of(alone))
        if hasattr(mapped, "scores"):
            chex.assert_trees_all_close(
                mapped.scores[place], alone.scores, rtol=1e-2, atol=1e-2
            )


def test_second_call_compiles_nothing(case):
    chex.clear_trace_counter()
    traced = jax.jit(chex.assert_max_traces(lambda *rest: case.run(*rest), n=1))
    traced(jax.random.key(0), case.views[0], case.known[0])
    traced(jax.random.key(1), case.views[1], case.known[1])


def test_same_key_gives_the_same_result(case):
    first, second = (
        case.jitted(jax.random.key(5), case.views[0], case.known[0]) for _ in range(2)
    )
    chex.assert_trees_all_equal(first, second)


class _Recording(Known):
    """What is known, and what of it was read."""

    def __init__(self, known, read):
        super().__init__(**dict(known.items()))
        self._read = read

    def __getattr__(self, name):
        if not name.startswith("_"):
            self._read.add(name)
        return super().__getattr__(name)

    def get(self, name, default=None):
        self._read.add(name)
        return super().get(name, default)

    def only(self, names):
        return _Recording(super().only(names), self._read)


def test_only_what_it_uses_is_read(case):
    """The view and these fields suffice; nothing else is even looked at."""
    read: set[str] = set()

    def run(key, view, known):
        return case.attack(key, view, _Recording(known, read))

    with_all = jax.jit(run)(jax.random.key(0), case.views[0], case.known[0])
    assert read <= set(case.attack.uses)
    with_these = case.jitted(jax.random.key(0), case.views[0], case.known[0])
    chex.assert_trees_all_equal(with_all, with_these)


def test_withheld_fields_raise_or_have_a_documented_default(case):
    """Every field of `uses` is missed, or replaced by what the docstring says."""
    for name in case.attack.uses:
        rest = [other for other in case.attack.uses if other != name]
        withheld = case.known[0].only(rest)
        try:
            found = case.jitted(jax.random.key(0), case.views[0], withheld)
        except WithheldError:
            continue
        assert name in DEFAULTS
        if DEFAULTS[name] is not None:
            default = withheld.replace(**{name: DEFAULTS[name]})
            same = case.jitted(jax.random.key(0), case.views[0], default)
            chex.assert_trees_all_equal(found, same)


def test_nothing_but_the_view_and_what_is_known_goes_in(case):
    parameters = list(inspect.signature(type(case.attack).__call__).parameters)
    assert parameters == ["self", "key", "view", "known"]


def test_permuting_the_batch_permutes_the_labels(case):
    """Where rows of the batch have names in what is known, these move along."""
    if counts_labels(case) or watches(case):
        return  # an update is a sum over the batch already
    if case.example.finds == "neither" and case.attack.sees.is_final:
        return  # a training is drawn anew, and predictions are rows of their own
    view, known = case.views[0], case.known[0]
    order = np.array([3, 1, 7, 0, 2, 6, 5, 4])
    changes = {"features": view.features[order]}
    if hasattr(view, "gradients"):
        changes["gradients"] = view.gradients[order]
    there = known.replace(
        labels=known.labels[order],
        earlier=jax.tree.map(lambda leaf: leaf[order], known.earlier),
    )
    moved = case.jitted(jax.random.key(0), dataclasses.replace(view, **changes), there)
    stayed = case.jitted(jax.random.key(0), view, known)
    assert_same(case.example, moved.labels, stayed.labels[order])


def test_the_order_of_auxiliary_samples_does_not_matter(case):
    """To rounding, for methods that do not draw among them."""
    if "auxiliary_labels" not in case.attack.uses or "simulate" in case.attack.uses:
        return
    view, known = case.views[0], case.known[0]
    order = np.random.default_rng(0).permutation(len(known.auxiliary_labels))
    moved = known.replace(
        auxiliary_features=known.auxiliary_features[order],
        auxiliary_labels=known.auxiliary_labels[order],
    )
    first, second = (
        case.jitted(jax.random.key(0), view, each) for each in (known, moved)
    )
    np.testing.assert_array_equal(first.counts, second.counts)
    np.testing.assert_allclose(first.scores, second.scores, atol=1e-3)


def test_nan_is_a_result_not_an_error(case):
    """Of what a diverged training sends, or of what its model answers."""
    view, known = case.views[0], case.known[0]
    if watches(case):
        if case.attack.goal is goals.PROPERTY:
            broken = jax.tree.map(lambda leaf: leaf * jnp.nan, view)
            assert not case.jitted(jax.random.key(0), broken, known).finite
        return  # a boolean is never NaN
    changes = {
        name: jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), value)
        for name in ("gradients", "gradient", "logits", "update")
        if (value := getattr(view, name, None)) is not None
    }
    broken = dataclasses.replace(view, **changes)
    earlier = jax.tree.map(lambda leaf: leaf * jnp.nan, known.get("earlier", ()))
    known_of_it = known.replace(earlier=earlier)
    inference = case.jitted(jax.random.key(0), broken, known_of_it)
    if case.example.is_blind or not changes:
        same = case.jitted(jax.random.key(0), view, known)
        chex.assert_trees_all_equal(inference, same)
        return
    assert not inference.finite
    np.testing.assert_array_equal(
        answer_of(inference), 0 if counts_labels(case) else -1
    )
    if counts_labels(case):
        return
    if inference.published_labels is not None:
        np.testing.assert_array_equal(inference.published_labels, -1)


def counts_labels(case):
    """Whether the attack counts labels, rather than telling that of each sample."""
    return case.attack.goal in (goals.LABEL_COUNTS, goals.SAMPLES)


def watches(case):
    """Whether the attack is given what was kept of all rounds in place of a view."""
    return case.attack.reader is not None


def assert_told(case, inference, truth):
    """Rounds with the property score above the others; memberships are as ruled."""
    if case.attack.goal is goals.MEMBERSHIP:
        np.testing.assert_array_equal(inference.is_member, truth == 1)
        assert 0 < np.mean(truth) < 1
        return
    judged = case.attack.goal.score(
        inference, goals.Truth(truth, truth, truth, 2, {"batch_size": 8}), False
    )
    assert judged["auc"] >= 0.7  # of six and six rounds of eight samples


def answer_of(inference):
    """The labels or the counts; of an answer about rounds or records what it says."""
    if isinstance(inference, attacks.MembershipInference):
        return inference.is_member
    if isinstance(inference, attacks.RoundInference):
        return inference.scores > 0.5
    is_count = isinstance(inference, attacks.CountInference)
    return inference.counts if is_count else inference.labels


def assert_counted(example, counts, truth):
    """Whole counts of as many labels as there are, and enough of them right."""
    counts, true = np.asarray(counts), np.bincount(truth, minlength=example.classes)
    assert np.issubdtype(counts.dtype, np.integer)
    assert counts.min() >= 0
    assert counts.sum() == len(truth)
    assert np.minimum(counts, true).sum() >= example.overlap * len(truth)


def assert_same(example, labels, expected):
    """Equal labels, or equal up to their names where the attack can't know these."""
    if example.finds == "classes":
        matched = metrics.matched_accuracy(
            np.asarray(labels), np.asarray(expected), example.classes
        )
        assert matched == 1.0
    else:
        np.testing.assert_array_equal(labels, expected)
