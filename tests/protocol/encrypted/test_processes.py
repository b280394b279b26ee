"""Every role in a process of its own: the same run, and errors within seconds."""

import functools
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vfljax import defenses
from vfljax.protocol import encrypted
from vfljax.protocol.encrypted import inputs, processes

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs Unix sockets")


def assert_same(run, expected):
    """But for rounding: roles of their own have other numbers of threads."""
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(close, run.params, expected.params)
    close(run.losses, expected.losses)


def role_processes():
    """Name to process id of the roles that this process started."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if parent == str(os.getpid()) and b"role_process" in b"".join(arguments):
            found[arguments[-2].decode()] = int(folder.name)
    return found


def wait_for_end(seconds=20.0):
    """Until no role's process is left."""
    end = time.monotonic() + seconds
    while role_processes() and time.monotonic() < end:
        time.sleep(0.05)
    return role_processes()


def test_three_iterations_on_real_ciphertexts(make_training):
    """B = 16 and M = 8; the weights of the run in one process, noise included."""
    noise = defenses.dp_laplace(0.01)
    training = make_training(16, (8, 5), 4, 3, preset="default", defense=noise)
    run = encrypted.run_in_processes(*training)
    assert_same(run, encrypted.run_here(*training))
    assert set(run.observations[0]) == {0, 1, 2}
    assert len(run.messages) == (1 + 2) + 3 * (3 + 6)
    assert not wait_for_end()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    ("role", "kind", "backend", "resume"),
    [
        ("passive_0", "masked_logits", "plain_int", encrypted.run_in_processes),
        ("active", "embeddings", "plain_int", encrypted.run_here),
        ("third_party", "masked_gradient", "bfv", encrypted.run_here),
    ],
    ids=["passive_0", "active", "third_party"],
)
def test_killed_role_is_named_and_the_run_resumed(
    make_training, tmp_path, role, kind, backend, resume
):
    """Whichever it is; a third party that goes on has new keys."""
    training = make_training(num_iterations=4, backend=backend)
    times = []

    def kill(record):
        if (record.iteration, record.kind) == (2, kind):
            os.kill(role_processes()[role], signal.SIGKILL)
            times.append(time.monotonic())

    with pytest.raises(encrypted.RoleFailed) as caught:
        encrypted.run_in_processes(*training, folder=tmp_path, on_message=kill)
    assert time.monotonic() - times[0] < 10
    assert (caught.value.role, caught.value.iteration) == (role, 2)
    reason = f"{role} failed in iteration 2: its process was ended by SIGKILL"
    assert reason in str(caught.value)
    assert not wait_for_end()
    run = resume(*training, folder=tmp_path)
    assert run.first_iteration == 2
    assert_same(run, encrypted.run_here(*training))


def ask(network, role, content):
    network.send(role, content)
    return network.receive()


@pytest.mark.parametrize("num_bytes", [1, 10**7], ids=["waiting", "sending"])
def test_stopped_role_is_named(num_bytes):
    """It neither answers nor reads on; a message of 10 MB is more than a pipe holds."""
    network = processes.Processes(answer_seconds=0.3)
    try:
        network.start_process("active")
        os.kill(role_processes()["active"], signal.SIGSTOP)
        with pytest.raises(
            encrypted.RoleFailed,
            match=r"active failed at the start: no answer within 0\.3 seconds",
        ) as caught:
            ask(network, "active", bytes(num_bytes))
        assert caught.value.role == "active"
    finally:
        network.close()
    assert not wait_for_end()


def test_time_for_an_answer_is_a_parameter(make_training, monkeypatch):
    """No interpreter starts within a millisecond."""
    monkeypatch.setattr(processes, "_SECONDS_TO_END", 0.1)
    training = make_training(backend="plain_int")
    with pytest.raises(encrypted.RoleFailed, match=r"no answer within 0\.001 s"):
        encrypted.run_in_processes(*training, answer_seconds=0.001)
    assert not wait_for_end()
    with pytest.raises(ValueError, match=r"answer_seconds=0: must be in \(0, 1e\+06\]"):
        encrypted.run_in_processes(*training, answer_seconds=0)


@pytest.mark.slow
def test_error_of_a_role_is_reported(make_training):
    """Activations too large for their fixed point are met in the party's process."""
    training = make_training(backend="plain_int")
    activations = 0 * training.passive[0].activations + 1e6
    passive = [training.passive[0]._replace(activations=activations)]
    with pytest.raises(
        encrypted.RoleFailed,
        match=r"passive_0 failed at the start: ValueError: activations: contains 1e",
    ):
        encrypted.run_in_processes(*training._replace(passive=passive))
    assert not wait_for_end()


def test_a_defense_that_holds_arrays_is_sent_whole(make_training):
    """Its answer and its hash are the same on the other side."""
    codes = jnp.array([[0.1, 0.7, 0.2], [0.3, 0.1, 0.6], [0.8, 0.1, 0.1]])
    encoder = defenses.cae(defenses.Autoencoder(codes, None))
    defense = defenses.Chain(encoder, defenses.dp_laplace(0.1))
    active = make_training(backend="plain_int", defense=defense).active
    arrived = pickle.loads(pickle.dumps(active))
    hashes = inputs.input_hashes(active)
    assert inputs.input_hashes(arrived) == hashes
    one_hot = jnp.eye(3)
    expected = defense.encode_labels(one_hot)
    np.testing.assert_array_equal(arrived.defense.encode_labels(one_hot), expected)
    other = defenses.Chain(encoder, defenses.dp_laplace(0.2))
    changed = inputs.input_hashes(active._replace(defense=other))
    assert [name for name in hashes if changed[name] != hashes[name]] == [
        "inputs_defense"
    ]


def test_makers_without_a_name_are_refused(make_training):
    training = make_training(backend="plain_int")
    wrong = training.active._replace(make_optimizer=lambda: optax.sgd(0.1))
    with pytest.raises(ValueError, match=r"active: .*functools.partial\(optax.sgd"):
        encrypted.run_in_processes(*training._replace(active=wrong))


@pytest.mark.slow
def test_script_without_a_main_guard(tmp_path):
    """Nothing of the caller's script is run again in the roles' processes."""
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT)
    result = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "begins\n(2,)\n"


_SCRIPT = """
import functools, jax, numpy as np, optax
from vfljax import defenses
from vfljax.protocol import encrypted

print("begins")
params = {"output": {"kernel": np.zeros((3, 2)), "bias": np.zeros(2)}}
make_optimizer = functools.partial(optax.sgd, 0.1)
activations, labels = np.eye(4, 3), np.array([0, 1, 0, 1])
agreement = encrypted.Agreement(
    num_classes=2, batch_size=4, widths=(3, 3), backend="plain_int"
)
run = encrypted.run_in_processes(
    agreement,
    [encrypted.PassiveInputs(activations, params, make_optimizer)],
    encrypted.ActiveInputs(
        activations, params, make_optimizer, labels, jax.random.split(jax.random.key(0))
    ),
    np.array([[0, 1, 2, 3], [3, 2, 1, 0]]),
)
print(run.losses.shape)
"""
