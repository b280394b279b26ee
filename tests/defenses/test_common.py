"""What every defense owes its users: found among the exports, each needs a row."""

import importlib
import inspect
import pickle
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import defenses
from vfljax.defenses import (
    CAE,
    PPDL,
    Chain,
    Defense,
    DiscreteSGD,
    DPGaussian,
    DPLaplace,
    ExampleClipping,
    ExponentialNoise,
    GradientCompression,
    Isotropic,
    LogitDropout,
    Marvell,
    MaxNorm,
    NoDefense,
    ParticipantDP,
    PerTensor,
    ReleasedCompression,
    Shapes,
    Signs,
    Sparsification,
)

MESSAGE = jax.random.normal(jax.random.key(9), (12, 4)) / 12
LABELS = jnp.arange(12) % 4
BINARY_LABELS = jnp.array([0, 1, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0])
PAIRS = MESSAGE[:, :1] * jnp.array([[1.0, -1.0]])  # gradients of two logits: (t, −t)
SAMPLES = jnp.array([3, 1, 4, 15, 9, 2, 6, 5, 35, 8, 97, 93])
INFINITY = float("inf")


class Row(NamedTuple):
    """A defense with two strengths or none, and what it owes.

    Attributes:
        record: The defense; it does something at its strengths.
        nothing: The strength where it is exactly no defense; None if there is none.
        message: What it perturbs.
        labels: The classes of the message's rows.
        perturbs: Whether it does, or only encodes labels.
        atol: Between compiled and eager results.
    """

    record: Defense
    nothing: float | None
    message: jax.Array = MESSAGE
    labels: jax.Array = LABELS
    perturbs: bool = True
    atol: float = 1e-8


NOISE = (0.01, 0.005)
SHARES = (0.25, 0.125)
ROWS = {
    "no_defense": Row(NoDefense(), nothing=None, perturbs=False),
    "dp_gaussian": Row(DPGaussian(noise_std=NOISE, clip_norm=INFINITY), nothing=0.0),
    "dp_laplace": Row(DPLaplace(noise=NOISE, clip_norm=INFINITY), nothing=0.0),
    "dp_laplace_released": Row(
        DPLaplace(noise=NOISE, clip_norm=INFINITY, reading="released"), nothing=0.0
    ),
    "exponential_noise": Row(ExponentialNoise(noise_scale=NOISE), nothing=0.0),
    "exponential_noise_centered": Row(
        ExponentialNoise(noise_scale=NOISE, centered=True), nothing=0.0
    ),
    "signs": Row(Signs(), nothing=None),
    "sparsification": Row(
        Sparsification(keep_fraction=SHARES, residual="none"), nothing=1.0
    ),
    "sparsification_at_random": Row(
        Sparsification(keep_fraction=SHARES, residual="none", selection="random"),
        nothing=1.0,
    ),
    "sparsification_by_sample": Row(Sparsification(keep_fraction=SHARES), nothing=1.0),
    "sparsification_by_row": Row(
        Sparsification(keep_fraction=SHARES, residual="by_row"), nothing=1.0
    ),
    "gradient_compression": Row(GradientCompression(keep_fraction=SHARES), nothing=1.0),
    "gradient_compression_released": Row(
        GradientCompression(keep_fraction=SHARES, reading="released"), nothing=None
    ),
    "discrete_sgd": Row(DiscreteSGD(bins=(6.0, 3.0)), nothing=None),
    "discrete_sgd_released": Row(
        DiscreteSGD(bins=(6.0, 3.0), reading="released", bound=0.01), nothing=None
    ),
    "ppdl": Row(PPDL(release_fraction=(0.5, 0.25)), nothing=None),
    "ppdl_without_noise": Row(
        PPDL(
            release_fraction=(0.5, 0.25),
            epsilon=INFINITY,
            bound=INFINITY,
            threshold=0.0,
        ),
        nothing=1.0,
    ),
    "max_norm": Row(MaxNorm(share=(1.0, 0.5)), nothing=0.0),
    "isotropic": Row(Isotropic(ratio=(0.3, 0.15)), nothing=0.0),
    "marvell": Row(
        Marvell(power=(1.0, 0.5)),
        nothing=0.0,
        message=PAIRS,
        labels=BINARY_LABELS,
        atol=1e-6,
    ),
    # The best noise is where a sum is smallest; that sum is flat there, so its place is
    # known to the root of float32's 1e-7, and entries of size .1 to some 1e-4.
    "marvell_of_any_width": Row(
        Marvell(power=(1.0, 0.5), zero_sum=False),
        nothing=0.0,
        labels=BINARY_LABELS,
        atol=2e-4,
    ),
    "cae": Row(
        CAE(entropy_weight=(0.2, 0.1), seeds=(0, 1)), nothing=None, perturbs=False
    ),
    "dcae": Row(
        Chain(CAE(entropy_weight=(0.2, 0.1)), DiscreteSGD(bins=12)), nothing=None
    ),
    "chain": Row(
        Chain(
            DPGaussian(noise_std=NOISE, clip_norm=INFINITY),
            Sparsification(keep_fraction=1.0),
        ),
        nothing=0.0,
    ),
    # These act on updates alone, as test_updates.py has it, and leave messages alone.
    "per_tensor": Row(PerTensor(of=DPGaussian(noise_std=NOISE)), None, perturbs=False),
    "example_clipping": Row(
        ExampleClipping(noise_multiplier=SHARES), None, perturbs=False
    ),
    "logit_dropout": Row(LogitDropout(rate=SHARES), None, perturbs=False),
    "released_compression": Row(
        ReleasedCompression(withheld=SHARES), None, perturbs=False
    ),
    "participant_dp": Row(ParticipantDP(noise_multiplier=SHARES), None, perturbs=False),
}

