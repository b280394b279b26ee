"""Iterations in which everything passes and nobody takes a step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import defenses, models, protocol
from vfljax.protocol import encrypted
from vfljax.protocol.encrypted import messages

_LOOKS = (0, 3, 4)
_STEPS = [1, 2, 5]


def without_looks(training):
    """The same training, with the batches and keys of the steps alone."""
    steps = np.array(_STEPS)
    active = training.active._replace(keys=training.active.keys[steps])
    passive = [training.passive[0]._replace(observe=(0, 1, 2))]
    return training._replace(
        passive=passive, active=active, batches=training.batches[steps]
    )


def final_state(folder, role):
    """What a role last wrote about its steps: no hashes, nothing said of every look."""
    path = max(folder.glob(f"{role}/*.npz"), key=lambda path: int(path.stem))
    return {
        name: array
        for name, array in messages.unpack_arrays(path.read_bytes()).items()
        if not name.startswith(("inputs", "observation", "unprotected"))
    }


@pytest.mark.parametrize(
    ("mode", "backend"),
    [("exact", "bfv"), ("exact", "plain_int"), ("taylor", "plain_int")],
)
def test_nothing_but_messages_and_observations(make_training, tmp_path, mode, backend):
    """Parameters, optimizers, losses and the defense's state end the same, exactly.

    Sparsification remembers what it hasn't sent, momentum the last steps.
    """
    defense = None
    if mode == "exact":
        shape = {"memory_shape": (40, 3)}
        defense = defenses.sparsification(0.5, residual="by_sample", **shape)
    settings = {"mode": mode, "backend": backend, "defense": defense}
    training = make_training(num_iterations=6, looks=_LOOKS, **settings)
    plain = without_looks(make_training(num_iterations=6, **settings))
    found = encrypted.run_here(*training, folder=tmp_path / "looks")
    expected = encrypted.run_here(*plain, folder=tmp_path / "plain")
    assert (len(found.losses), len(found.unprotected)) == (3, 6)
    np.testing.assert_array_equal(found.losses, expected.losses)
    assert found.description["looks"] == [0, 3, 4]
    for role in ("active", "passive_0"):
        ours = final_state(tmp_path / "looks", role)
        theirs = final_state(tmp_path / "plain", role)
        assert set(ours) == set(theirs)
        assert mode == "taylor" or role != "active" or ours["defense_0"].any()
        for name, array in ours.items():
            np.testing.assert_array_equal(array, theirs[name], err_msg=name)
    assert set(found.observations[0]) == set(range(6))
    for place, step in enumerate(_STEPS):
        np.testing.assert_array_equal(
            found.observations[0][step].integers,
            expected.observations[0][place].integers,
        )
    log = [record for record in found.messages if record.iteration >= 0]
    kinds = [
        [record.kind for record in log if record.iteration == iteration]
        for iteration in range(6)
    ]
    assert all(each == kinds[0] for each in kinds)


def test_a_look_sees_what_the_simulation_exchanges(make_training):
    """`run.exchange` and `batch_gradient_view` at the state after two steps.

    With the noise of the look's own key: 1e-6 is the rounding of activations to 14
    bits and of the gradient to 20.
    """
    defense = defenses.dp_gaussian(0.05)
    training = make_training(
        num_iterations=3, looks=(2,), backend="plain_int", defense=defense
    )
    seen = encrypted.run_here(*training).observations[0][2].view
    model = models.mlp((), embed=3)
    inputs = [training.passive[0], training.active]
    run = protocol.sum_of_logits(
        (model, model),
        [of_party.make_optimizer() for of_party in inputs],
        num_classes=3,
        defense=defense,
    )
    features = [jnp.asarray(of_party.activations) for of_party in inputs]
    features[0] = jnp.round(features[0] * 2**14) / 2**14
    labels = jnp.asarray(training.active.labels)
    state = run.init(jax.random.key(0), features)
    state = state._replace(params=tuple(of_party.params for of_party in inputs))
    batches = jnp.asarray(training.batches)
    state, _ = protocol.train(
        run, jax.random.key(7), state, features, labels, batches[:2]
    )
    rows = batches[2]
    batch = [of_party[rows] for of_party in features]
    key = jax.random.fold_in(jax.random.key(7), 2)
    transcript, _ = run.exchange(key, state, batch, labels[rows], rows)
    view = protocol.batch_gradient_view(run, state, batch[0], transcript)
    np.testing.assert_array_equal(seen.features, view.features)
    for name in ("params", "gradient"):
        jax.tree.map(
            lambda ours, theirs: np.testing.assert_allclose(
                ours, theirs, rtol=0, atol=1e-6
            ),
            getattr(seen, name),
            getattr(view, name),
        )


def test_a_run_is_resumed_at_a_look(make_training, tmp_path):
    """A look is an iteration that every role completes."""
    training = make_training(num_iterations=4, looks=(2,), backend="plain_int")
    expected = encrypted.run_here(*training)

    def stop(record):
        if (record.iteration, record.kind) == (2, "decrypted_gradient"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encrypted.run_here(*training, folder=tmp_path, on_message=stop)
    run = encrypted.run_here(*training, folder=tmp_path)
    assert run.first_iteration == 2
    jax.tree.map(np.testing.assert_array_equal, run.params, expected.params)
    np.testing.assert_array_equal(run.losses, expected.losses)
    found, wanted = run.observations[0][2], expected.observations[0][2]
    np.testing.assert_array_equal(found.integers, wanted.integers)


@pytest.mark.parametrize(
    ("looks", "reason"),
    [
        ((-1,), "looks=-1: must be >= 0"),
        ((1, 1), r"looks=\(1, 1\): must be without repetitions"),
        ((2,), r"looks: iteration 2, must be in \[0, 1\]"),
    ],
)
def test_looks_that_make_no_sense_are_refused(make_training, looks, reason):
    with pytest.raises(ValueError, match=reason):
        encrypted.run_here(*make_training(backend="plain_int", looks=looks))
