"""The baselines that count labels: iDLG, GradInversion's rule, iLRG and RLU's idea."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, protocol


def task_of(*sizes, num_classes=4):
    return types.SimpleNamespace(numbers_of_labels=sizes, num_classes=num_classes)


def test_idlg_is_for_one_sample(make_update):
    attack = attacks.IDLG()
    assert attack.fits(task_of(1)) is None
    reason = attack.fits(task_of(1, 8))
    assert reason is not None
    assert reason.startswith("labels behind what is seen=(1, 8): must be one")
    with pytest.raises(ValueError, match="labels of the view=8: must be 1"):
        attack(None, make_update().view)


def test_smallest_columns_needs_a_class_for_each_label(make_update):
    attack = attacks.SmallestColumns()
    assert attack.fits(task_of(1, 4)) is None
    reason = attack.fits(task_of(4, 5))
    assert reason is not None
    assert reason.startswith("labels behind what is seen=(4, 5): must be at most 4")
    with pytest.raises(ValueError, match="labels of the view=8: must be at most 3"):
        attack(None, make_update().view)


def test_smallest_columns_takes_the_smallest_entries():
    """Row minima −.3, −.1, .1 and −.2: two labels are classes 0 and 3."""
    rows = jnp.array([[0.5, -0.3], [-0.1, -0.1], [0.1, 0.2], [-0.2, 0.9]])
    params = {"output": {"kernel": rows.T, "bias": jnp.zeros(4)}}
    view = protocol.UpdateView(
        model=protocol.PartyModel(init=None, apply=None),  # type: ignore[arg-type]
        params=params,
        update=params,
        learning_rate=0.1,
        num_classes=4,
        batch_size=2,
        sample_shape=(2,),
    )
    found = attacks.SmallestColumns()(None, view)
    np.testing.assert_array_equal(found.counts, [1, 0, 0, 1])


def test_ilrg_equals_numpy_written_from_the_paper(make_update):
    view = make_update(classes=4, batch=5).view
    found = jax.jit(attacks.ILRG())(None, view)
    kernel, bias = (
        np.asarray(x, float) for x in protocol.head_of(view.params, "output")
    )
    rows, sums = (np.asarray(x, float) for x in protocol.head_of(view.update, "output"))
    system, answer = [[1.0] * 4], [5.0]
    confidences = []
    for i in range(4):
        logits = kernel @ (rows[i] / sums[i]) + bias
        exponentials = np.exp(logits - logits.max())
        confidences.append(exponentials / exponentials.sum())
    for i in range(4):
        system.append([confidences[j][i] - (i == j) for j in range(4)])
        answer.append(5 * sums[i])
    expected = np.linalg.pinv(np.array(system)) @ np.array(answer)
    np.testing.assert_allclose(found.scores, expected, rtol=1e-2, atol=1e-2)


def test_ilrg_counts_one_class_exactly(make_update):
    """All labels alike: the restored embedding is that of the batch."""
    sight = make_update(classes=4)
    view, labels = sight.view, jnp.full(8, 2)
    send = jax.jit(protocol.batch_gradient, static_argnums=(0, 4))
    same = jnp.tile(sight.features[:1], (8, 1))
    update = send(view.model, view.params, same, labels, 4)
    found = jax.jit(attacks.ILRG())(None, dataclasses.replace(view, update=update))
    np.testing.assert_allclose(found.scores, [0, 0, 8, 0], atol=1e-2)


def test_rlu_with_one_step_is_least_squares_on_the_bias(make_update):
    sight = make_update(classes=4)
    ours = jax.jit(attacks.RLU())(None, sight.view, sight.known)
    same = jax.jit(attacks.LabelCountLeastSquares(of="bias"))(
        None, sight.view, sight.known
    )
    np.testing.assert_allclose(ours.scores, same.scores, atol=1e-4)


def test_rlu_follows_the_local_steps(make_update):
    """Where these are so large that confidences change: under .7 of the error."""
    errors = {"rlu": [], "squares": []}
    rlu, squares = (
        jax.jit(attack)
        for attack in (attacks.RLU(), attacks.LabelCountLeastSquares(of="bias"))
    )
    for seed in range(6):
        sight = make_update(seed=seed, batch=4, classes=4, num_steps=10)
        true = np.bincount(sight.truth, minlength=4)
        for name, attack in (("rlu", rlu), ("squares", squares)):
            found = attack(None, sight.view, sight.known)
            errors[name].append(np.abs(found.scores - true).mean())
    assert np.mean(errors["rlu"]) < 0.7 * np.mean(errors["squares"])
