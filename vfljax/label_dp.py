"""How much a noised message about a sample can tell about its label, at the very most.

Row i of the clean message is (softmax(H_i) − onehot(y_i))/B. Another label y' changes
this row alone, by (onehot(y_i) − onehot(y'))/B: by √2/B in the 2-norm and by 2/B in the
1-norm, whatever the logits H are. Noise on top of it is the Gaussian or the Laplace
mechanism, and its label differential privacy (Ghazi et al., 2021,
https://arxiv.org/abs/2102.06062: neighbors differ in one label) follows. What is
derived from a message keeps the guarantee: the gradients of the encrypted protocol, and
defenses that act on the noised message. Everything is public but the labels, so a batch
that was drawn at random buys nothing.

Read this before quoting a number:

1. **Over training, the budget holds only if the label party's own bottom model is
   trained on the noised message too** (`Defense.covers_label_party`). Trained on the
   clean one, it carries the labels into later logits, and these into later messages,
   without any bound. A defense that does not cover it, like `dp_gaussian` and
   `dp_laplace` by default, is accounted for one message alone, at the first use of the
   sample: leave `num_releases=1`, which says nothing about the messages that follow.
2. **It bounds what a sample's own label adds, not what others tell about it.** Samples
   that look alike have labels alike, and an attacker who averages over them
   (`attacks.message_smoothing`) may well find more labels than `allowed_accuracy`: so
   does any model that was trained, privately, to predict them.
3. **The published settings claim no guarantee.** No row is longer than √2/B, so the
   published clip at 0.2 never acts on the mean of 8 samples or more: the sensitivity
   comes from the factor 1/B alone, and the clip buys nothing.

Messages are those of `sum_of_logits` with one-hot labels and unbroken rows: not after
a label encoding, nor where another defense changes messages before the noise does. The
arithmetic is that of real numbers; attacks on the rounding of noise are out of scope.
"""

import math
from typing import Literal, NamedTuple

import dp_accounting
import numpy as np
from dp_accounting.pld import privacy_loss_distribution
from scipy import integrate, optimize, special

from vfljax._checks import check_choice, check_number

Reading = Literal["paper", "released"]


class LabelBudget(NamedTuple):
    """What noise guarantees, and what it leaves to find.

    Attributes:
        epsilon: (epsilon, delta)-label-DP of one message; for Laplace noise it holds
            with delta = 0. Infinite without noise.
        delta: As given.
        epsilon_training: The same for all messages about a sample, at `delta`. So for
            a single Laplace message it is a little less than `epsilon`.
        allowed_accuracy: The highest expected share of labels that any attack finds
            from a sample's own message, in [1/C, 1], if labels are uniform whatever the
            features are, and all else is known. Attained unless `clip_acts`, then an
            upper bound.
        bound_from_epsilon: The same as far as (`epsilon`, `delta`) tell, in [1/C, 1],
            never below `allowed_accuracy`.
        clip_acts: Whether a row can be longer than the clipping norm.
    """

    epsilon: float
    delta: float
    epsilon_training: float
    allowed_accuracy: float
    bound_from_epsilon: float
    clip_acts: bool


