"""Fu et al., supplement: label inference against the depth of the bottom model, Criteo.

Six linear layers in all, 4096-64-16-4 and 8-8-4-2; one to five are the parties'.
"""

from typing import Literal

import _fu

from vfljax.experiments import Experiment, Variant
from vfljax.models import MLP, Top
from vfljax.protocol import ModelSplitting

_WIDTHS = (64, 16, 4, 4, 4)  # of the parties' layers
_TOP_WIDTHS = (32, 8, 8, 8, 4)  # of the top's, but the last


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """One to five layers; small: one, three and five."""
    small = scale == "small"
    return _fu.criteo_experiment(
        small,
        name="fu_depth_criteo",
        title="Criteo: label inference against the bottom model's depth",
        variants={
            f"{depth} of 6 layers": Variant(
                model=MLP(hidden=_WIDTHS[: depth - 1], embed=_WIDTHS[depth - 1]),
                protocol=ModelSplitting(
                    top=Top(widths=_TOP_WIDTHS[depth:], batch_norm=False)
                ),
            )
            for depth in ((1, 3, 5) if small else (1, 2, 3, 4, 5))
        },
        attacks={"passive": _fu.completion(small, 50, **_fu.criteo_epochs(small))},
    )
