"""Tell which classes are there by the smallest entries of the last layer's gradient.

Yin et al., "See through Gradients: Image Batch Recovery via GradInversion" (CVPR 2021,
https://arxiv.org/abs/2104.07586), Eq. 5: the labels of a batch of B samples are the B
classes with the smallest of min_k G_{i,k}, if no label is there twice and what the last
layer is given is not negative.
"""

import dataclasses

import jax
import jax.numpy as jnp

from vfljax._checks import require
from vfljax.attacks.base import CountInference
from vfljax.attacks.counting import CountAttack, count_inference
from vfljax.known import NOTHING, Known
from vfljax.protocol import check_update, head_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class SmallestColumns(CountAttack):
    """Take as many classes as there are labels by smallest entries (GradInversion).

    Each class at most once, so that repeated labels are missed, and at most as many
    labels as classes.
    """

    def fits(self, task) -> str | None:
        """There must be a class for each label."""
        numbers, classes = task.numbers_of_labels, task.num_classes
        if max(numbers) <= classes:
            return None
        allowed = f"at most {classes}, as it takes each of the classes once"
        return f"labels behind what is seen={numbers}: must be {allowed}"

    def __call__(self, key, view, known: Known = NOTHING) -> CountInference:
        """Infers from one view; neither key nor knowledge is used."""
        check_update(view, self.layer)
        total, classes = view.num_labels, view.num_classes
        require(total <= classes, "labels of the view", total, f"at most {classes}")
        smallest = jnp.min(head_of(view.update, self.layer)[0], axis=1)
        chosen = jnp.argsort(smallest, stable=True)[:total]
        counts = jnp.sum(jax.nn.one_hot(chosen, classes), axis=0)
        is_finite = jnp.all(jnp.isfinite(smallest))
        return count_inference(jnp.where(is_finite, counts, jnp.nan), total, smallest)