def label_budget(
    mechanism: Literal["gaussian", "laplace"],
    noise: int | float,
    *,
    batch_size: int,
    num_classes: int,
    clip_norm: int | float = math.inf,
    clip_reading: Reading = "paper",
    num_releases: int = 1,
    delta: int | float = 1e-5,
) -> LabelBudget:
    """Accounts for messages with independent noise on each entry.

    Gaussian budgets are exact (Balle & Wang, 2018, https://arxiv.org/abs/1805.06530,
    Eq. 6); those of Laplace messages in `epsilon_training` are upper bounds by privacy
    loss distributions (Doroshenko et al., 2022, https://arxiv.org/abs/2207.04380),
    close ones if the clip does not act.

    A clip that acts can only bring two rows closer in the 2-norm, as it projects onto a
    ball, and leaves them within 2·clip_norm. Their 1-norm distance stays within 2/B,
    and within 4·clip_norm·√((C−1)/C), as each row sums to zero with one negative entry.

    Args:
        mechanism: `"gaussian"` or `"laplace"`.
        noise: Standard deviation or Laplace scale b >= 0, in units of dL/dH. What
            `dp_laplace` takes in the paper's reading is √2·b.
        batch_size: B >= 1, over which the loss is a mean.
        num_classes: C >= 2.
        clip_norm: 2-norm to which rows are clipped; > 0, infinite for no clipping.
        clip_reading: Whether each row is clipped, `"paper"`, or the batch is divided by
            one number, `"released"`, which is only accounted for where it is always 1:
            elsewhere a label changes all rows.
        num_releases: Messages about the same sample, >= 1: the number of epochs, or 1
            if the defense does not cover the label party (see the module).
        delta: In (0, 1].

    Raises:
        ValueError: For an argument outside its range.

    Example:
        >>> budget = label_budget("laplace", 1 / 32, batch_size=32, num_classes=2)
        >>> budget.epsilon, round(budget.allowed_accuracy, 3)
        (2.0, 0.724)
    """
    check_choice("mechanism", mechanism, ("gaussian", "laplace"))
    check_choice("clip_reading", clip_reading, ("paper", "released"))
    check_number("noise", noise, low=0.0)
    check_number("batch_size", batch_size, low=1)
    check_number("num_classes", num_classes, low=2)
    check_number("clip_norm", clip_norm, low=0.0, low_excluded=True)
    check_number("num_releases", num_releases, low=1)
    check_number("delta", delta, low=0.0, high=1.0, low_excluded=True)
    longest_row = math.sqrt(2) / batch_size
    clip_acts = clip_norm < longest_row
    if clip_acts and clip_reading == "released":
        raise ValueError(
            f"clip_norm={clip_norm}: must be >= √2/batch_size = {longest_row:.3g} in "
            "the released reading; below, one label changes the scale of all rows"
        )
    if noise == 0:
        return LabelBudget(math.inf, float(delta), math.inf, 1.0, 1.0, clip_acts)

    if mechanism == "gaussian":
        distance = min(longest_row, 2 * clip_norm) / noise
        epsilon = gaussian_epsilon(distance, delta)
        epsilon_training = gaussian_epsilon(distance * math.sqrt(num_releases), delta)
        bound = _bound_from_epsilon(epsilon, delta, num_classes)
        # Clipped rows are no farther apart than corners of this simplex, and by
        # Slepian's argument (E max_c exp(X_c − Var X_c / 2) for Gaussian X grows with
        # every distance) then no easier to tell apart.
        allowed = _gaussian_accuracy(distance / math.sqrt(2), num_classes)
    else:
        row_bound = 2 * clip_norm * math.sqrt((num_classes - 1) / num_classes)
        epsilon = min(2 / batch_size, 2 * row_bound) / noise
        bound = _bound_from_epsilon(epsilon, 0.0, num_classes)
        if clip_acts:  # entries move by amounts of this sum; all in one is the worst
            epsilon_training = _laplace_epsilon(epsilon, num_releases, delta)
            allowed = bound
        else:  # exactly two entries move, by 1/B each
            epsilon_training = _laplace_epsilon(epsilon / 2, 2 * num_releases, delta)
            allowed = _laplace_accuracy(epsilon / 2, num_classes)
    return LabelBudget(
        epsilon=epsilon,
        delta=float(delta),
        epsilon_training=epsilon_training,
        allowed_accuracy=min(allowed, bound),  # equal but for rounding, or less
        bound_from_epsilon=bound,
        clip_acts=clip_acts,
    )


def describe(
    budget: LabelBudget,
    *,
    batch_size: int,
    clip_norm: int | float = math.inf,
    num_releases: int = 1,
) -> str:
    """The budget as one sentence for a report.

    Args:
        budget: From `label_budget`, called with the other arguments.
        batch_size: B.
        clip_norm: Infinite for no clipping, which is not mentioned.
        num_releases: Messages about the same sample; 1 is not mentioned.

    Example:
        >>> budget = label_budget("gaussian", 0.01, batch_size=512, num_classes=10)
        >>> print(describe(budget, batch_size=512, clip_norm=0.2))
        ε = 1.03 per message (δ = 1e-05); an attacker may still find 13.3 % of the
        labels from a sample's own message; the clip at 0.2 never acts (rows are at most
        √2/B = 0.0028 long).
    """
    training = (
        f", {short(budget.epsilon_training)} over {num_releases} messages about the "
        "same sample"
        if num_releases > 1
        else ""
    )
    acts = "acts on some rows" if budget.clip_acts else "never acts"
    clip = (
        f"; the clip at {clip_norm:g} {acts} (rows are at most √2/B = "
        f"{math.sqrt(2) / batch_size:.2g} long)"
        if math.isfinite(clip_norm)
        else ""
    )
    return (
        f"ε = {short(budget.epsilon)} per message{training} (δ = {budget.delta:g}); "
        f"an attacker may still find {100 * budget.allowed_accuracy:.1f} % of the "
        f"labels from a sample's own message{clip}."
    )


