"""The PyTorch loop takes the same steps as `protocol.train`; the script runs."""

import functools
import json

import jax
import numpy as np
import pytest

from vfljax import models, protocol


@pytest.fixture
def make_networks(load):
    """Networks of the benchmark's kinds, but small."""
    script = load("split_speed")
    small = {
        "mlp": script.MLP._replace(bottom=models.mlp((6, 5), embed=4), shape=(9,)),
        "resnet": script.RESNET._replace(
            bottom=models.resnet(8, embed=10, width=4, stages=2), shape=(8, 6, 3)
        ),
    }
    return small.__getitem__


@pytest.mark.parametrize("name", ["mlp", "resnet"])
def test_torch_loop_takes_the_same_steps(load, make_networks, name):
    """Losses of five steps, to 1e-3; each but the first depends on all updates."""
    pytest.importorskip("torch")
    script, reference = load("split_speed"), load("torch_split")
    options = script.Options(num_samples=24, steps=5, seed=3)
    problem = script.make_problem(make_networks(name), 8, options)
    training = script.start(reference, problem, "cpu")
    rows = reference.as_rows(problem.batches, "cpu")
    expected = [float(reference.step(training, batch)) for batch in rows]
    train = functools.partial(protocol.train, problem.protocol)
    _, losses = jax.jit(train)(
        jax.random.key(0),
        problem.state,
        problem.features,
        problem.labels,
        problem.batches,
    )
    np.testing.assert_allclose(losses, expected, rtol=0, atol=1e-3)
    assert np.ptp(expected) > 0.02


def test_comparison_runs_end_to_end(load, make_networks, monkeypatch, tmp_path, capsys):
    pytest.importorskip("torch")
    script = load("split_speed")
    small = make_networks("mlp")  # twice: it compiles fast
    monkeypatch.setattr(script, "MLP", small)
    monkeypatch.setattr(script, "RESNET", small._replace(name="resnet"))
    out = tmp_path / "rows.jsonl"
    arguments = ["--mlp-batch-sizes", "5", "--resnet-batch-sizes", "4", "--steps", "6"]
    arguments += ["--num-samples", "20", "--rounds", "2", "--torch-threads", "1"]
    assert script.main([*arguments, "--out", str(out)]) == 0
    assert "Training with model splitting" in capsys.readouterr().out
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["network"], row["method"]) for row in rows] == [
        ("mlp", "torch_loop"),
        ("mlp", "train"),
        ("resnet", "torch_loop"),
        ("resnet", "train"),
    ]
    assert [row["batch_size"] for row in rows] == [5, 5, 4, 4]
    assert {row["num_repeats"] for row in rows} == {2}
    for loop, ours in zip(rows[::2], rows[1::2], strict=True):
        assert ours["compile_seconds"] > 0
        assert ours["steps_per_second"] == 1 / ours["seconds_min"]
        ratio = ours["steps_per_second"] / loop["steps_per_second"]
        np.testing.assert_allclose(ours["times_faster"], ratio)


@pytest.mark.gpu
@pytest.mark.skipif(jax.default_backend() == "cpu", reason="no accelerator")
@pytest.mark.parametrize(
    ("mlp_sizes", "resnet_sizes"), [((1000,), ()), ((), (32,))], ids=["mlp", "resnet"]
)
def test_three_times_as_fast_on_an_accelerator(load, mlp_sizes, resnet_sizes):
    """At the published batch sizes, by turns on the same device."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch finds no GPU")
    script, reference = load("split_speed"), load("torch_split")
    reference.use_fast_kernels()
    options = script.Options(mlp_batch_sizes=mlp_sizes, resnet_batch_sizes=resnet_sizes)
    _, ours = script.compare_all(reference, options, "cuda")
    print(f"{ours['network']}: {ours['times_faster']:.2f} times as fast")
    assert ours["times_faster"] >= 3


def test_bad_numbers_are_one_line_and_status_2(load, capsys):
    pytest.importorskip("torch")
    script = load("split_speed")
    assert script.main(["--rounds", "0"]) == 2
    assert "rounds=0: must be >= 1" in capsys.readouterr().err
    assert script.main(["--num-samples", "50"]) == 2
    assert "batch_size=100: must be in [1, 50]" in capsys.readouterr().err
