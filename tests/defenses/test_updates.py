"""What every defense owes a participant of horizontal learning, and its own numbers."""

import dataclasses
import inspect
import math
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from vfljax import defenses
from vfljax.defenses import (
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
    Signs,
    Sparsification,
    check_for_messages,
    check_for_updates,
    update_shapes,
)


def draw(seed):
    """An update of two layers: 3, 12, 2 and 6 entries, the last ones large."""
    rows = np.random.default_rng(seed)
    shapes = {"conv": {"bias": (3,), "kernel": (2, 2, 1, 3)}}
    shapes["output"] = {"bias": (2,), "kernel": (3, 2)}
    update = jax.tree.map(
        lambda shape: jnp.asarray(rows.normal(size=shape), jnp.float32),
        shapes,
        is_leaf=lambda node: isinstance(node, tuple),
    )
    update["output"]["kernel"] *= 4.0
    return update


UPDATE = draw(0)
SHAPES = update_shapes(UPDATE)
INFINITY = math.inf


class Row(NamedTuple):
    """A defense with two strengths or none; the one at which it does exactly nothing.

    `perturbs` is False of one that acts in local steps and leaves the sum as it is.
    """

    record: Defense
    nothing: float | None
    perturbs: bool = True


SHARES = (0.25, 0.5)
ROWS = {
    "none": Row(NoDefense(), None, perturbs=False),
    "gaussian": Row(DPGaussian(noise_std=(0.1, 1.0), clip_norm=INFINITY), 0.0),
    "laplace": Row(DPLaplace(noise=(0.1, 1.0), clip_norm=INFINITY), 0.0),
    "exponential": Row(ExponentialNoise(noise_scale=(0.1, 1.0)), 0.0),
    "isotropic": Row(Isotropic(ratio=(0.5, 1.0)), 0.0),
    "clip": Row(DPGaussian(noise_std=(0.0, 0.1), clip_norm=1.0), None),
    "signs": Row(Signs(), None),
    "pruning": Row(Sparsification(keep_fraction=SHARES), 1.0),
    "pruning_by_row": Row(Sparsification(keep_fraction=SHARES, residual="by_row"), 1.0),
    "random_sharing": Row(
        Sparsification(keep_fraction=SHARES, residual="none", selection="random"), 1.0
    ),
    "random_sharing_with_memory": Row(
        Sparsification(keep_fraction=SHARES, selection="random"), 1.0
    ),
    "participant_dp": Row(ParticipantDP(noise_multiplier=(0.0, 1.0)), None),
    "compression": Row(GradientCompression(keep_fraction=SHARES), 1.0),
    "rounding": Row(DiscreteSGD(bins=(6.0, 12.0)), None),
    "ppdl": Row(PPDL(release_fraction=SHARES), None),
    "released": Row(ReleasedCompression(withheld=(0.5, 1.0)), None),
    "gaussian_per_tensor": Row(
        PerTensor(of=DPGaussian(noise_std=(0.1, 1.0), clip_norm=INFINITY)), 0.0
    ),
    "clip_per_tensor": Row(
        PerTensor(of=DPGaussian(noise_std=(0.0, 0.1), clip_norm=1.0)), None
    ),
    "pruning_per_tensor": Row(PerTensor(of=Sparsification(keep_fraction=SHARES)), 1.0),
    "chain": Row(
        Chain(PerTensor(of=Sparsification(keep_fraction=SHARES)), Signs()), None
    ),
    "chain_in_tensors": Row(
        PerTensor(
            of=Chain(
                DPGaussian(noise_std=0.0, clip_norm=INFINITY),
                ExponentialNoise(noise_scale=(0.1, 1.0), centered=True),
            )
        ),
        0.0,
    ),
    "example_clipping": Row(ExampleClipping(), None, perturbs=False),
    "logit_dropout": Row(LogitDropout(), None, perturbs=False),
}
UNFIT = ("CAE", "Marvell", "MaxNorm")


