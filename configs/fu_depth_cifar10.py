"""Fu et al., supplement: label inference against the depth of the bottom model.

CIFAR-10 halves; the bottom model ends after the first convolution or after one, two or
three stages of a ResNet, each with average pooling and a linear layer to ten numbers.

Deviation: stages that are cut off the bottom model are dropped, so that the network
becomes shallower as a whole; in the publication they move into the top model, and the
depth of both together stays the same. (On perceptrons they do move: `fu_depth_criteo`.)
"""

from typing import Literal

import _fu

from vfljax.experiments import Experiment, Variant


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Four depths of ResNet-20; small: three of ResNet-8."""
    small = scale == "small"
    names = {
        0: "first convolution",
        1: "one stage",
        2: "two stages",
        3: "three stages",
    }
    depths = (0, 1, 3) if small else tuple(names)
    return _fu.cifar_experiment(
        small,
        name="fu_depth_cifar10",
        title="CIFAR-10 halves: label inference against the bottom model's depth",
        variants={
            names[depth]: Variant(model=_fu.resnet(small, stages=depth))
            for depth in depths
        },
        attacks={"passive": _fu.completion(small)},
        num_trials=2 if small else 5,
    )