def short(epsilon: float) -> str:
    """Three digits of an epsilon, or ∞."""
    return f"{epsilon:.3g}" if math.isfinite(epsilon) else "∞"


def gaussian_epsilon(distance: float, delta: int | float) -> float:
    """Epsilon of unit noise on vectors so far apart; k messages are √k times as far."""
    if distance <= delta:  # total variation is at most 0.4·distance
        return 0.0
    if distance > 1e3:  # digits cancel: P(privacy loss > ε) = δ, a close upper bound
        return max(0.0, distance * (distance / 2 - float(special.ndtri(delta))))
    with np.errstate(divide="ignore"):  # differences that vanish have log −∞, rightly
        return float(dp_accounting.get_epsilon_gaussian(1 / distance, delta))


def _laplace_epsilon(distance: float, count: int, delta: int | float) -> float:
    """Of `count` entries with noise of scale 1, each moved by `distance`."""
    pure = count * distance
    if pure <= delta:  # total variation is at most pure / 2
        return 0.0
    if distance > 500:  # dp_accounting overflows; accounting saves < 1 % here
        return pure
    loss = privacy_loss_distribution.from_laplace_mechanism(
        1 / distance,
        # A hundred steps are within 0.1 %; steps below 1e-6 would drown in rounding.
        value_discretization_interval=max(distance / 100, 1e-6),
    ).self_compose(count)

    def excess(epsilon):  # the library's own inverse overflows near ε = 720
        return float(loss.get_delta_for_epsilon(epsilon)) - delta

    if excess(0.0) <= 0:
        return 0.0
    if excess(pure) >= 0:
        return pure
    return float(optimize.root_scalar(excess, bracket=(0.0, pure), rtol=1e-9).root)


def _bound_from_epsilon(epsilon: float, delta: int | float, num_classes: int) -> float:
    """(e^ε + (C−1)δ)/(e^ε + C − 1), what label-DP leaves of guessing one label in C.

    With p_y the chance to answer y rightly, p_y <= e^ε q + δ for the chance q to answer
    y under any other label; averaged over both labels, q is (1 − p)/(C − 1).
    """
    others = num_classes - 1
    return (1 + others * delta * math.exp(-epsilon)) / (1 + others * math.exp(-epsilon))


def _gaussian_accuracy(signal: float, num_classes: int) -> float:
    """P(s + Z_1 > Z_2, ..., Z_C) = ∫ φ(z − s) Φ(z)^(C−1) dz, for unit noise Z."""

    def integrand(x):
        return math.exp(
            (num_classes - 1) * special.log_ndtr(x + signal) - x * x / 2
        ) / math.sqrt(2 * math.pi)

    return float(integrate.quad(integrand, -12.0, 12.0, epsabs=1e-11)[0])


def _laplace_accuracy(signal: float, num_classes: int) -> float:
    """Best guess of which of C entries with noise of scale 1 was moved by s.

    With n_c the noise, the likelihood of entry c relative to no move is e^(T_c), T_c =
    clip(2 n_c − s, −s, s), so the best guess is right with probability E[e^max(T)]/C
    under no move: ties, which have a positive probability, need no care. As
    P(T_c <= t) = 1 − e^(−(t+s)/2)/2 for −s <= t < s, integrating by parts over
    r = e^((t+s)/2) gives (e^(−s)/C)·(1 + 2 ∫_1^(e^s) r·(1 − (1 − 1/(2r))^C) dr),
    which is 1 − e^(−s)·(2 + s)/4 for C = 2.
    """
    end = math.exp(min(signal, 500.0))  # 1 to all digits beyond

    def integrand(share):
        r = share * end
        return -r * math.expm1(num_classes * math.log1p(-0.5 / r))

    area = integrate.quad(integrand, 1 / end, 1.0, epsabs=1e-11)[0]
    return (1 / end + 2 * area) / num_classes