@pytest.fixture(params=ROWS)
def row(request) -> Row:
    return ROWS[request.param]


def start(record, strength, update=UPDATE):
    """The defense at a strength, and what a participant remembers at first."""
    defense = record.at(strength, update_shapes(update))
    return defense, defense.init_update(update)


def act(record, strength, update=UPDATE, seed=0):
    defense, state = start(record, strength, update)
    return defense.perturb_update(jax.random.key(seed), state, update)


def keys_of(seed):
    """Of three participants, and used by no one so far."""
    return jax.random.split(jax.random.key(seed), 3)


def entries_of(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def norm_of(tree):
    return np.linalg.norm(entries_of(tree))


# ---- what all have in common ---------------------------------------------------------
def test_every_defense_is_here_or_says_why_not():
    """Found among the exports."""
    kinds = [getattr(defenses, name) for name in defenses.__all__]
    names = {
        kind.__name__
        for kind in kinds
        if inspect.isclass(kind) and issubclass(kind, Defense) and kind is not Defense
    }
    assert names == {type(row.record).__name__ for row in ROWS.values()} | set(UNFIT)
    for name in UNFIT:
        assert getattr(defenses, name)().unfit_for_updates
    for row in ROWS.values():
        check_for_updates("defenses.x", row.record)


def test_keeps_structures_and_changes_the_update(row):
    first = row.record.strengths[0]
    sent, state = act(row.record, first)
    chex.assert_trees_all_equal_shapes_and_dtypes(sent, UPDATE)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, start(row.record, first)[1])
    assert np.all(np.isfinite(entries_of(sent)))
    assert np.array_equal(entries_of(sent), entries_of(UPDATE)) != row.perturbs


def test_same_key_same_answer(row):
    first = row.record.strengths[0]
    chex.assert_trees_all_equal(act(row.record, first), act(row.record, first))


def test_strength_zero_is_exactly_no_defense(row):
    if row.nothing is None:
        pytest.skip("has no strength at which it does nothing")
    chex.assert_trees_all_equal(act(row.record, row.nothing)[0], UPDATE)


def test_jit_with_a_traced_strength_is_eager_and_compiles_once(row):
    traces = []

    def counted(strength, update):
        traces.append(strength)
        return act(row.record, strength, update)

    jitted, strengths = jax.jit(counted), row.record.strengths
    compiled = jitted(strengths[0], UPDATE)
    eager = act(row.record, strengths[0])
    chex.assert_trees_all_close(compiled, eager, rtol=1e-6, atol=1e-6)
    jitted(strengths[-1], draw(1))
    assert len(traces) == 1


def test_vmap_over_strengths_equals_loop(row):
    strengths = row.record.strengths
    if strengths == (None,):
        pytest.skip("has no strength")
    mapped = jax.vmap(lambda strength: act(row.record, strength))(jnp.array(strengths))
    assert len(strengths) >= 2
    for place, strength in enumerate(strengths):
        of_place = jax.tree.map(lambda leaf, i=place: leaf[i], mapped)
        alone = act(row.record, strength)
        chex.assert_trees_all_close(of_place, alone, rtol=1e-6, atol=1e-6)


def test_vmap_over_participants_equals_loop(row):
    """Two rounds of three participants, with a key, an update and a memory each."""
    defense, state = start(row.record, row.record.strengths[0])
    rounds = [[draw(10 * r + p) for p in range(3)] for r in range(2)]
    states = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), state)
    alone, sent = [state] * 3, []
    for number, updates in enumerate(rounds):
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *updates)
        sent, states = jax.vmap(defense.perturb_update)(
            keys_of(number), states, stacked
        )
        for place in range(3):
            one, alone[place] = defense.perturb_update(
                keys_of(number)[place], alone[place], updates[place]
            )
            of_place = jax.tree.map(lambda leaf, i=place: leaf[i], (sent, states))
            expected = one, alone[place]
            chex.assert_trees_all_close(of_place, expected, rtol=1e-6, atol=1e-6)


