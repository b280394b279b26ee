"""Figure 9 (b) of Zou et al.: defenses against the backdoor, NUS-WIDE, two parties.

The party with the tags attacks the party with the images, for class 0. The published
poisoned samples are those that have the last tag anyway, fewer than 1 %; here they are
drawn from all and get it. Published without defense: main task .69878, backdoor .83992.
Needs the user's own files.
"""

from typing import Literal

import _backdoor

from vfljax.attacks import LabelReplacement
from vfljax.experiments import Data, Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Ten trials of 100 epochs; small: four of ten, fewer strengths."""
    small = scale == "small"
    return _backdoor.mnist(
        small,
        name="fig9_nus_wide",
        title="NUS-WIDE: defenses against the label replacement backdoor",
        data=Data(
            dataset="nus_wide_5",
            columns=("1000-1633", "0-999"),
            adversary=1,
            label_party=0,
        ),
        defenses=_backdoor.defenses(small),
        attacks={
            "replacement": LabelReplacement(trigger="nus_wide", target_class=0),
        },
    )
