"""Tell the label of a single sample by the last layer's gradient: iDLG.

Zhao, Mopuri and Bilen, "iDLG: Improved Deep Leakage from Gradients" (2020,
https://arxiv.org/abs/2001.02610), the step before the reconstruction of Zhu et al.,
"Deep Leakage from Gradients" (2019, https://arxiv.org/abs/1906.08935). For one sample
with features a >= 0 before the last layer the row sums (p_i − 1[y = i])·a are negative
for the label alone.
"""

import dataclasses

import jax
import jax.numpy as jnp

from vfljax._checks import require
from vfljax.attacks.base import CountInference
from vfljax.attacks.counting import CountAttack, count_inference, row_sums
from vfljax.known import NOTHING, Known


@dataclasses.dataclass(frozen=True, kw_only=True)
class IDLG(CountAttack):
    """Tell the label of a single sample by the smallest row sum (iDLG).

    Exact where features before the last layer are not negative and not all zero. The
    released code of LLG, which compares with it, hands out the true label instead.
    """

    def fits(self, task) -> str | None:
        """It is for batches of one sample."""
        numbers = task.numbers_of_labels
        if set(numbers) == {1}:
            return None
        return f"labels behind what is seen={numbers}: must be one, as it tells one"

    def __call__(self, key, view, known: Known = NOTHING) -> CountInference:
        """Infers from one view; neither key nor knowledge is used."""
        require(view.num_labels == 1, "labels of the view", view.num_labels, "1")
        sums = row_sums(view, self.layer)
        label = jax.nn.one_hot(jnp.argmin(sums), view.num_classes)
        is_finite = jnp.all(jnp.isfinite(sums))
        return count_inference(jnp.where(is_finite, label, jnp.nan), 1, sums)
