"""An update as one row, so that what acts on messages acts on updates too."""

from collections.abc import Callable
from typing import Any

from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree


def as_row(
    update: PyTree[Any],
) -> tuple[Float[Array, "1 entries"], Callable[[Any], PyTree[Any]]]:
    """All entries of an update as a row, and what makes an update of such a row.

    Example:
        >>> import jax.numpy as jnp
        >>> row, restore = as_row({"bias": jnp.ones(1), "kernel": jnp.zeros((1, 2))})
        >>> row
        Array([[1., 0., 0.]], dtype=float32)
        >>> restore(2 * row)["bias"]
        Array([2.], dtype=float32)
    """
    entries, restore = ravel_pytree(update)
    return entries[None], lambda row: restore(row[0])


class Withheld:
    """Stands for the labels of an update's row, which has none: any use is an error."""

    def __init__(self, user: str):
        self._user = user

    def _refuse(self, *_: Any) -> Any:
        raise ValueError(
            f"{self._user}: uses labels of single rows, and an update is one row "
            "without a label; allowed on updates are defenses that use none"
        )

    __array__ = __len__ = __iter__ = __getitem__ = __getattr__ = _refuse
    __eq__ = __ne__ = __add__ = __radd__ = __mul__ = __rmul__ = __matmul__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __sub__ = __rsub__ = __bool__ = _refuse
    __hash__ = object.__hash__