EXPORTS = [getattr(defenses, name) for name in defenses.__all__]
EXPORTED = [
    export
    for export in EXPORTS
    if inspect.isclass(export) and issubclass(export, Defense) and export is not Defense
]
WITHOUT_ROW = {
    exported.__name__: None
    for exported in EXPORTED
    if not any(type(row.record) is exported for row in ROWS.values())
}


def shifting_autoencoder(doubt):
    """Class c is called c + 1, with some doubt; the decoder turns it back."""
    turned = jnp.roll(jnp.eye(4), 1, axis=1)
    decoder = {
        "hidden": {"kernel": jnp.eye(4), "bias": jnp.zeros((1, 4))},
        "output": {"kernel": 9 * turned.T, "bias": jnp.zeros((1, 4))},
    }
    codebook = (1 - doubt) * turned + doubt * (1 - jnp.eye(4)) / 3
    return defenses.Autoencoder(codebook=codebook, decoder=decoder)


def epochs_of_none(num_classes, entropy_weight, *, seed, **settings):
    """In place of a training: a doubt as large as the weight, and a little more."""
    assert num_classes == 4
    yield 1, 1
    return shifting_autoencoder(entropy_weight + 0.05 * seed)


class Acts(NamedTuple):
    """Everything through which a defense acts, in one step."""

    targets: jax.Array
    sent: jax.Array
    state: object
    logits: jax.Array


def shapes_of(message):
    return Shapes(num_samples=100, batch_size=12, embed=message.shape[1])


def act(record: Defense, strength, prepared, message, labels) -> Acts:
    defense = record.at(strength, shapes_of(message), prepared)
    key = jax.random.key(0)
    sent, state = defense.perturb(key, defense.init(), message, labels, SAMPLES)
    return Acts(
        targets=defense.encode_labels(jax.nn.one_hot(LABELS, 4)),
        sent=sent,
        state=state,
        logits=defense.decode_logits(MESSAGE),
    )


