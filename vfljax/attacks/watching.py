"""What attacks on a whole training have in common: what they keep of each round.

The network of every round together would not fit in memory, so an adversary that
watches keeps something small of each round while the training runs: a `Reader` makes
it from that round's view, inside the training's loop. An attack names its reader in the
field `reader`, and is called with what was kept of all watched rounds, stacked along a
leading axis, in place of a view.
"""

import dataclasses
from typing import Any, ClassVar

import jax

from vfljax._checks import check_fields
from vfljax.known import NOTHING, Known
from vfljax.protocol import UpdateView

Readings = Any
"""What a reader kept of every watched round: its tree, stacked along rounds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reader:
    """What an adversary keeps of one watched round; options are fields.

    A subclass is a frozen, keyword-only dataclass with `__call__`, a pure function that
    runs inside the training's loop. Attacks with equal readers share what they kept.
    """

    uses: ClassVar[tuple[str, ...]] = ()
    """Names of the fields of `Known` that it is given; all others are withheld."""
    ranges: ClassVar[dict[str, Any]] = {}
    """By the name of a number field its range, as `check_fields` takes it."""

    def __post_init__(self):
        """Checks words and ranges."""
        check_fields(self, self.ranges)

    def __call__(self, key, view: UpdateView, known: Known = NOTHING) -> Any:
        """Keeps something of one round: a tree of arrays of the same shapes each time.

        The key is of everything random in that round.
        """
        raise NotImplementedError(f"{type(self).__name__} has no __call__")


def read_rounds(
    reader: Reader, keys: Any, views: Any, known: Any = NOTHING
) -> Readings:
    """Reads views that are stacked along rounds, as a training's loop does.

    For those who have stored views of their own, with one key for each round.
    """
    given = known.only(reader.uses)
    return jax.lax.map(lambda one: reader(one[0], one[1], given), (keys, views))
