"""The malicious optimizer: sequences by hand, limits, divisions, and the aliasing."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vfljax import optimizers

MODES = ("paper", "released", "stable")
PHI = (1 + np.sqrt(5)) / 2


def run(optimizer, gradients) -> Any:
    """The directions for a sequence of gradients (steps, ...), and the states after."""
    gradients = jnp.asarray(gradients)

    def step(state, gradient):
        direction, state = optimizer.update(gradient, state)
        return state, (direction, state)

    return jax.lax.scan(step, optimizer.init(gradients[0]), gradients)[1]


def directions(optimizer, gradients) -> Any:
    return run(optimizer, gradients)[0]


def scale_after(last, gradient, **settings):
    """r of a second step, for d_last and v of any sign: released, μ = ½, so v = g."""
    optimizer = optimizers.scale_by_malicious_momentum(0.5, mode="released", **settings)
    direction = float(directions(optimizer, [last, gradient])[1])
    return direction / gradient if gradient else direction


def test_released_sequence_by_hand():
    """μ = ¾, so 2μ = 1.5; g = 2, 1, −1, −4.

    d1 = g1 = 2.
    v2 = 1.5: r = 1 + 1.5/2 = 1.75, d2 = 2.625.
    v3 = −1.5: 1 − 1.5/2.625 < 1, so r = 1, d3 = −1.5.
    v4 = −6: 1 + 6/1.5 = 5, the most there is, d4 = −30.
    """
    optimizer = optimizers.scale_by_malicious_momentum(0.75)
    np.testing.assert_allclose(
        directions(optimizer, [2.0, 1.0, -1.0, -4.0]),
        [2.0, 2.625, -1.5, -30.0],
        rtol=1e-6,
    )


def test_paper_sequence_by_hand():
    """β = ½; g = 2, 1, −6, 8.

    d1 = v1 = ½·2 = 1.
    v2 = ½·1 + ½·1 = 1: r = 2, d2 = 2.
    v3 = ½·2 − ½·6 = −2: 1 − 2/2 = 0 < 1, so r = 1, d3 = −2.
    v4 = −½·2 + ½·8 = 3: 1 − 3/2 < 1, so r = 1, d4 = 3.
    """
    optimizer = optimizers.scale_by_malicious_momentum(0.5, mode="paper")
    np.testing.assert_allclose(
        directions(optimizer, [2.0, 1.0, -6.0, 8.0]), [1.0, 2.0, -2.0, 3.0], rtol=1e-6
    )


def test_stable_sequence_by_hand():
    """μ = ½, γ = 2; g = 2, 1, −6, −4.

    d1 = b1 = 2.
    b2 = 1 + 1 = 2: r = 1 + 2·2/2 = 3, d2 = 6.
    b3 = 1 − 6 = −5 (½ of b2, not of d2): r = 1, d3 = −5.
    b4 = −2.5 − 4 = −6.5: r = 1 + 2·6.5/5 = 3.6, d4 = −23.4.
    """
    optimizer = optimizers.scale_by_malicious_momentum(0.5, gamma=2.0, mode="stable")
    np.testing.assert_allclose(
        directions(optimizer, [2.0, 1.0, -6.0, -4.0]),
        [2.0, 6.0, -5.0, -23.4],
        rtol=1e-6,
    )


def shared_memory_reference(gradients, momentum):
    """The released algorithm with its aliasing, step by step, in float32.

    The buffer is a copy of the first gradient and *becomes* the gradient tensor; the
    next backward pass clears and fills that same memory before the buffer is updated.
    """
    gradients = np.asarray(gradients, np.float32)
    memory, last, out = np.zeros_like(gradients[0]), None, []
    for gradient in gradients:
        memory[:] = 0  # zero_grad, in place
        memory += gradient  # backward
        if last is not None and momentum != 0:
            buffer = memory
            buffer *= np.float32(momentum)
            buffer += memory
        if last is not None:
            ratio = 1 + memory / (last + np.float32(1e-7))
            memory *= np.clip(ratio, 1, 5)
        last = memory.copy()
        out.append(last)
    return np.stack(out)


@pytest.mark.parametrize("momentum", [0.9, 0.5, 0.0])
def test_released_mode_is_the_code_with_its_shared_memory(momentum):
    gradients = np.random.default_rng(0).normal(size=(20, 50)).astype(np.float32)
    optimizer = optimizers.scale_by_malicious_momentum(momentum)
    np.testing.assert_allclose(
        directions(optimizer, gradients),
        shared_memory_reference(gradients, momentum),
        rtol=1e-4,  # the two divisions differ by ε relative to entries down to 1e-3
    )


@pytest.mark.parametrize(
    ("mode", "momentum", "limit"),
    [
        ("released", 0.9, 1.8 * PHI),  # 2.912
        ("released", 0.5, PHI),
        ("released", 0.0, PHI),  # no buffer, so v = g
        ("stable", 0.9, 10 * PHI),  # 16.18
        ("stable", 0.0, PHI),
        ("paper", 0.5, 0.5 * PHI / (1 - 0.5 * PHI)),  # = φ³
        ("paper", 0.0, PHI),
    ],
)
def test_limit_of_a_constant_gradient(mode, momentum, limit):
    optimizer = optimizers.scale_by_malicious_momentum(momentum, mode=mode)
    gradient = np.array([0.3, -2.0], np.float32)
    last = directions(optimizer, np.tile(gradient, (200, 1)))[-1]
    np.testing.assert_allclose(last, limit * gradient, rtol=1e-4)


def test_no_gain_is_plain_momentum():
    """γ = 0: r = 1, so `stable` is optax's momentum."""
    gradients = np.random.default_rng(1).normal(size=(10, 4)).astype(np.float32)
    plain = directions(optax.trace(0.9), gradients)
    stable = optimizers.scale_by_malicious_momentum(0.9, gamma=0.0, mode="stable")
    np.testing.assert_allclose(directions(stable, gradients), plain, rtol=1e-6)