class Case(NamedTuple):
    """A row and what its record has prepared."""

    row: Row
    prepared: Any

    def act(self, strength, trial=0, message=None) -> Acts:
        """Eagerly; a strength that was not prepared for uses what the first one has."""
        row = self.row
        message = row.message if message is None else message
        return act(row.record, strength, self.chosen(strength, trial), message, row[3])

    def chosen(self, strength, trial=0):
        strengths = self.row.record.strengths
        known = strength if strength in strengths else strengths[0]
        place = self.row.record.choice(known, trial)
        return jax.tree.map(lambda leaf: leaf[place], self.prepared)

    @property
    def first(self):
        return self.row.record.strengths[0]


@pytest.fixture(scope="module", params=ROWS | WITHOUT_ROW)
def case(request) -> Case:
    if request.param in WITHOUT_ROW:
        pytest.fail(f"vfljax.defenses.{request.param} is exported: give it a row")
    row = ROWS[request.param]
    steps = []
    with pytest.MonkeyPatch.context() as patch:
        module = importlib.import_module("vfljax.defenses.cae")
        patch.setattr(module, "autoencoder_epochs", epochs_of_none)
        preparing = row.record.prepare(4)
        while True:
            try:
                steps.append(next(preparing))
            except StopIteration as stop:
                assert all(isinstance(step, str) for step in steps)
                return Case(row, stop.value)


@pytest.fixture(scope="module")
def acts(case) -> Acts:
    """Eager, as in all tests but those of jit and vmap."""
    return case.act(case.first)


def test_changes_the_message_and_keeps_its_shape(case, acts):
    row = case.row
    chex.assert_equal_shape([acts.sent, row.message])
    assert jnp.all(jnp.isfinite(acts.sent))
    assert jnp.allclose(acts.sent, row.message) != row.perturbs
    assert row.record.overrides("perturb") == row.perturbs


def test_state_keeps_its_structure(case, acts):
    shapes = shapes_of(case.row.message)
    before = case.row.record.at(case.first, shapes, case.chosen(case.first)).init()
    chex.assert_trees_all_equal_shapes_and_dtypes(acts.state, before)


def test_same_key_same_answer(case, acts):
    chex.assert_trees_all_equal(case.act(case.first), acts)


def test_jit_with_a_traced_strength_equals_eager_and_compiles_once(case, acts):
    """A copy of the record, another strength and another message are no new program."""
    traces, row = [], case.row

    def counted(*args):
        traces.append(args)
        return act(*args)

    jitted = jax.jit(counted, static_argnums=0)
    args = case.chosen(case.first), row.message, row.labels
    compiled = jitted(row.record, case.first, *args)
    chex.assert_trees_all_close(compiled, acts, rtol=1e-6, atol=row.atol)
    copy = pickle.loads(pickle.dumps(row.record))
    last = row.record.strengths[-1]
    jitted(copy, last, case.chosen(last), row.message + 1, row.labels)
    assert len(traces) == 1


def test_vmap_over_strengths_equals_loop(case):
    strengths = case.row.record.strengths
    if strengths == (None,):
        pytest.skip("has no strength")
    row = case.row
    prepared = [case.chosen(strength) for strength in strengths]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *prepared)

    def at(strength, prepared):
        return act(row.record, strength, prepared, row.message, row.labels)

    mapped = jax.jit(jax.vmap(at))(jnp.array(strengths), stacked)
    assert len(strengths) == 2
    for place, strength in enumerate(strengths):
        of_place = jax.tree.map(lambda leaf, i=place: leaf[i], mapped)
        alone = case.act(strength)
        chex.assert_trees_all_close(of_place, alone, rtol=1e-6, atol=row.atol)


def test_no_strength_is_exactly_no_defense(case):
    if case.row.nothing is None:
        pytest.skip("has no strength at which it does nothing")
    sent = case.act(case.row.nothing).sent
    np.testing.assert_array_equal(sent, case.row.message)


