"""Training with model splitting as released, as a plain PyTorch loop.

Fu et al. (USENIX Security 2022,
https://www.usenix.org/conference/usenixsecurity22/presentation/fu-chong): every party
runs its bottom model forward; the top model runs forward and backward on the detached
embeddings and takes its step; then each bottom model runs backward from the gradient it
received and takes its own. The networks are those of `vfljax.models`, written again
around its parameters, so that both can start from the same numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import Tensor, nn  # pyright: ignore[reportMissingImports]
from torch.nn import functional  # pyright: ignore[reportMissingImports]


class Training(NamedTuple):
    """Everything that the loop holds, on one device; tuples have one entry per party.

    Attributes:
        bottoms: The parties' networks.
        top: The label party's top model.
        optimizers: Of the bottom models.
        top_optimizer: Of the top model.
        features: All samples; images as (samples, channels, height, width).
        labels: (samples,).
    """

    bottoms: tuple[nn.Module, ...]
    top: nn.Module
    optimizers: tuple[torch.optim.Optimizer, ...]
    top_optimizer: torch.optim.Optimizer
    features: tuple[Tensor, ...]
    labels: Tensor


def start(
    params: Sequence[Mapping[str, Any]],
    top_params: Mapping[str, Any],
    features: Sequence[np.ndarray],
    labels: np.ndarray,
    *,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    device: str = "cpu",
) -> Training:
    """Builds networks and optimizers.

    Args:
        params: Of each party's `models.mlp` or `models.resnet`.
        top_params: Of `models.top_mlp`.
        features: One array per party; images as (samples, height, width, channels).
        labels: (samples,).
        learning_rate: Of all optimizers, which are SGD.
        momentum: Of all optimizers.
        weight_decay: Of all optimizers.
        device: Where all of it is held and run.
    """

    def optimizer(network):
        return torch.optim.SGD(
            network.parameters(),
            lr=learning_rate,
            momentum=momentum,
            weight_decay=weight_decay,
        )

    bottoms = tuple(_bottom(of_party).to(device) for of_party in params)
    top = _top(top_params).to(device)
    return Training(
        bottoms=bottoms,
        top=top,
        optimizers=tuple(map(optimizer, bottoms)),
        top_optimizer=optimizer(top),
        features=tuple(_channels_first(_tensor(x)).to(device) for x in features),
        labels=torch.tensor(np.asarray(labels), dtype=torch.int64, device=device),
    )


def step(training: Training, rows: Tensor) -> Tensor:
    """One step on the samples `rows` (batch,); returns the loss before it."""
    embeddings = [
        bottom(features[rows])
        for bottom, features in zip(training.bottoms, training.features, strict=True)
    ]
    received = [embedding.detach().requires_grad_() for embedding in embeddings]
    logits = training.top(torch.cat(received, dim=1))
    loss = functional.cross_entropy(logits, training.labels[rows])
    training.top_optimizer.zero_grad()
    loss.backward()
    training.top_optimizer.step()
    for optimizer, embedding, leaf in zip(
        training.optimizers, embeddings, received, strict=True
    ):
        optimizer.zero_grad()
        embedding.backward(leaf.grad)
        optimizer.step()
    return loss.detach()


def as_rows(batches: np.ndarray, device: str) -> Tensor:
    """Sample numbers (steps, batch) where `step` needs them."""
    return torch.tensor(np.asarray(batches), dtype=torch.int64, device=device)


def wait(device: str) -> None:
    """Returns when all steps are done; on a GPU `step` returns before."""
    if device == "cuda":
        torch.cuda.synchronize()


def use_fast_kernels() -> None:
    """On a GPU: TF32 products, as JAX has them, and the fastest convolutions."""
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True


class _ResNet(nn.Module):
    """`vfljax.models.resnet`."""

    def __init__(self, params):
        super().__init__()
        self.stem = _convolution(params["stem"], 1)
        self.stem_norm = _norm(params["stem_norm"])
        names = [name for name in params if name.startswith("stage_")]
        positions = sorted(tuple(map(int, name.split("_")[1::2])) for name in names)
        self.blocks = nn.Sequential(
            *(
                _Block(
                    params[f"stage_{stage}_block_{number}"],
                    2 if stage > 0 and number == 0 else 1,
                )
                for stage, number in positions
            )
        )
        self.output = _linear(params["output"])

    def forward(self, images):
        x = functional.relu(self.stem_norm(self.stem(images)))
        return self.output(self.blocks(x).mean(dim=(2, 3)))


class _Block(nn.Module):
    """Two 3×3 convolutions beside a shortcut without parameters."""

    def __init__(self, params, stride):
        super().__init__()
        self.stride = stride
        self.first = _convolution(params["first"], stride)
        self.first_norm = _norm(params["first_norm"])
        self.second = _convolution(params["second"], 1)
        self.second_norm = _norm(params["second_norm"])

    def forward(self, x):
        y = functional.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        if self.stride > 1:
            side = x.shape[1] // 2  # the block has twice the channels
            x = x[:, :, :: self.stride, :: self.stride]
            x = functional.pad(x, (0, 0, 0, 0, side, side))
        return functional.relu(y + x)


def _bottom(params):
    """The network that parameters of such names belong to."""
    if "stem" in params:
        return _ResNet(params)
    names = [*sorted(name for name in params if name != "output"), "output"]
    layers: list[nn.Module] = [nn.Flatten()]
    for name in names:
        layers += [_linear(params[name]), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _top(params):
    """`vfljax.models.top_mlp`; cross-entropy applies the log-softmax itself."""
    layers: list[nn.Module] = []
    for number in range(sum(name.startswith("layer_") for name in params)):
        if f"norm_{number}" in params:
            layers.append(_norm(params[f"norm_{number}"], nn.BatchNorm1d))
        layers += [nn.ReLU(), _linear(params[f"layer_{number}"])]
    return nn.Sequential(*layers)


def _linear(params):
    weight = _tensor(params["kernel"]).T
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    return _holding(layer, weight=weight, bias=_tensor(params["bias"]))


def _convolution(params, stride):
    """From (size, size, inputs, outputs), padded by zeros to keep the image."""
    kernel = _tensor(params["kernel"]).permute(3, 2, 0, 1)
    outputs, inputs, size, _ = kernel.shape
    layer = nn.Conv2d(
        inputs, outputs, size, stride=stride, padding=size // 2, bias=False
    )
    return _holding(layer, weight=kernel)


def _norm(params, kind: Callable[[int], nn.Module] = nn.BatchNorm2d):
    scale = _tensor(params["scale"])
    return _holding(kind(len(scale)), weight=scale, bias=_tensor(params["bias"]))


def _holding(layer, **values):
    """The layer with these parameters."""
    with torch.no_grad():
        for name, value in values.items():
            getattr(layer, name).copy_(value)
    return layer


def _channels_first(features):
    return features if features.ndim < 4 else features.permute(0, 3, 1, 2).contiguous()


def _tensor(array):
    """A copy in float32, as JAX's own arrays can't be written to."""
    return torch.tensor(np.asarray(array, dtype=np.float32))