@pytest.mark.parametrize(
    ("momentum", "gamma", "diverges"),
    [
        (0.9, 1.0, True),  # .9 · 1.9 = 1.71
        (0.63, 1.0, True),  # .63 · 1.63 = 1.03
        (0.6, 1.0, False),  # .6 · 1.6 = .96
        (0.9, 0.1, False),  # .9 · 1.09 = .981
        (0.9, 0.2, True),  # .9 · 1.18 = 1.06
    ],
)
def test_paper_mode_diverges_where_beta_times_its_factor_is_one(
    momentum, gamma, diverges
):
    optimizer = optimizers.scale_by_malicious_momentum(momentum, gamma, mode="paper")
    path = directions(optimizer, jnp.ones(1000))
    if diverges:
        assert path[-1] > 1e6
    else:
        assert float(path[-1]) == pytest.approx(float(path[-2]), rel=1e-5)
        assert path[-1] < 60


def test_published_momentum_grows_by_its_factor():
    """Once d ≫ g: v/d_last = .9, r = 1.9, d/d_last = .9 · 1.9 = 1.71."""
    path = directions(
        optimizers.scale_by_malicious_momentum(0.9, mode="paper"), jnp.ones(60)
    )
    assert path[-1] / path[-2] == pytest.approx(1.71, rel=1e-4)


TINY = 1e-7  # ε


@pytest.mark.parametrize(
    ("last", "gradient", "expected"),
    [
        (0.0, 1e-3, 1.0),  # the released code: 5
        (0.0, -1e-3, 1.0),
        (0.0, 0.0, 0.0),  # no direction
        (1.0, 0.0, 0.0),
        (-0.5 * TINY, 1e-3, 1.0),  # too small to tell, and another sign
        (0.5 * TINY, -1e-3, 1.0),
        (-0.5 * TINY, -1e-3, 5.0),  # the same sign; the released code: 1
        (0.5 * TINY, 1e-3, 5.0),
        (-TINY, -TINY, 1.5),  # ½; the released code divides by zero
        (-TINY, TINY, 1.0),
        (TINY, TINY, 1.5),
        (1.0, 1.0, 2.0),
        (1.0, -1.0, 1.0),
        (-1.0, -9.0, 5.0),
        (1e-37, 1e37, 5.0),  # an infinite ratio
    ],
)
def test_division(last, gradient, expected):
    """r for d_last and v; the direction itself where v = 0."""
    assert scale_after(last, gradient) == pytest.approx(expected, rel=1e-5)


def test_slowing_down_needs_a_last_direction():
    """r_min = ½: opposite entries are halved, unless the last one was no direction."""
    assert scale_after(1.0, -1.0, r_min=0.5) == pytest.approx(0.5)
    assert scale_after(-0.5 * TINY, 1.0, r_min=0.5) == 1.0
    assert scale_after(0.0, 1.0, r_min=2.0) == 2.0  # 1, clipped


@pytest.mark.parametrize("gamma", [0.0, 1.0])
@pytest.mark.parametrize("mode", MODES)
def test_diverged_entries_stay_diverged_and_alone(mode, gamma):
    optimizer = optimizers.scale_by_malicious_momentum(0.5, gamma, mode=mode)
    gradients = jnp.array([[jnp.nan, jnp.inf, 1.0]]).repeat(3, axis=0)
    path = directions(optimizer, gradients)
    np.testing.assert_array_equal(jnp.isnan(path[:, 0]), True)
    np.testing.assert_array_equal(path[:, 1], jnp.inf)
    np.testing.assert_array_equal(jnp.isfinite(path[:, 2]), True)


