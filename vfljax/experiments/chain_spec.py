"""Several defenses one after another, as plain data; and all defenses there are."""

import dataclasses
import math
from collections.abc import Generator
from typing import Any

import jax.numpy as jnp

from vfljax import defenses, label_dp
from vfljax.defenses import Defense
from vfljax.experiments.base_spec import BaseSpec, Public, Releases, Shapes
from vfljax.experiments.checks import require
from vfljax.experiments.defense_specs import SingleDefense


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chain(BaseSpec):
    """Several defenses, the first one acting first; the last one's strength is swept.

    DCAE is `Chain(parts=(CAE(strengths=(1.0,)), DiscreteSGD()))`, swept over its bins.
    """

    parts: tuple[SingleDefense, ...]
    """The defenses; all but the last have one strength each."""

    def __post_init__(self):
        """Checks the parts, and their order by composing them."""
        require(bool(self.parts), "parts", self.parts, "not empty")
        for number, part in enumerate(self.parts[:-1]):
            strengths = part.strengths
            name = f"parts[{number}].strengths"
            require(len(strengths) == 1, name, strengths, "one: the last part is swept")
        any_code = defenses.Autoencoder(codebook=jnp.eye(2), decoder={})
        shapes = Shapes(num_samples=1, batch_size=1, num_classes=2)
        self.make(self.strengths[0], shapes, (any_code,) * len(self.parts))

    @property
    def strengths(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Those of the last part."""
        return self.parts[-1].strengths

    @property
    def strength_name(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What the last part calls them."""
        return self.parts[-1].strength_name

    @property
    def only_classes(self) -> int | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What one of the parts is restricted to."""
        limits = [part.only_classes for part in self.parts]
        return next((limit for limit in limits if limit is not None), None)

    @property
    def covers_label_party(self) -> bool:
        """Whether the first part does, whose guarantee may be that of the chain."""
        return getattr(self.parts[0], "covers_label_party", False)

    def make(self, strength: Any, shapes: Shapes, trained: Any = ()) -> Defense:
        """Returns the composition at one, possibly traced, strength of the last."""
        return defenses.chain(
            *(
                part.make(of_part, shapes, of_trained)
                for part, of_part, of_trained in zip(
                    self.parts, self._strengths(strength), trained, strict=True
                )
            )
        )

    def prepare(self, num_classes: int) -> Generator[str, None, Any]:
        """Trains what the parts need; one at most needs something, a label code."""
        trained = []
        for part in self.parts:
            trained.append((yield from part.prepare(num_classes)))
        return tuple(trained)

    def place(self, strength: Any, trial: int) -> int:
        """That of the part that was prepared; the others have 0."""
        return max(
            part.place(of_part, trial)
            for part, of_part in zip(self.parts, self._strengths(strength), strict=True)
        )

    def public(self, strength: Any, batch_size: int, num_classes: int) -> Public:
        """What is known of each part, as if it acted alone: variances add up."""
        known = [
            part.public(of_part, batch_size, num_classes)
            for part, of_part in zip(self.parts, self._strengths(strength), strict=True)
        ]
        return Public(
            noise_std=sum(one.noise_std**2 for one in known) ** 0.5,
            keep_fraction=math.prod(one.keep_fraction for one in known),
            replaced_by=max(one.replaced_by for one in known),
        )

    def facts(self) -> tuple[bool, bool]:
        """Whether all parts keep rows at zero sum, and whether one drops entries."""
        keep, drop = zip(*(part.facts() for part in self.parts), strict=True)
        return all(keep), any(drop)

    def budget(
        self, strength: Any, batch_size: int, num_classes: int, releases: Releases
    ) -> tuple[label_dp.LabelBudget, str] | None:
        """That of the first part, as what the others make of its message tells no more.

        A part after the first has no account: what comes before it changes the message.
        """
        first = self._strengths(strength)[0]
        return self.parts[0].budget(first, batch_size, num_classes, releases)

    def _strengths(self, strength):
        return *(part.strengths[0] for part in self.parts[:-1]), strength


DefenseSpec = SingleDefense | Chain
