"""Fu et al., Figure 3: the active attack against the number of parties, on BHI.

A sample is eight patches of one class; K parties hold the first K of them, so that all
numbers of parties see the same samples. (The publication forms other samples for every
K.) Needs the user's own files.
"""

from typing import Literal

import _fu

from vfljax.experiments import Data, Experiment, Variant


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Two to eight parties; small: 2, 4 and 8, ResNet-8 on 2,000 samples."""
    small = scale == "small"

    def data(count):
        return Data(
            dataset="bhi_8",
            split="rows",
            num_parties=count,
            shares=(1 / 8,) * count,
            train_samples=_fu.TRAIN_SAMPLES if small else None,
            test_samples=_fu.TEST_SAMPLES if small else None,
        )

    return Experiment(
        name="fu_parties_bhi",
        title="BHI, a patch each: label inference against the number of parties",
        data=data(2),
        model=_fu.resnet(small, embed=5),
        protocol=_fu.BHI_SPLITTING,
        training=_fu.bhi_training(small),
        variants={
            f"{count} parties": Variant(data=data(count))
            for count in ((2, 4, 8) if small else range(2, 9))
        },
        batch_sizes=(64,),
        attacks={
            "passive": _fu.completion(small, 35, **_fu.bhi_epochs(small)),
            "active": _fu.completion(
                small, 35, optimizer="malicious", **_fu.bhi_epochs(small)
            ),
        },
        num_trials=4 if small else 5,
    )
