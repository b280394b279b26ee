"""Melis et al., sections II-B and VIII-D: differential privacy of records.

It bounds what one record changes, so membership; a property of all records of a batch
it does not. All attacks watch the same trainings: hotel reviews, sentiment as main
task, veracity as property. Noise drowns the sizes of single rows and slices, but not a
linear map of all entries. Beside it, privacy of participants.
"""

from typing import Literal

import _melis

from vfljax.attacks import (
    MembershipFromEmbedding,
    TokensPresent,
)
from vfljax.defenses import ExampleClipping, NoDefense, ParticipantDP
from vfljax.experiments import Experiment, TargetProperty


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Five trainings for each noise; small: one of a narrow network."""
    small = scale == "small"
    noise = (0.001, 0.003, 0.03) if small else (0.001, 0.003, 0.01, 0.03, 0.3, 1.0)
    thresholds = {"membership": 0.0, "membership_1e-3": 0.001}
    return Experiment(
        name="melis_privacy_opinions",
        title="Differential privacy against membership and properties",
        data=_melis.opinions(TargetProperty(name="veracity", values=("deceptive",))),
        model=_melis.texts(small),
        protocol=_melis.participants(),
        training=_melis.training(200 if small else 3000),
        batch_sizes=(12,),
        defenses={
            "none": NoDefense(),
            "records": ExampleClipping(clip_norm=1.0, noise_multiplier=noise),
            "participants": ParticipantDP(
                clip_norm=1.0, noise_multiplier=(1.0,) if small else noise
            ),
        },
        attacks={
            "ridge": _melis.inference(small)["ridge"],
            "projected": _melis.projected(small),
            **{
                label: MembershipFromEmbedding(reader=TokensPresent(threshold=norm))
                for label, norm in thresholds.items()
            },
        },
        num_trials=1 if small else 5,
    )
