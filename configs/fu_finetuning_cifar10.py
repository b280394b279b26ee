"""Is it the head alone or the bottom model too? The paper's text and the released code.

Fu et al. (USENIX Security 2022) write that the bottom model is fine-tuned; in their
released code it gets no update. Both on the same CIFAR-10 models, and beside them the
head alone on embeddings computed once, which takes a fraction of the time.
"""

from typing import Literal

import _fu

from vfljax.experiments import Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """As `fu_cifar10`."""
    small = scale == "small"
    return _fu.cifar_experiment(
        small,
        name="fu_finetuning_cifar10",
        title="CIFAR-10 halves: which part of the completed model is trained",
        attacks={
            "head_alone": _fu.completion(small),
            "fine_tuned": _fu.completion(small, finetune_bottom=True),
            "head_on_features": _fu.completion(small, mix="feature"),
            "direct": _fu.direct(small),
        },
    )
