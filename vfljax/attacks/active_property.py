"""Infer a property more surely by training the shared network to tell it apart.

Melis, Song, De Cristofaro, Shmatikov, "Exploiting Unintended Feature Leakage in
Collaborative Learning" (S&P 2019, https://doi.org/10.1109/SP.2019.00029), section 5.2.
The adversary, the last participant, puts a second head for the property on its copy of
the network, and uploads the gradient of

    (1 − α)·CE(main task) + α·CE(property)                                        (2)

with respect to the shared parameters; the second head stays with it. The network so
learns features by which the property is seen, and the updates of the others tell more.

Equation 2 as printed has α at the main task, but the paper's Figure 7 and its code have
it where it stands here; `loss="printed"` is the former. The released code makes a
function that trains the second head and never calls it: `head="frozen"`.
"""

import dataclasses
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp

from vfljax import losses, models
from vfljax._checks import POSITIVE, require
from vfljax.attacks.base import Attack, RoundInference
from vfljax.attacks.property_inference import PropertyInference
from vfljax.goals import PROPERTY, Goal
from vfljax.known import NOTHING, Known
from vfljax.protocol import Interference, Scene, UpdateView, Upload, head_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class ActivePropertyInference(Attack):
    """Upload the gradient of a joint loss, and then infer the property as another does.

    The second head has as many outputs as the first, of which the first two stand for
    samples without and with the property, and starts at zero bias and normal weights
    of variance 1 over the number of its inputs. It needs participants that send
    gradients, as a joint loss of several local steps is not described.
    """

    of: Attack = dataclasses.field(default_factory=PropertyInference)
    """The attack that infers the property from what is watched."""
    property_weight: float = 0.5
    """Weight alpha in [0, 1] of the property's loss; with 0 it is a passive attack."""
    loss: Literal["figures", "printed"] = "figures"
    """Which loss has the weight alpha: that of the property, as in the paper's figures
    and code (figures), or the main task's, as its equation 2 is printed (printed)."""
    head: Literal["trained", "frozen"] = "trained"
    """Whether the second head is trained locally, or left as it starts, as the released
    code does."""
    head_learning_rate: float = 0.1
    """Learning rate, above 0, of the second head, which is trained by plain SGD."""
    head_layer: str = "output"
    """Name of the network's last dense layer, beside which the second head stands."""
    sees: ClassVar[Any] = UpdateView
    goal: ClassVar[Goal] = PROPERTY
    threat_model: ClassVar[str | None] = "active participant"
    ranges: ClassVar = {
        "property_weight": {"low": 0.0, "high": 1.0},
        "head_learning_rate": POSITIVE,
    }

    @property
    def reader(self) -> Any:
        """That of the attack which infers."""
        return self.of.reader

    @property
    def runs_on_host(self) -> bool:
        """As the attack which infers."""
        return self.of.runs_on_host

    @property
    def uses(self) -> tuple[str, ...]:
        """What the attack which infers uses."""
        return self.of.uses

    @property
    def is_adaptive(self) -> bool:
        """As the attack which infers."""
        return self.of.is_adaptive

    @property
    def knowledge(self) -> str | None:
        """As the attack which infers."""
        return self.of.knowledge

    def fits(self, task) -> str | None:
        """One local step in a round, and a participant with properties that cheats."""
        protocol, horizontal = task.experiment.protocol, task.experiment.data.horizontal
        if set(task.local_steps) != {1}:
            return f"of: needs one local step in a round, has {task.local_steps}"
        if protocol.observer != "participant":
            return (
                "of: the last participant cheats, so protocol.observer="
                f"{protocol.observer!r} must be 'participant'"
            )
        if horizontal.target is None:
            return "of: needs a property, data.horizontal.target=None must be given"
        return self.of.fits(task)

    def interferes(self, key, scene: Scene) -> Interference:
        """Uploads the joint gradient in every round."""

        def init(key, params):
            kernel, bias = head_of(params, self.head_layer)
            require(
                bias is not None,
                "head_layer",
                self.head_layer,
                "a dense layer with a bias",
            )
            width = kernel.shape[1]
            drawn = jax.random.normal(key, kernel.T.shape, kernel.dtype)
            return {"kernel": drawn / jnp.sqrt(width), "bias": jnp.zeros_like(bias)}

        def send(kept, update, model, params, forward, features, labels, properties):
            def loss(params, head):
                changed = dict(params) | {self.head_layer: head}
                logits = models.embed(model, changed, features[0], forward)
                has_it = (properties[0] == 1).astype(jnp.int32)
                targets = jax.nn.one_hot(has_it, logits.shape[1])
                return losses.cross_entropy(logits, targets)

            of_shared, of_head = jax.grad(loss, argnums=(0, 1))(params, kept)
            weight = self.property_weight
            weight = 1 - weight if self.loss == "printed" else weight
            joint = jax.tree.map(
                lambda main, own: (1 - weight) * main + weight * own, update, of_shared
            )
            if self.head == "frozen":
                return joint, kept
            rate = self.head_learning_rate
            return joint, jax.tree.map(lambda a, b: a - rate * b, kept, of_head)

        return Interference(upload=Upload(init, send))

    def __call__(self, key, view: Any, known: Known = NOTHING) -> RoundInference:
        """Infers from what was read of all rounds, as the other attack does."""
        return self.of(key, view, known)
