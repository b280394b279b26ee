"""Horizontal federated learning: participants hold different samples of one kind.

In a round some participants train the shared network on samples of their own, and send
what changed; the server moves the network by the mean of it. FedSGD sends the gradient
of one batch, FedAvg the change of several local steps (McMahan et al. 2017,
https://arxiv.org/abs/1602.05629). An update stands in gradient units, (w_before −
w_after)/η: a server with plain SGD of the same rate η takes the mean of the weights.
"""

import dataclasses
from typing import Any, ClassVar, get_args

import optax

from vfljax._checks import check_choice, require
from vfljax.defenses import Defense
from vfljax.known import OF_UPDATES
from vfljax.models import PartyModel
from vfljax.protocol.interference import Upload
from vfljax.protocol.rounds import Announcement, FederatedProtocol, Observer
from vfljax.protocol.updates import UpdateView


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Federated:
    """What both protocols have in common."""

    num_participants: int = 100
    """How many participants there are, at least 1; each has samples of its own."""
    participants_per_round: int | None = None
    """How many of the participants, drawn anew, take part in a round of training; None
    for all."""
    secure_aggregation: bool = False
    """Whether the server sees only the mean of the updates of a round, as under secure
    aggregation, rather than each participant's update."""
    observer: Observer = "server"
    """Who looks: the server, or a participant, which knows the mean of the updates and
    its own, so that it sees the mean of all others'."""
    announces: Announcement = "mean"
    """What participants are told after a round of training: the mean of the updates, or
    the new parameters alone, so that what they see, (w_before - w_after) over the
    training's learning rate, has the server's momentum and weight decay in it."""
    views: ClassVar[tuple[Any, ...]] = (UpdateView,)
    knowledge: ClassVar[tuple[str, ...]] = OF_UPDATES
    sums_logits: ClassVar[bool] = False
    shares_rows: ClassVar[bool] = True
    kind: ClassVar[str]

    def __post_init__(self):
        """Checks the ranges."""
        number, some = self.num_participants, self.participants_per_round
        require(number >= 1, "protocol.num_participants", number, ">= 1")
        name, allowed = "protocol.participants_per_round", f"in [1, {number}]"
        require(some is None or 1 <= some <= number, name, some, allowed)
        check_choice("protocol.observer", self.observer, get_args(Observer))
        check_choice("protocol.announces", self.announces, get_args(Announcement))
        if self.observer == "participant":
            allowed = "2 or more where one of them looks"
            require(self.num_in_round >= 2, name, self.num_in_round, allowed)
        self.check()

    def check(self) -> None:
        """Raises a `ValueError` for an option of its own outside its range."""

    @property
    def num_in_round(self) -> int:
        """How many participants take part in a round."""
        return self.participants_per_round or self.num_participants

    def num_labels(self, batch_size: int, samples_each: int) -> int:
        """How many labels are behind what is seen of a round."""
        number = self.num_in_round if self.sees_aggregate else 1
        number -= self.observer == "participant"
        return number * self.num_steps(batch_size, samples_each) * batch_size

    @property
    def sees_aggregate(self) -> bool:
        """Whether what is seen is the mean of several updates."""
        return self.secure_aggregation or self.observer == "participant"

    @property
    def name(self) -> str:
        """What rows call the protocol, with who sees what."""
        aggregated = ", secure aggregation" if self.secure_aggregation else ""
        looking = ", seen by a participant" if self.observer == "participant" else ""
        return f"{self.kind}{aggregated}{looking}"

    def num_steps(self, batch_size: int, samples_each: int) -> int:
        """K, local steps of a round, of participants with so many samples each."""
        return 1

    def local_rate(self, learning_rate: float) -> float:
        """Rate of the local steps, given that of the training."""
        return learning_rate

    def local_optimizer(
        self, learning_rate: float
    ) -> optax.GradientTransformation | None:
        """What participants train with, given the training's rate; None for SGD."""
        return None

    def make(
        self,
        model: PartyModel,
        server_optimizer: optax.GradientTransformation,
        *,
        defense: Defense,
        num_classes: int,
        learning_rate: float,
        num_steps: int,
        upload: Upload | None = None,
    ) -> FederatedProtocol:
        """Returns the protocol's pure functions.

        Args:
            model: The shared network.
            server_optimizer: Of any kind; its gradient is the mean of the updates.
            defense: Of every participant.
            num_classes: C.
            learning_rate: Of the training, at the server.
            num_steps: K, such as from `num_steps`.
            upload: What the last participant sends in place of its update.
        """
        return FederatedProtocol(
            model=model,
            server_optimizer=server_optimizer,
            learning_rate=self.local_rate(learning_rate),
            local_optimizer=self.local_optimizer(learning_rate),
            num_classes=num_classes,
            num_participants=self.num_participants,
            num_steps=num_steps,
            defense=defense,
            secure_aggregation=self.secure_aggregation,
            observer=self.observer,
            upload=upload,
            announced_rate=learning_rate if self.announces == "parameters" else None,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FederatedSGD(_Federated):
    """Participants send the gradient of one batch each (FedSGD, McMahan et al.)."""

    kind: ClassVar[str] = "federated_sgd"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FederatedAveraging(_Federated):
    """Participants take several local steps and send the change (FedAvg, McMahan).

    With plain SGD of a constant rate at the server, and that rate for local steps too,
    the new weights are the mean of the participants' weights. Local steps keep their
    rate where that of the training falls.
    """

    local_steps: int = 10
    """Local steps of a round, at least 1, each on a batch of its own."""
    local_epochs: int | None = None
    """Local steps as many as passes over a participant's samples have, at least 1, on
    batches that are drawn with replacement; None for the number of local_steps."""
    local_learning_rate: float | None = None
    """Learning rate of the local steps, above 0; None for that of the training."""
    local_momentum: float = 0.0
    """Momentum of the local steps, in [0, 1), begun anew in every round; with it an
    update is no sum of gradients any more."""
    kind: ClassVar[str] = "federated_averaging"

    def check(self) -> None:
        """Checks the ranges."""
        steps, epochs = self.local_steps, self.local_epochs
        rate, momentum = self.local_learning_rate, self.local_momentum
        require(steps >= 1, "protocol.local_steps", steps, ">= 1")
        is_fit = epochs is None or epochs >= 1
        require(is_fit, "protocol.local_epochs", epochs, ">= 1")
        is_fit = rate is None or rate > 0
        require(is_fit, "protocol.local_learning_rate", rate, "> 0")
        is_fit = 0 <= momentum < 1
        require(is_fit, "protocol.local_momentum", momentum, "in [0, 1)")

    def num_steps(self, batch_size: int, samples_each: int) -> int:
        """K: local steps, or as many as whole batches of some passes over its rows."""
        if self.local_epochs is None:
            return self.local_steps
        return self.local_epochs * max(1, samples_each // batch_size)

    def local_rate(self, learning_rate: float) -> float:
        """Rate of the local steps, given that of the training."""
        return self.local_learning_rate or learning_rate

    def local_optimizer(
        self, learning_rate: float
    ) -> optax.GradientTransformation | None:
        """SGD with momentum, or None for plain SGD."""
        if not self.local_momentum:
            return None
        return optax.sgd(self.local_rate(learning_rate), momentum=self.local_momentum)
