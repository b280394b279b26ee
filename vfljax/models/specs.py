"""Networks as plain data: the parties' bottom models, and the label party's top."""

import abc
import dataclasses
from pathlib import Path
from typing import ClassVar

import jax
from jaxtyping import Array, Float

import functools
import vfljax.models as models
from vfljax._checks import require


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """What all bottom models have in common; each party has one of its own."""

    embed: int | None = None
    """Width of the embedding; None: the number of classes."""
    one_by_one: ClassVar[bool] = True
    """Whether a program is faster with one trial after the other than with all."""

    def __post_init__(self):
        """Checks the embedding; the network checks the rest."""
        require(
            self.embed is None or self.embed >= 1, "model.embed", self.embed, ">= 1"
        )
        self.make(2)

    @functools.lru_cache
    def make(self, embed: int):
        """Returns one party's network."""

    def pretrained(
        self, embed: int, features: Float[Array, "samples ..."]
    ):
        """The part of every party's parameters that does not start at random.

        Args:
            embed: Width of the embedding.
            features: Some of one party's, for the shapes.
        """
        return {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MLP(Network):
    """A multi-layer perceptron per party, with ReLU between its layers."""

    hidden: tuple[int, ...] = (32,)
    """Widths of the hidden layers."""
    relu_output: bool = False
    """Whether a ReLU stands on the embedding too."""
    one_by_one: ClassVar[bool] = False

    def __post_init__(self):
        """Checks the widths."""
        for width in self.hidden:
            require(width >= 1, "model.hidden", width, ">= 1")
        super().__post_init__()

    @functools.lru_cache
    def make(self, embed: int):
        """Returns one party's network."""
        return models.mlp(self.hidden, embed=embed, relu_output=self.relu_output)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResNet(Network):
    """A CIFAR-style residual network per party (Fu et al.), on images."""

    depth: int = 20
    """6n + 2 for n blocks per stage: 8, 14, 20, 56, ..."""
    width: int = 16
    """Channels of the first stage; the others have twice and four times as many."""
    stages: int = 3
    """How many of the three stages are at the party, the rest nowhere."""

    @functools.lru_cache
    def make(self, embed: int):
        """Returns one party's network."""
        return models.resnet(
            self.depth, embed=embed, width=self.width, stages=self.stages
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResNet18(Network):
    """ResNet-18 for small images per party (Zou et al.)."""

    width: int = 64
    """Channels of the first stage."""
    negative_slope: float = 0.01
    """Of its LeakyReLU."""
    dropout: float = 0.5
    """Share of units dropped before the last layer, in [0, 1)."""

    @functools.lru_cache
    def make(self, embed: int):
        """Returns one party's network."""
        return models.resnet18(
            embed=embed,
            width=self.width,
            negative_slope=self.negative_slope,
            dropout=self.dropout,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextEncoder(Network):
    """A BERT-style encoder per party, on token numbers."""

    hidden: int = 768
    """Width of a token's vector."""
    layers: int = 12
    """Blocks of attention."""
    heads: int = 12
    """Attention heads; must divide the width."""
    intermediate: int = 3072
    """Width between the two dense layers of a block."""
    pooled: int = 128
    """Width after pooling."""
    length: int = 64
    """Tokens of one party."""
    dropout: float = 0.1
    """Share of units dropped in training, in [0, 1)."""
    weights: str | None = None
    """A safetensors file with the weights of a BERT model, from which every party's
    encoder starts; None: random ones."""

    def __post_init__(self):
        """Checks that the file is there."""
        require(
            self.weights is None or Path(self.weights).is_file(),
            "model.weights",
            self.weights,
            "a file",
        )
        super().__post_init__()

    def pretrained(
        self, embed: int, features: Float[Array, "samples ..."]
    ):
        """The encoder's embeddings and blocks, if they are in a file."""
        if self.weights is None:
            return {}
        init = self.make(embed).init
        shapes = jax.eval_shape(init, jax.random.key(0), features)
        return models.read_bert(self.weights, shapes)

    @functools.lru_cache
    def make(self, embed: int):
        """Returns one party's network."""
        return models.text_encoder(
            embed=embed,
            length=self.length,
            hidden=self.hidden,
            layers=self.layers,
            heads=self.heads,
            intermediate=self.intermediate,
            pooled=self.pooled,
            dropout=self.dropout,
        )





@dataclasses.dataclass(frozen=True, kw_only=True)
class Top:
    """Model splitting: the label party trains a top model on all embeddings."""

    widths: tuple[int, ...] | None = None
    """Of its layers but the last, which has one output per class; None: one as wide as
    all embeddings together and two of the number of classes (Fu et al., CIFAR-10)."""
    batch_norm: bool = True
    """Whether batch normalization stands before each ReLU."""
    class_weights: tuple[float, ...] | None = None
    """Of the loss, one per class; None: all alike."""

    def __post_init__(self):
        """Checks the ranges."""
        for width in self.widths or ():
            require(width >= 1, "top.widths", width, ">= 1")
        for weight in self.class_weights or ():
            require(weight > 0, "top.class_weights", weight, "> 0")

    def make(self, num_inputs: int, num_classes: int) -> 'models.PartyModel':
        """Returns the top model."""
        widths = self.widths
        if widths is None:
            widths = (num_inputs, num_classes, num_classes)
        return models.top_mlp((*widths, num_classes), batch_norm=self.batch_norm)

def as_network(name, value): return value
