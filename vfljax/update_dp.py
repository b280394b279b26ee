"""What a training with noised updates guarantees a participant, or one of its records.

Neighbors differ in what one participant sends, or in one record, which are *replaced*:
who takes part, and how many records there are, is public. A sum of parts of norm at
most S then moves by 2S for each time that the unit is in it, and noise of standard
deviation z·S on every entry is the Gaussian mechanism for vectors 2/z apart. Papers
that add or remove a unit (McMahan et al. 2018, https://arxiv.org/abs/1710.06963) have
1/z there, so that their epsilons are smaller at the same multiplier.

Whoever does not see which units were drawn learns less. With p_k the chance that the
unit is in a sum k times, p their sum and G_k the privacy profile of Gaussian noise for
vectors 2k/z apart, the profile of one noised sum is at most

    δ(log(1 + p·(e^ε − 1))) = Σ_k p_k · G_k(ε),    ε >= 0

(Balle, Barthe, Gaboardi 2018, https://arxiv.org/abs/1807.01647, Theorems 9 and 10),
for drawing M of N participants without replacement, p_1 = M/N, and for drawing B of n
records with replacement, k ~ Binomial(B, 1/n): that is how this package draws, and no
Poisson sampling stands in for it. Replacing is symmetric, which gives the profile below
0; sums are composed by privacy loss distributions, rounded upwards (Doroshenko et al.
2022, https://arxiv.org/abs/2207.04380). All epsilons are upper bounds, and exact where
nothing is drawn; with replacement they may be twice as large as need be.

They bound what a participant, or a record, adds: **not properties** that several
records share, nor what is true of all participants. The arithmetic is that of real
numbers; attacks on the rounding of noise are out of scope.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from dp_accounting.pld import pld_pmf, privacy_loss_distribution
from jaxtyping import Float
from scipy import special, stats

from vfljax._checks import check_number
from vfljax.label_dp import gaussian_epsilon, short

_DELTA = 1e-5  # of budgets in rows
_UNLIKELY = 1e-9  # that a unit is in more rounds than are accounted for
_LARGEST = 100.0  # epsilons of drawn units above it are infinite: they say nothing
_FINEST, _POINTS = 1e-6, 1_000  # of the grid of privacy losses
_NEGLIGIBLE = 1e-3  # share of delta that may lie beyond that grid, in all sums together


class Draws(NamedTuple):
    """Noised sums that an adversary sees, and how often one unit is in each.

    Attributes:
        number: How many sums, >= 0.
        chances: That the unit is in a sum once, twice and so on; their sum is at most
            1, and (1.0,) where it is in it for sure and once.
    """

    number: int
    chances: tuple[float, ...] = (1.0,)


class UpdateBudget(NamedTuple):
    """What the noise on updates guarantees.

    Attributes:
        protects: Whom, in words.
        epsilon: (epsilon, delta)-DP of all that the adversary sees; infinite for none.
        delta: As given.
        words: The same in a sentence.
    """

    protects: str
    epsilon: float
    delta: int | float
    words: str


def drawn_from_all(number: int, share: int | float) -> Draws:
    """Sums over so large a share of the units, drawn anew without replacement."""
    check_number("share", share, low=0.0, high=1.0, low_excluded=True)
    return Draws(number, (float(share),))


def drawn_with_replacement(number: int, batch_size: int, num_records: int) -> Draws:
    """Sums over batches of records, each drawn from all with replacement.

    Example:
        >>> drawn_with_replacement(1, 2, 4).chances
        (0.375, 0.0625)
    """
    check_number("batch_size", batch_size, low=1)
    check_number("num_records", num_records, low=1)
    times = np.arange(1, batch_size + 1)
    chances = stats.binom.pmf(times, batch_size, 1.0 / num_records)
    kept = max(1, int(np.sum(chances > 1e-300)))  # fewer than nothing matters beyond
    return Draws(number, tuple(map(float, chances[:kept])))


def most_rounds(rounds: int, share: int | float) -> int:
    """In how many of some rounds a unit takes part at most, but for a small chance.

    Of so large a share that is drawn anew in every round, where it is seen who is
    drawn, so that drawing protects nobody. The chance is 1e-9, far below the delta of
    budgets in rows.

    Example:
        >>> most_rounds(100, 0.1), most_rounds(100, 1.0)
        (32, 100)
    """
    if share >= 1 or rounds == 0:
        return rounds
    return int(stats.binom.isf(_UNLIKELY, rounds, share))


def participant_epsilon(
    noise_multiplier: int | float,
    rounds: int,
    sampling: int | float,
    delta: int | float,
) -> float:
    """Epsilon of a participant by whose side others take part in noised rounds.

    Of an adversary who sees the mean of each round's updates, or the trained network,
    and not who takes part: with `ParticipantDP` under secure aggregation.

    Args:
        noise_multiplier: z >= 0; the mean of M updates of norm at most S has noise of
            standard deviation z·S/M.
        rounds: Of the training, >= 0.
        sampling: Share of the participants that takes part in a round, in (0, 1].
        delta: In (0, 1).

    Example:
        >>> round(participant_epsilon(2.0, 1, 1.0, 1e-5), 2)  # vectors 1 apart
        4.38
    """
    return epsilon_of_sums(noise_multiplier, [drawn_from_all(rounds, sampling)], delta)


def record_epsilon(
    noise_multiplier: int | float,
    steps: int,
    batch_size: int,
    num_records: int,
    delta: int | float,
) -> float:
    """Epsilon of a record of a participant that trains by DP-SGD.

    Of an adversary who sees all that the participant sends.

    Args:
        noise_multiplier: σ >= 0; the sum of a batch of gradients of norm at most C has
            noise of standard deviation σ·C.
        steps: Local steps in which the participant takes part, >= 0: those of all of
            its rounds.
        batch_size: B >= 1, records of a step, drawn with replacement.
        num_records: n >= 1, of the participant.
        delta: In (0, 1).

    Example:
        >>> record_epsilon(4.0, 100, 8, 500, 1e-5) < 1
        True
    """
    draws = drawn_with_replacement(steps, batch_size, num_records)
    return epsilon_of_sums(noise_multiplier, [draws], delta)


def epsilon_of_sums(
    noise_multiplier: int | float, draws: Sequence[Draws], delta: int | float
) -> float:
    """Epsilon of all sums together, infinite without noise and, if drawn, above 100.

    Args:
        noise_multiplier: z >= 0; of parts of norm at most S, sums have noise of
            standard deviation z·S.
        draws: Which sums there are.
        delta: In (0, 1).
    """
    check_number("noise_multiplier", noise_multiplier, low=0.0)
    check_number("delta", delta, low=0, high=1, low_excluded=True, high_excluded=True)
    draws = [each for each in draws if each.number]
    if not draws:
        return 0.0
    if noise_multiplier == 0:
        return math.inf
    if all(each.chances == (1.0,) for each in draws):
        number = sum(each.number for each in draws)
        return gaussian_epsilon(2.0 / noise_multiplier * math.sqrt(number), delta)
    total = sum(each.number for each in draws)
    beyond = _NEGLIGIBLE * delta / total
    ends = [_end(noise_multiplier, each.chances, beyond) for each in draws]
    if max(ends) > _LARGEST:
        return math.inf
    # Of the losses of each sum there are a thousand values, and of none a million.
    step = max(min(ends) / _POINTS, max(ends) / _POINTS**2, _FINEST)
    losses = [
        _losses(noise_multiplier, each, end, step)
        for each, end in zip(draws, ends, strict=True)
    ]
    composed = losses[0]
    for more in losses[1:]:
        composed = composed.compose(more)
    epsilon = float(composed.get_epsilon_for_delta(delta))
    return epsilon if epsilon <= _LARGEST else math.inf


def update_budget(
    protects: str,
    noise_multiplier: int | float,
    *,
    training: Draws,
    attacked: Draws,
    what: str,
) -> UpdateBudget:
    """The budget of a training and of attacked rounds together, for rows and reports.

    Args:
        protects: Whom, in words.
        noise_multiplier: As `epsilon_of_sums` takes it.
        training: Noised sums of the training.
        attacked: Those of the attacked rounds, which are no part of it.
        what: What the sums of the training are, in words.

    Example:
        >>> all_, one = Draws(9), Draws(1)
        >>> words = {"training": all_, "attacked": one, "what": "of 9 rounds"}
        >>> print(update_budget("a participant", 8.0, **words).words)
        ε = 3.34 (δ = 1e-05) for a participant that is replaced: of 9 rounds, and of
        what is attacked, which alone has 0.926. Properties that several share are not
        bounded.
    """
    delta = _DELTA
    spent = delta - _UNLIKELY
    epsilon = epsilon_of_sums(noise_multiplier, [training, attacked], spent)
    alone = epsilon_of_sums(noise_multiplier, [attacked], spent)
    return UpdateBudget(
        protects,
        epsilon,
        delta,
        f"ε = {short(epsilon)} (δ = {delta:g}) for {protects} that is replaced: "
        f"{what}, and of what is attacked, which alone has {short(alone)}. Properties "
        "that several share are not bounded.",
    )


def no_update_budget(protects: str, reason: str) -> UpdateBudget:
    """No guarantee, and why."""
    return UpdateBudget(protects, math.inf, _DELTA, f"No guarantee: {reason}.")


def _losses(noise_multiplier, draws, end, step):
    """Privacy losses of some sums, as often as there are, on a grid of such steps."""
    last = math.ceil(end / step)
    above = _profile(noise_multiplier, draws.chances, np.arange(last + 1) * step)
    # H(−ε) = 1 − e^(−ε) + e^(−ε)·H(ε) of the pair the other way round, its equal.
    small = np.exp(-np.arange(1, last + 1) * step)
    below = (1.0 - small + small * above[1:])[::-1]
    profile = np.minimum.accumulate(np.clip(np.concatenate([below, above]), 0.0, 1.0))
    numbers = np.arange(-last, last + 1)
    pmf = pld_pmf.create_pmf_pessimistic_connect_dots(step, numbers, profile)
    one = privacy_loss_distribution.PrivacyLossDistribution(pmf)
    return one.self_compose(draws.number) if draws.number > 1 else one


def _end(noise_multiplier, chances, delta):
    """A loss beyond which lies less than delta."""
    end = 1e-3
    while end <= _LARGEST:
        if _profile(noise_multiplier, chances, np.array([end]))[0] <= delta:
            return end
        end *= 1.25
    return math.inf


def _profile(
    noise_multiplier: int | float,
    chances: tuple[float, ...],
    epsilons: Float[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    """δ(ε) of one sum, for ε >= 0; see the module."""
    inner = np.log1p(np.expm1(epsilons) / sum(chances))
    deltas = np.zeros_like(epsilons)
    for times, chance in enumerate(chances, start=1):
        if chance > 0:
            distance = 2.0 * times / noise_multiplier
            near = special.ndtr(distance / 2 - inner / distance)
            far = special.log_ndtr(-distance / 2 - inner / distance) + inner
            deltas += chance * np.maximum(near - np.exp(far), 0.0)
    return deltas
