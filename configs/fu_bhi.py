"""Fu et al., BHI: model completion with 35 labels per class, F1 of class 1.

A sample is two 50x50 patches of one class, one for each party; the loss weighs classes
.3 to 1. `attack_fu_batch_f1` is the published metric of attacks, F1 from precision and
recall averaged over mini-batches; that of the main task is the usual F1, `main_f1`, in
the released code too. Needs the user's own files.
"""

from typing import Literal

import _fu

from vfljax.experiments import Data, Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Five epochs of about 69,000 pairs; small: ResNet-8 on 2,000."""
    small = scale == "small"
    return Experiment(
        name="fu_bhi",
        title="BHI, a patch each: label inference from a trained bottom model",
        data=Data(
            dataset="bhi_2",
            split="rows",
            train_samples=_fu.TRAIN_SAMPLES if small else None,
            test_samples=_fu.TEST_SAMPLES if small else None,
        ),
        model=_fu.resnet(small, embed=5),
        protocol=_fu.BHI_SPLITTING,
        training=_fu.bhi_training(small),
        batch_sizes=(64,),
        attacks=_fu.three_attacks(small, 35, **_fu.bhi_epochs(small)),
        num_trials=4 if small else 5,
    )
