"""The compiled programs of a sweep: victims and attacks, mapped over trials.

Trials and strengths are the mapped axis, spread over all devices. A program is
compiled once for all cells of equal shapes.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from vfljax.attacks import Attack
from vfljax.experiments.experiment import Experiment
from vfljax.experiments.task import Arrays
from vfljax.experiments.trial import make_attack, make_victim
from vfljax.experiments.world import Cell

Inputs = tuple[Any, Any, Arrays]


def program_of(attack: Attack) -> Attack:
    """Attacks that are equal after this share a program: traced numbers are put in."""
    return dataclasses.replace(attack, **dict.fromkeys(attack.traced, 1.0))


class Programs:
    """The compiled programs of one experiment without variants."""

    def __init__(self, experiment: Experiment):
        self.experiment = experiment
        self.mesh = jax.make_mesh(
            (jax.device_count(),), ("trials",), axis_types=(AxisType.Auto,)
        )
        self.spread = NamedSharding(self.mesh, PartitionSpec("trials"))
        self.everywhere = NamedSharding(self.mesh, PartitionSpec())
        self._compiled: dict[Any, Any] = {}

    def sharing(self, attack: Attack) -> tuple[Attack, ...]:
        """The attacks on the same trained model, in order."""
        attacks = self.experiment.attacks.values()
        return tuple(other for other in attacks if other.victim == attack.victim)

    def victim(self, cell: Cell, sharing: Sequence[Attack], inputs: Inputs):
        """The program that trains the victim of some attacks.

        `inputs` are keys of the trials, their settings with the first attack's traced
        numbers, and the data.
        """
        alike = tuple(map(program_of, sharing))
        kinds = frozenset((attack.sees, attack.reader) for attack in alike)
        make = functools.partial(make_victim, self.experiment, cell, alike)
        return self._program((cell, alike[0].victim, kinds), make, inputs)

    def attack(self, cell: Cell, attack: Attack, inputs: Inputs, *, is_built_on: bool):
        """The program of an attack; cells of equal facts about the defense share it.

        `inputs` are keys of the trials, what `make_attack` says, and the data;
        `is_built_on` tells whether another attack wants its answers.
        """
        defense, alike = self.experiment.defenses[cell.defense], program_of(attack)
        facts = tuple(getattr(defense, name) for name in attack.facts)
        simulated = (cell.defense,) * ("simulate" in attack.uses)
        name = (cell.num_classes, cell.batch_size, alike, *facts, *simulated)
        make = functools.partial(
            make_attack, self.experiment, cell, alike, is_built_on=is_built_on
        )
        if attack.runs_on_host:
            return _on_host(make())
        is_double = attack.needs_float64
        return self._program((name, is_built_on), make, inputs, is_double=is_double)

    def _program(
        self,
        name,
        make: Callable[[], Callable[..., Any]],
        inputs: Inputs,
        *,
        is_double: bool = False,
    ):
        """Maps over the first axis of all inputs but the data; compiles once.

        Inputs may be shapes alone, such as another program's `out_info`. A double one
        may use 64-bit numbers.
        """
        key = (name, str(jax.tree.map(lambda leaf: leaf.shape, inputs[:2])))
        if key not in self._compiled:
            one = make()

            def mapped(first, second, arrays):
                if self.experiment.network.one_by_one:  # large enough on their own
                    return jax.lax.map(lambda ab: one(*ab, arrays), (first, second))
                return jax.vmap(lambda a, b: one(a, b, arrays))(first, second)

            sharded = jax.shard_map(
                mapped,
                mesh=self.mesh,
                in_specs=(self.spread.spec, self.spread.spec, self.everywhere.spec),
                out_specs=self.spread.spec,
                check_vma=False,
            )
            with jax.enable_x64(is_double):
                self._compiled[key] = jax.jit(sharded).lower(*inputs).compile()
        return self._compiled[key]


def _on_host(one: Callable[..., Any]) -> Callable[..., Any]:
    """Calls a function for one trial after the other, as no program of JAX can.

    All arrays come to one device first: single operations on arrays that are spread
    would be programs of all devices, which may wait for each other for ever.
    """

    def mapped(*given):
        keys, inputs, arrays = jax.device_put(given, jax.devices()[0])

        answers = [
            one(
                keys[trial], jax.tree.map(lambda leaf, n=trial: leaf[n], inputs), arrays
            )
            for trial in range(len(keys))
        ]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *answers)

    return mapped