# ---- one adapter for what acts on messages -------------------------------------------
@pytest.mark.parametrize(
    "record",
    [
        DPGaussian(noise_std=0.5, clip_norm=1.0),
        GradientCompression(keep_fraction=0.3),
        PPDL(release_fraction=0.5),
    ],
)
def test_the_whole_update_is_one_row_of_a_message(record):
    ids = jnp.zeros(1, int)
    message = jnp.asarray(entries_of(UPDATE))[None]
    expected = record.perturb(jax.random.key(3), (), message, ids, ids)[0][0]
    sent, _ = record.perturb_update(jax.random.key(3), (), UPDATE)
    np.testing.assert_array_equal(entries_of(sent), expected)


def test_clipping_of_the_whole_and_per_tensor():
    """Directions stay; each norm is the smaller of its own and the clip norm."""
    clip = DPGaussian(noise_std=0.0, clip_norm=1.2)
    whole = act(clip, 0.0)[0]
    assert norm_of(UPDATE) > 1.2
    assert norm_of(whole) == pytest.approx(1.2, rel=1e-6)
    of_whole = entries_of(UPDATE) * 1.2 / norm_of(UPDATE)
    np.testing.assert_allclose(entries_of(whole), of_whole, rtol=1e-5)
    sent = act(PerTensor(of=clip), 0.0)[0]
    tensors = jax.tree.leaves(UPDATE)
    norms = [np.linalg.norm(tensor) for tensor in tensors]
    assert min(norms) < 1.2 < max(norms)
    for tensor, norm, clipped in zip(
        tensors, norms, jax.tree.leaves(sent), strict=True
    ):
        expected = np.asarray(tensor) * min(1.0, 1.2 / norm)
        np.testing.assert_allclose(clipped, expected, rtol=1e-5)


NOISES = {
    "normal": (DPGaussian(noise_std=0.3), scipy.stats.norm(scale=0.3)),
    "laplace": (
        DPLaplace(noise=0.3, reading="released"),
        scipy.stats.laplace(scale=0.3),
    ),
    "exponential": (ExponentialNoise(noise_scale=0.3), scipy.stats.expon(scale=0.3)),
    "exponential_centered": (
        ExponentialNoise(noise_scale=0.3, centered=True),
        scipy.stats.expon(loc=-0.3, scale=0.3),
    ),
}


@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize("per_tensor", [False, True])
def test_noise_has_its_distribution_and_no_other(name, per_tensor):
    """Tensors have draws of their own."""
    record, distribution = NOISES[name]
    record = PerTensor(of=record) if per_tensor else record
    zero = {"a": jnp.zeros((90, 100)), "b": jnp.zeros((90, 100)), "c": jnp.zeros(900)}
    sent = act(record, record.strengths[0], zero)[0]
    assert scipy.stats.kstest(entries_of(sent), distribution.cdf).pvalue > 0.01
    wider = scipy.stats.kstest(entries_of(sent) / 1.1, distribution.cdf)
    assert wider.pvalue < 1e-4
    correlation = np.corrcoef(np.ravel(sent["a"]), np.ravel(sent["b"]))[0, 1]
    assert abs(correlation) < 0.045  # of 9000 pairs: four standard errors


def test_signs_by_hand():
    sent, _ = act(Signs(), None, {"a": jnp.array([-2.0, 0.0]), "b": jnp.array([[0.1]])})
    np.testing.assert_array_equal(entries_of(sent), [-1.0, 0.0, 1.0])