def test_touches_labels_and_logits_only_if_it_says_so(case, acts):
    defense = case.row.record.at(
        case.first, shapes_of(case.row.message), case.chosen(case.first)
    )
    one_hot = jax.nn.one_hot(LABELS, 4)
    targets = defense.prepare_targets(jax.random.key(0), one_hot)
    np.testing.assert_array_equal(targets, acts.targets)
    if not defense.encodes_labels:
        np.testing.assert_array_equal(acts.targets, one_hot)
        np.testing.assert_array_equal(acts.logits, MESSAGE)
        return
    np.testing.assert_allclose(acts.targets.sum(axis=1), 1.0, rtol=1e-6)
    assert not jnp.any(acts.targets.argmax(axis=1) == LABELS)
    decoded = defense.decode_logits(jnp.log(acts.targets))
    np.testing.assert_array_equal(decoded.argmax(axis=1), LABELS)


def test_says_whether_rows_still_sum_to_zero(case):
    message = case.row.message - case.row.message.mean(axis=1, keepdims=True)
    sent = case.act(case.first, message=message).sent
    keeps = bool(jnp.allclose(sent.sum(axis=1), 0.0, atol=1e-6))
    assert case.row.record.keeps_zero_sum == keeps


def test_every_trial_uses_what_was_prepared_for_its_strength(case):
    """Each prepared one is used at one strength, and all of them by some trial."""
    leaves = jax.tree.leaves(case.prepared)
    strengths = case.row.record.strengths
    choices = {s: {case.row.record.choice(s, t) for t in range(4)} for s in strengths}
    if not leaves:
        assert set.union(*choices.values()) == {0}
        return
    assert sum(map(len, choices.values())) == len(leaves[0])
    assert set.union(*choices.values()) == set(range(len(leaves[0])))
    for strength in strengths:
        expected = shifting_autoencoder(strength).codebook[LABELS]
        np.testing.assert_allclose(case.act(strength).targets, expected, rtol=1e-6)


def test_what_is_public_fits_the_strength(case):
    """Numbers of the perturbation; fractions are fractions, noise is not negative."""
    for strength in case.row.record.strengths:
        defense = case.row.record.at(strength, shapes_of(case.row.message))
        known = defense.public(12, 4)
        assert set(known) == {"noise_std", "keep_fraction", "replaced_by"}
        assert known.noise_std >= 0
        assert 0 < known.keep_fraction <= 1
        assert known.replaced_by >= 0
        drops = known.keep_fraction < 1
        assert not drops or case.row.record.drops_entries


def test_hash_and_pickle(case):
    record = case.row.record
    copy = pickle.loads(pickle.dumps(record))
    assert (copy, hash(copy)) == (record, hash(record))
    prepared = jax.tree.map(np.asarray, case.chosen(case.first))
    defense = record.at(case.first, shapes_of(case.row.message), prepared)
    again = pickle.loads(pickle.dumps(defense))
    chex.assert_trees_all_equal(
        again.encode_labels(jnp.eye(4)), defense.encode_labels(jnp.eye(4))
    )
    assert again.strengths == defense.strengths
    assert not again.is_sweep


def test_one_strength_alone_is_no_sweep(case):
    """Its function form has all other options by the record."""
    record: Any = type(case.row.record)
    if record in (NoDefense, Signs, Chain, PerTensor, CAE):
        pytest.skip("is made of something else than a strength")
    options: Any = {case.row.record.swept: case.first}
    if record is Sparsification:
        options["residual"] = "none"
    alone = record(**options)
    assert (alone.strengths, alone.is_sweep) == ((case.first,), False)
    forms = [
        export
        for export in EXPORTS
        if inspect.isfunction(export)
        and inspect.signature(export).return_annotation is record
    ]
    assert len(forms) == 1
    del options[case.row.record.swept]
    assert forms[0](case.first, **options) == alone


@pytest.mark.parametrize("export", [*filter(inspect.isfunction, EXPORTS)])
def test_an_option_has_one_default(export):
    """A function's own default, if it has any, is that of the record."""
    signature = inspect.signature(export)
    of_autoencoders = signature.return_annotation not in EXPORTED
    record: Any = CAE if of_autoencoders else signature.return_annotation
    for name, parameter in signature.parameters.items():
        if parameter.default is not inspect.Parameter.empty and hasattr(record, name):
            assert parameter.default == getattr(record, name)
