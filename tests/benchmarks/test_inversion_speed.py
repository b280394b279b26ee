"""The speed claim's parts: the timer's rows, and two references for the same step."""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vfljax import attacks, models, protocol

_MACHINE = {"platform", "device_kind", "num_devices", "processor", "cpu_threads"}


@pytest.fixture(params=[5, 23], ids=["formed", "factored"])
def view(request):
    """Party 0 of two, 7 features, 4 hidden units, 3 classes; both forms of J Jᵀ."""
    batch_size = request.param
    model = models.mlp((4,), embed=3)
    key_first, key_second, key_labels, key_weights, key_defense = jax.random.split(
        jax.random.key(3), 5
    )
    features = [
        jax.random.uniform(key_first, (batch_size, 7), minval=-0.5, maxval=2.0),
        jax.random.normal(key_second, (batch_size, 6)) - 0.3,
    ]
    labels = jax.random.categorical(
        key_labels, jnp.log(jnp.array([0.6, 0.3, 0.1])), shape=(batch_size,)
    )
    run = protocol.sum_of_logits(
        (model, model), (optax.identity(), optax.identity()), num_classes=3
    )
    state = run.init(key_weights, features)
    transcript, _ = run.exchange(
        key_defense, state, features, labels, jnp.arange(batch_size)
    )
    return protocol.batch_gradient_view(run, state, features[0], transcript, party=0)


@pytest.fixture
def first_step(view):
    """Guess, loss and derivative of vfljax's first step.

    Adam's first moment starts from zero with decay 0.9, so after one step it is 0.1
    times the gradient.
    """
    inversion = attacks.make_inversion(view)
    start = inversion.init(jax.random.key(8))
    state, loss = inversion.step(start)
    moment = optax.tree.get(state.optimizer_state, "mu")
    return start.guess, loss, jax.tree.map(lambda leaf: leaf / 0.1, moment)


def assert_close(found, expected):
    """To 1e-5 of the largest entry: float32 with sums over some dozen terms."""
    expected = np.asarray(expected)
    tolerance = 1e-5 * np.max(np.abs(expected))
    np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=tolerance)


def test_closed_form_agrees_with_the_torch_loop(load, view, first_step):
    pytest.importorskip("torch")
    reference = load("torch_inversion")
    guess, loss, gradient = first_step
    problem = reference.make_problem(view.params, view.features, view.gradient)
    search = reference.start(guess.other_logits.T, guess.label_logits.T)
    torch_loss = reference.step(problem, search)
    assert_close(loss, torch_loss)
    assert_close(gradient.other_logits.T, search.other_logits.grad)
    assert_close(gradient.label_logits.T, search.label_logits.grad)


def test_torch_loop_takes_the_same_steps(load, view):
    """Ten Adam steps of rate 0.05 from one guess, to 1e-3 in each of its entries."""
    pytest.importorskip("torch")
    reference = load("torch_inversion")
    inversion = attacks.make_inversion(view)
    state = inversion.init(jax.random.key(8))
    problem = reference.make_problem(view.params, view.features, view.gradient)
    search = reference.start(state.guess.other_logits.T, state.guess.label_logits.T)
    step = jax.jit(inversion.step)
    for _ in range(10):
        state, _ = step(state)
        reference.step(problem, search)
    for found, expected in zip(
        state.guess, (search.other_logits, search.label_logits), strict=True
    ):
        np.testing.assert_allclose(found.T, expected.detach().numpy(), atol=1e-3)
    message, _ = inversion.read(state.guess)
    labels = reference.read(problem, search)
    np.testing.assert_array_equal(labels.from_message, jnp.argmin(message, axis=0))
    np.testing.assert_array_equal(
        labels.from_label_logits, jnp.argmax(state.guess.label_logits, axis=0)
    )


def test_rows_say_what_was_measured_and_where(load, tmp_path):
    timer = load("timer")
    values = jnp.arange(6.0).reshape(2, 3)
    program = timer.compile_program(lambda x: 2.0 * x[:, ::-1], values)
    timing, result = timer.time_calls(program.call, values, num_repeats=3)
    np.testing.assert_array_equal(result, [[4.0, 2.0, 0.0], [10.0, 8.0, 6.0]])
    row = timer.make_row("example", "reverse", timing, program, batch_size=2)
    timer.append_rows(tmp_path / "new" / "rows.jsonl", [row])
    timer.append_rows(tmp_path / "new" / "rows.jsonl", [row | {"share": float("nan")}])
    first, second = map(
        json.loads, (tmp_path / "new" / "rows.jsonl").read_text().splitlines()
    )
    assert first == row
    assert second["share"] is None
    assert (first["benchmark"], first["method"]) == ("example", "reverse")
    assert first["batch_size"] == 2
    assert first["num_repeats"] == 3
    assert 0 < first["seconds_min"] <= first["seconds_median"]
    assert first["compile_seconds"] > 0
    assert first["memory_bytes"] >= values.nbytes
    assert set(first) >= _MACHINE
    assert {"vfljax", "jax", "torch"} <= set(first["versions"])


def test_timing_counts_only_what_comes_after_warming_up(load):
    timer = load("timer")
    calls = []
    timing, last = timer.time_calls(
        lambda: calls.append(0) or len(calls), num_repeats=2, num_warm_ups=3
    )
    assert len(timing.seconds) == 2
    assert last == 5
    assert timer.Timing((3.0, 1.0)).joined(timer.Timing((8.0,))).median == 3.0
    assert timer.Timing((3.0, 1.0)).divided(4).minimum == 0.25
    with pytest.raises(ValueError, match="num_repeats=0: must be >= 1"):
        timer.time_calls(len, num_repeats=0)


def test_comparison_runs_end_to_end(load, tmp_path, capsys):
    pytest.importorskip("torch")
    out = tmp_path / "rows.jsonl"
    arguments = ["--dataset", "digits", "--batch-sizes", "16", "--num-views", "2"]
    arguments += ["--torch-steps", "8", "--inversion-steps", "9", "--rounds", "2"]
    arguments += ["--recovery-iterations", "1", "40", "--torch-threads", "1"]
    assert load("inversion_speed").main([*arguments, "--out", str(out)]) == 0
    assert "Linear recovery" in capsys.readouterr().out
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["method"] for row in rows] == [
        "torch_loop",
        "gradient_inversion",
        "linear_recovery",
        "linear_recovery",
    ]
    assert [row["num_repeats"] for row in rows] == [4, 4, 12, 12]
    assert rows[-1]["accuracy"] == 1.0  # exact: 16 · 9 unknowns, 1,386 equations
    assert sum(row.get("is_first_to_match", False) for row in rows) == 1


def test_missing_torch_is_one_line_and_status_2(load, monkeypatch, capsys):
    class NoTorch:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "torch":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "meta_path", [NoTorch, *sys.meta_path])
    assert load("inversion_speed").main(["--dataset", "digits"]) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert "vfljax[bench]" in errors