@pytest.mark.parametrize("residual", ["by_sample", "by_row"])
@pytest.mark.parametrize("per_tensor", [False, True])
def test_what_was_not_sent_is_remembered_over_rounds(residual, per_tensor):
    """All that was sent, and what is remembered, sum to all that was wanted."""
    record: Any = Sparsification(keep_fraction=0.2, residual=residual)
    record = PerTensor(of=record) if per_tensor else record
    defense, state = start(record, 0.2)
    wanted, sent = np.zeros(23), np.zeros(23)
    for number in range(6):
        update = draw(number)
        wanted += entries_of(update)
        one, state = defense.perturb_update(jax.random.key(number), state, update)
        sent += entries_of(one)
        np.testing.assert_allclose(sent + entries_of(state), wanted, atol=1e-5)
    assert np.abs(entries_of(state)).max() > 0.5
    forgetful = dataclasses.replace(Sparsification(keep_fraction=0.2), residual="none")
    later = forgetful.at(0.2, SHAPES).perturb_update(jax.random.key(0), (), draw(5))[0]
    assert not np.allclose(entries_of(later), entries_of(one))


def test_pruning_of_the_whole_and_per_tensor():
    """A tensor with small entries alone sends nothing if the whole is pruned."""
    update = {"large": jnp.arange(1.0, 9.0), "small": jnp.arange(1.0, 5.0) / 100}
    prune = GradientCompression(keep_fraction=0.25)
    whole = act(prune, 0.25, update)[0]
    np.testing.assert_array_equal(whole["large"], [0, 0, 0, 0, 0, 6, 7, 8])
    np.testing.assert_array_equal(whole["small"], np.zeros(4))
    sent = act(PerTensor(of=prune), 0.25, update)[0]
    np.testing.assert_array_equal(sent["large"], [0, 0, 0, 0, 0, 0, 7, 8])
    np.testing.assert_array_equal(sent["small"], np.array([0, 0, 0, 0.04], np.float32))


def test_random_sharing_is_blind_to_magnitudes():
    """A tenth of the entries each time, others anew, and each as often as any other."""
    share: Any = Sparsification(
        keep_fraction=0.1, residual="none", selection="random"
    ).at(0.1, SHAPES)
    update = {"a": jnp.arange(1.0, 101.0)}
    keys = jax.random.split(jax.random.key(5), 400)
    sent = jax.vmap(lambda key: share.perturb_update(key, (), update)[0]["a"])(keys)
    is_sent = np.asarray(sent != 0)
    np.testing.assert_array_equal(is_sent.sum(axis=1), 10)
    np.testing.assert_array_equal(np.asarray(sent)[is_sent] % 1, 0)
    times = is_sent.sum(axis=0)
    assert scipy.stats.chisquare(times).pvalue > 0.01  # expected 40 each
    assert abs(times[:50].sum() - 2000) < 150  # of 4000, four standard errors are 120
    assert len(np.unique(is_sent, axis=0)) > 390


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("selection", ["largest", "random"])
def test_the_published_fractions_are_shared(share, selection):
    """10, 50 and 100 % of 1,000 entries."""
    record = Sparsification(
        keep_fraction=share, residual="none", selection=selection
    ).at(share, SHAPES)
    update = {"a": jax.random.normal(jax.random.key(1), (1000,))}
    sent = record.perturb_update(jax.random.key(2), (), update)[0]["a"]
    assert np.sum(np.asarray(sent) != 0) == round(1000 * share)


def test_a_chain_acts_in_turn():
    """Signs of the largest entries, and not the largest of all signs."""
    both = Chain(GradientCompression(keep_fraction=0.2), Signs())
    entries = np.abs(entries_of(UPDATE))
    expected = np.where(entries >= np.sort(entries)[-4], np.sign(entries_of(UPDATE)), 0)
    np.testing.assert_array_equal(entries_of(act(both, 0.2)[0]), expected)


# ---- what makes no sense -------------------------------------------------------------
@dataclasses.dataclass(frozen=True, kw_only=True)
class UsesLabels(Defense):
    """One of a user's own, which does not say that it needs labels."""

    how: str = "compare"

    def perturb(self, key, state, gradients, labels, sample_ids):
        ways = {
            "compare": lambda: labels == 1,
            "encode": lambda: jax.nn.one_hot(labels, 3),
            "array": lambda: jnp.asarray(labels),
            "numpy": lambda: np.asarray(labels),
            "index": lambda: jnp.eye(3)[labels],
            "shape": lambda: labels.shape,
        }
        return gradients * jnp.sum(ways[self.how]()), state