@pytest.mark.parametrize("mode", MODES)
def test_factor_stays_within_its_bounds(mode):
    """Over random steps, some of them zero or tiny."""
    rng = np.random.default_rng(2)
    gradients = rng.normal(size=(30, 200)) * 10.0 ** rng.integers(-9, 2, (30, 200))
    gradients[rng.random((30, 200)) < 0.2] = 0.0
    optimizer = optimizers.scale_by_malicious_momentum(
        0.5, gamma=3.0, r_min=0.5, r_max=2.5, mode=mode
    )
    path, states = run(optimizer, gradients.astype(np.float32))
    np.testing.assert_array_equal(path, states.direction)
    moved = np.asarray(states.momentum) != 0
    factor = np.asarray(path)[moved] / np.asarray(states.momentum)[moved]
    steps = np.broadcast_to(np.arange(30)[:, None], moved.shape)[moved]
    assert np.all(factor[steps == 0] == 1)
    assert np.all((factor >= 0.5 - 1e-6) & (factor <= 2.5 + 1e-6))
    assert 0.5 in factor
    assert np.any(factor == 2.5)


@pytest.mark.parametrize("mode", MODES)
def test_mapped_over_traced_numbers_equals_loop(mode):
    gradients = jax.random.normal(jax.random.key(0), (8, 5))

    def path(momentum, gamma, r_max, epsilon):
        return directions(
            optimizers.scale_by_malicious_momentum(
                momentum, gamma, 1.0, r_max, mode, epsilon
            ),
            gradients,
        )

    numbers = (
        jnp.array([0.0, 0.5, 0.9]),
        jnp.array([0.0, 1.0, 2.0]),
        jnp.array([5.0, 3.0, 5.0]),
        jnp.array([1e-7, 1e-7, 1e-3]),
    )
    mapped = jax.jit(jax.vmap(path))(*numbers)
    for place, alone in enumerate(zip(*(n.tolist() for n in numbers), strict=True)):
        np.testing.assert_allclose(mapped[place], path(*alone), rtol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_jit_equals_eager_on_trees_of_any_type(mode):
    """Types of entries are kept, also with numbers that are float32 arrays."""
    params = {
        "dense": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3, jnp.bfloat16)},
        "none": None,
    }
    optimizer = optimizers.scale_by_malicious_momentum(
        jnp.float32(0.5), jnp.float32(1.0), mode=mode
    )
    state = optimizer.init(params)
    for _ in range(2):
        eager, eager_state = optimizer.update(params, state)
        jitted, jitted_state = jax.jit(optimizer.update)(params, state)
        chex.assert_trees_all_close((eager, eager_state), (jitted, jitted_state))
        chex.assert_trees_all_equal_shapes_and_dtypes(eager, params)
        chex.assert_trees_all_equal_shapes_and_dtypes(jitted_state, state)
        state = eager_state


def test_whole_optimizer_by_hand():
    """η = ½ then ¼, w = ½, μ = ¾; θ0 = 4, gradients 1 and −1.

    g' = 1 + ½·4 = 3, d = 3, θ1 = 4 − 1.5 = 2.5.
    g' = −1 + ½·2.5 = .25, v = .375, r = 1 + .375/3 = 1.125, d = .421875,
    θ2 = 2.5 − .10546875.
    """
    optimizer = optimizers.malicious_sgd(
        lambda step: 0.5**step * 0.5, momentum=0.75, weight_decay=0.5
    )
    params: Any = {"weight": jnp.array(4.0)}
    state = optimizer.init(params)
    for gradient, expected in ((1.0, 2.5), (-1.0, 2.39453125)):
        updates, state = optimizer.update(
            {"weight": jnp.array(gradient)}, state, params
        )
        params = optax.apply_updates(params, updates)
        assert params["weight"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("mode", ["released", "stable"])
def test_it_minimizes(mode):
    """A quadratic, with a traced rate."""

    @jax.jit
    def minimize(rate):
        optimizer = optimizers.malicious_sgd(rate, momentum=0.5, mode=mode)

        def step(carry, _):
            params, state = carry
            updates, state = optimizer.update(2 * params, state, params)
            return (optax.apply_updates(params, updates), state), None

        start = jnp.array([3.0, -1.0])
        (params, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), length=300)
        return params

    np.testing.assert_allclose(minimize(jnp.array(0.02)), 0.0, atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"momentum": 1.0}, r"momentum=1.0: must be in \[0, 1\)"),
        ({"momentum": -0.1}, r"momentum=-0.1: must be in \[0, 1\)"),
        ({"momentum": float("nan")}, "momentum=nan: must be"),
        ({"gamma": -1.0}, "gamma=-1.0: must be >= 0"),
        ({"r_min": 0.0}, "r_min=0.0: must be > 0"),
        ({"r_max": 0.5}, "r_max=0.5: must be >= r_min = 1.0"),
        ({"epsilon": 0.0}, "epsilon=0.0: must be > 0"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0: must be >= 0"),
    ],
)
def test_numbers_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        optimizers.malicious_sgd(0.1, **settings)


@pytest.mark.usefixtures("unchecked_types")
def test_unknown_mode():
    with pytest.raises(ValueError, match="mode='fast': must be one of paper, released"):
        optimizers.scale_by_malicious_momentum(mode="fast")  # pyright: ignore
