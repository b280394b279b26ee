"""A run that was interrupted ends where an uninterrupted one does."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from vfljax import defenses
from vfljax.encryption import EncryptionError
from vfljax.protocol import encrypted
from vfljax.protocol.encrypted import inputs


class Interrupted(Exception):  # noqa: N818
    """Stands for whatever stops a run."""


def stop_at(iteration, kind):
    def on_message(record):
        if (record.iteration, record.kind) == (iteration, kind):
            raise Interrupted

    return on_message


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"backend": "bfv"}, "logit_gradients"),
        ({"backend": "plain_int", "widths": (3, 4, 2)}, "decrypted_gradient"),
        ({"backend": "plain_int", "mode": "taylor"}, "masked_gradient"),
    ],
    ids=["real", "some parties ahead", "taylor"],
)
def test_resumed_run_ends_the_same(make_training, tmp_path, settings, kind):
    """Momentum, a defense's residual, observations and losses included; exactly."""
    defense = defenses.sparsification(0.5, residual="by_sample", memory_shape=(40, 3))
    if settings.get("mode") == "taylor":
        defense = defenses.NoDefense()
    training = make_training(num_iterations=4, defense=defense, **settings)
    expected = encrypted.run_here(*training)
    with pytest.raises(Interrupted):
        encrypted.run_here(*training, folder=tmp_path, on_message=stop_at(2, kind))
    run = encrypted.run_here(*training, folder=tmp_path)
    assert run.first_iteration == 2
    jax.tree.map(np.testing.assert_array_equal, run.params, expected.params)
    np.testing.assert_array_equal(run.losses, expected.losses)
    for found, of_party in zip(run.observations, expected.observations, strict=True):
        assert set(found) == {0, 1, 2, 3}
        for iteration, observation in of_party.items():
            integers = found[iteration].integers
            np.testing.assert_array_equal(integers, observation.integers)


def test_folder_has_states_progress_and_log(make_training, tmp_path):
    training = make_training(num_iterations=4)
    run = encrypted.run_here(*training, folder=tmp_path)
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert files == [
        *("active/2.npz", "active/3.npz", "agreement.json", "messages.jsonl"),
        *("passive_0/2.npz", "passive_0/3.npz", "progress.json"),
    ]
    lines = (tmp_path / "messages.jsonl").read_text().splitlines()
    assert [encrypted.MessageRecord(**json.loads(line)) for line in lines] == list(
        run.messages
    )
    again = encrypted.run_here(*training, folder=tmp_path)
    assert again.first_iteration == 4  # nothing left but the result
    jax.tree.map(np.testing.assert_array_equal, again.params, run.params)


@pytest.mark.parametrize(
    ("role", "ignores"),
    [
        (encrypted.PassiveParty, "_ask"),
        (encrypted.PassiveParty, "_update"),
        (encrypted.ActiveParty, "_collect"),
    ],
)
def test_iteration_with_a_step_left_out_is_not_booked(
    make_training, tmp_path, monkeypatch, role, ignores
):
    """A message that is ignored silences everybody, and is no completed iteration."""
    monkeypatch.setattr(role, ignores, lambda *_: [])
    reason = r"passive_0: has completed iteration -1 .*, must have completed 0"
    with pytest.raises(EncryptionError, match=reason):
        encrypted.run_here(*make_training(backend="plain_int"), folder=tmp_path)
    assert not (tmp_path / "progress.json").exists()


def with_other_inputs(training, name):
    """The training with one input of one party changed, and that party."""
    passive, active = training.passive[0], training.active
    changed = {
        "activations": {"activations": passive.activations + 1},
        "operations": {"operations": {1: encrypted.RowOperations(skip=(0,))}},
        "observe": {"observe": (1,)},
        "labels": {"labels": (active.labels + 1) % 3},
        "params": {"params": jax.tree.map(np.negative, active.params)},
        "keys": {"keys": active.keys[::-1]},
        "defense": {"defense": defenses.max_norm(1.0)},
    }[name]
    if name in ("labels", "params", "keys", "defense"):
        return training._replace(active=active._replace(**changed)), "active"
    return training._replace(passive=[passive._replace(**changed)]), "passive_0"


@pytest.mark.parametrize(
    "name",
    ["activations", "operations", "observe", "labels", "params", "keys", "defense"],
)
def test_runs_are_not_resumed_with_other_inputs(make_training, tmp_path, name):
    training = make_training(backend="plain_int")
    with pytest.raises(Interrupted):
        encrypted.run_here(*training, folder=tmp_path, on_message=stop_at(1, "batch"))
    other, party = with_other_inputs(training, name)
    with pytest.raises(ValueError, match=f"{party}: {name}: not what it began"):
        encrypted.run_here(*other, folder=tmp_path)
    encrypted.run_here(*training, folder=tmp_path)


def test_hashes_of_inputs_are_for_the_party_alone(make_training, tmp_path):
    """Not in the network's files, nor in another party's."""
    training = make_training(backend="plain_int")
    encrypted.run_here(*training, folder=tmp_path)
    hashes = {
        "active": inputs.input_hashes(training.active),
        "passive_0": inputs.input_hashes(training.passive[0]),
    }
    for path in filter(Path.is_file, tmp_path.rglob("*")):
        content = path.read_bytes().replace(b"\0", b"")  # four bytes per character
        for party, digests in hashes.items():
            is_own = path.parent.name == party
            for name, digest in digests.items():
                assert (str(digest).encode() in content) == is_own, (path, name)


def test_folder_with_another_run_is_refused(make_training, tmp_path):
    training = make_training(backend="plain_int")
    encrypted.run_here(*training, folder=tmp_path)
    other = training._replace(batches=training.batches[::-1])
    with pytest.raises(ValueError, match="another agreement or other batches"):
        encrypted.run_here(*other, folder=tmp_path)