@pytest.mark.parametrize(
    "how", ["compare", "encode", "array", "numpy", "index", "shape"]
)
def test_labels_of_rows_are_no_use(how):
    with pytest.raises(
        ValueError, match=r"^UsesLabels: uses labels of single rows"
    ) as e:
        UsesLabels(how=how).perturb_update(jax.random.key(0), (), UPDATE)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (defenses.CAE(), "CAE changes labels or the loss by encode_labels"),
        (Marvell(), "Marvell needs the rows of a batch with their labels"),
        (MaxNorm(), "MaxNorm needs the lengths of other rows"),
        (Chain(Signs(), MaxNorm()), "Chain has MaxNorm, which needs the lengths"),
    ],
)
def test_what_is_for_messages_alone_is_refused_in_one_line(record, words):
    with pytest.raises(ValueError, match=f"^defenses.x: {words}.*allowed are") as e:
        check_for_updates("defenses.x", record)
    assert "\n" not in str(e.value)
    check_for_messages("defenses.x", record)
    with pytest.raises(ValueError, match=f"^PerTensor.of: {words}"):
        PerTensor(of=record)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (ExampleClipping(), "ExampleClipping acts on updates"),
        (LogitDropout(rate=0.5), "LogitDropout acts on updates"),
        (ReleasedCompression(), "ReleasedCompression acts on updates"),
        (PerTensor(of=Signs()), "PerTensor acts on updates"),
        (Chain(Signs(), LogitDropout()), "Chain has LogitDropout, which acts on upd"),
    ],
)
def test_what_is_for_updates_alone_is_refused_in_one_line(record, words):
    with pytest.raises(ValueError, match=f"^defenses.x: {words}.*allowed are") as e:
        check_for_messages("defenses.x", record)
    assert "\n" not in str(e.value)
    check_for_updates("defenses.x", record)


def test_compositions_that_make_no_sense():
    with pytest.raises(ValueError, match=r"PerTensor.of: LogitDropout acts in local"):
        PerTensor(of=LogitDropout())
    clips = ExampleClipping(noise_multiplier=1.0), ExampleClipping(noise_multiplier=2.0)
    with pytest.raises(ValueError, match=r"numbers \[0, 1\] all clip the gradients"):
        Chain(*clips)
    with pytest.raises(ValueError, match=r"clip_norm=inf: must be in \(0, inf\)"):
        ExampleClipping(clip_norm=INFINITY)
    with pytest.raises(ValueError, match=r"rate=1.0: must be in \[0, 1\)"):
        LogitDropout(rate=1.0)
    update = {"a": jnp.zeros(3)}
    with pytest.raises(ValueError, match="must be a tree of layers with kernels"):
        ReleasedCompression().at(0.5, update_shapes(update)).perturb_update(
            jax.random.key(0), update, update
        )


def test_a_defense_of_messages_alone_is_refused_when_it_acts():
    update = {"a": jnp.ones((2, 2))}
    with pytest.raises(ValueError, match=r"^MaxNorm: MaxNorm needs the lengths"):
        MaxNorm().perturb_update(jax.random.key(0), (), update)


def test_the_axis_is_that_of_the_defense_inside():
    record = PerTensor(of=Sparsification(keep_fraction=(0.1, 0.2)))
    assert (record.strength_name, record.strengths) == ("keep_fraction", (0.1, 0.2))
    assert record.is_sweep
    assert record.drops_entries
    one = record.at(0.2, SHAPES)
    assert (one.strengths, one.is_sweep) == ((0.2,), False)
    shapes = [leaf.shape for leaf in one.init_update(UPDATE)]
    assert shapes == [(1, 3), (1, 12), (1, 2), (1, 6)]
