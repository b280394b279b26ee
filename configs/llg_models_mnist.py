"""Which networks leak label counts: CNN, LeNet, perceptron and ResNet-20, MNIST.

Untrained networks, non-IID batches. The ResNet normalizes each batch by its own
statistics, which the attackers don't know and take from samples of their own.
"""

from typing import Literal

import _llg

from vfljax.attacks import LLG, LabelCountLeastSquares, LLGPlus
from vfljax.experiments import Experiment, Variant
from vfljax.models import MLP, LeNet, ResNet


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """A hundred batches of 1 to 128; small: twenty of three sizes."""
    small = scale == "small"
    bound = _llg.NETWORK.start_bound
    networks = {
        "sigmoid CNN": _llg.NETWORK,
        "LeNet": LeNet(start_bound=bound),
        "perceptron": MLP(hidden=(128, 64), start_bound=bound),
        "ResNet-20": ResNet(depth=20, start_bound=bound),
    }
    return Experiment(
        name="llg_models_mnist",
        title="Label counts by network, untrained, MNIST, non-IID batches",
        data=_llg.mnist(),
        protocol=_llg.PROTOCOL,
        variants={name: Variant(model=model) for name, model in networks.items()},
        batch_sizes=(2, 8, 32) if small else (1, 2, 4, 8, 16, 32, 64, 128),
        attacks={
            "llg": LLG(),
            "llg_plus": LLGPlus(),
            "least_squares": LabelCountLeastSquares(),
        },
        num_trials=20 if small else 100,
        execution=_llg.AT_ONCE,
    )
