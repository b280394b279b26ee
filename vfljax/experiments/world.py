"""What a trial trains and lets an adversary see, at one setting."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from vfljax import data, defenses, protocol
from vfljax.attacks import Attack
from vfljax.defenses.base import Shapes
from vfljax.experiments.experiment import Experiment
from vfljax.experiments.task import Arrays
from vfljax.known import Known
from vfljax.models import PartyModel
from vfljax.protocol import HONEST, Interference, ProtocolState, VerticalProtocol


class Cell(NamedTuple):
    """What shapes the program: one program per cell, trials and strengths mapped."""

    num_classes: int
    batch_size: int
    defense: str
    variant: str = ""


class Setting(NamedTuple):
    """What is swept within a cell: the strength, and which of the prepared ones."""

    strength: Float[Array, ""]
    choice: Int[Array, ""]


class Observation(NamedTuple):
    """What one adversary sees at one step, and what judges its answer.

    Attributes:
        views: By their classes' names; features are left out, see `with_features`.
        rows: Numbers of the training samples that a view is about; () for all.
        truth: What is right about them, in [0, classes).
        public: What is known of the defense.
        is_unprotected: Whether a defense that was on had to send it as it was.
        facts: What the interference says about itself, for the goal.
        setting: Of the trial, for attackers who simulate it; else ().
    """

    views: dict[str, Any]
    rows: Any
    truth: Int[Array, " batch"]
    public: Known
    is_unprotected: Bool[Array, ""]
    facts: Mapping[str, Any] = {}
    setting: Any = ()


def draw_knowledge(
    key: Key[Array, ""],
    attack: Attack,
    defense: defenses.Defense,
    cell: Cell,
    seen: Observation,
    arrays: Arrays,
) -> tuple[Known, Bool[Array, " batch"]]:
    """What an adversary may know, and the samples whose labels it is given."""
    of_defense = seen.public.replace(
        keeps_zero_sum=defense.keeps_zero_sum, drops_entries=defense.drops_entries
    )
    if attack.known_per_class is None:
        labels = data.draw_known_labels(
            key, seen.truth, cell.num_classes, attack.named_per_class
        )
        return of_defense.replace(labels=labels), labels >= 0
    rows = data.draw_known_rows(key, arrays.table, attack.known_per_class)
    is_known = jnp.zeros(len(arrays.labels), bool).at[rows].set(True)
    return of_defense.replace(rows=rows, labels=arrays.labels[rows]), is_known


def with_features(view: Any, rows: Any, arrays: Arrays, party: int) -> Any:
    """A view with the adversary's own features, which programs don't hand around."""
    if not isinstance(getattr(view, "features", None), tuple):
        return view  # it needs none, or brings what its gradient belongs to
    features = arrays.features[party]
    return dataclasses.replace(
        view, features=features if isinstance(rows, tuple) else features[rows]
    )


def without_features(view: Any) -> Any:
    """The inverse of `with_features`."""
    return dataclasses.replace(view, features=()) if hasattr(view, "features") else view


def decisions(
    logits: Float[Array, "samples classes"],
) -> tuple[Int[Array, " samples"], Bool[Array, " samples"]]:
    """Classes, −1 where there is no finite answer; and whether there is one."""
    is_answer = jnp.all(jnp.isfinite(logits), axis=1)
    return jnp.where(is_answer, jnp.argmax(logits, axis=1), -1), is_answer


@dataclasses.dataclass(frozen=True)
class AnyWorld:
    """What a trial trains at one setting, whatever is shared between whom."""

    experiment: Experiment
    cell: Cell
    setting: Setting
    arrays: Arrays

    def defense_for(self, shapes: Shapes) -> defenses.Defense:
        """The cell's defense at the strength of the setting, which may be traced."""
        strength, choice = self.setting
        prepared = jax.tree.map(lambda leaf: leaf[choice], self.arrays.of_defense)
        of_cell = self.experiment.defenses[self.cell.defense]
        return of_cell.at(strength, shapes, prepared)


@dataclasses.dataclass(frozen=True)
class World(AnyWorld):
    """What a trial trains: networks, defense and protocol at one setting."""

    @property
    def num_parties(self) -> int:
        """K."""
        return len(self.arrays.features)

    @property
    def adversary(self) -> int:
        """Position of the party that attacks, counted from the first."""
        return self.experiment.data.adversary % self.num_parties

    @property
    def bottom(self) -> PartyModel:
        """Every party's network."""
        embed = self.experiment.embed(self.cell.num_classes)
        return self.experiment.network.make(embed)

    @property
    def honest(self) -> VerticalProtocol:
        """The protocol when everybody keeps to it."""
        return self.protocol(HONEST, None)

    def defense(self, batch_size: int | None = None) -> defenses.Defense:
        """The cell's defense at the strength of the setting, which may be traced."""
        experiment, cell = self.experiment, self.cell
        if batch_size is None:
            batch_size = cell.batch_size
            if experiment.training.steps > 0:
                batch_size = experiment.training.size(batch_size)
        shapes = Shapes(
            num_samples=len(self.arrays.labels),
            batch_size=batch_size,
            embed=experiment.embed(cell.num_classes),
            sums_logits=experiment.protocol.sums_logits,
        )
        return self.defense_for(shapes)

    def optimizers(self, interference: Interference) -> list[Callable[[], Any]]:
        """Makers of every party's optimizer."""
        training = self.experiment.training
        cheaters = {
            "benign": (),
            "malicious": (self.adversary,),
            "all_malicious": range(self.num_parties),
        }[interference.optimizer]
        return [
            training.make_malicious if party in cheaters else training.make
            for party in range(self.num_parties)
        ]

    def protocol(self, interference: Interference, batches: Any) -> VerticalProtocol:
        """The protocol with everybody's networks and optimizers."""
        experiment, num_classes = self.experiment, self.cell.num_classes
        make: Any = experiment.protocol.make
        return make(
            (self.bottom,) * self.num_parties,
            [make() for make in self.optimizers(interference)],
            num_classes=num_classes,
            embed=experiment.embed(num_classes),
            top_optimizer=experiment.training.make_top(),
            defense=self.defense(None if batches is None else batches.shape[1]),
            label_party=experiment.data.label_party,
            manipulations=interference.manipulations,
        )

    def public(self) -> Known:
        """What is known of the defense."""
        defense, num_classes = self.defense(), self.cell.num_classes
        public = defense.public(self.cell.batch_size, num_classes)
        codebook = defense.encode_labels(jnp.eye(num_classes))
        return jax.tree.map(jnp.float32, public).replace(codebook=codebook)

    def observe(
        self,
        key: Key[Array, ""],
        run: VerticalProtocol,
        state: ProtocolState,
        rows: Int[Array, " batch"],
        truth: Int[Array, " batch"],
        party: int,
        kinds: Any,
    ) -> Observation:
        """What a party sees of one batch, whose messages are exchanged for it."""
        features = [of_party[rows] for of_party in self.arrays.features]
        transcript, after = run.exchange(key, state, features, truth, rows)
        num_before, num_after = (
            defenses.count_unprotected(
                of_all.defense_state
                if run.sends_one_message
                else of_all.defense_state[party]
            )
            for of_all in (state, after)
        )
        given = run, state, features[party], transcript, party
        views = {kind.name: protocol.make_view(kind, *given) for kind in kinds}
        return Observation(
            views={name: without_features(view) for name, view in views.items()},
            rows=rows,
            truth=truth,
            public=self.public(),
            is_unprotected=num_after > num_before,
        )
