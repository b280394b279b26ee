"""Splitting the features of every sample between parties."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from jaxtyping import Shaped

from vfljax._checks import require
from vfljax.data.dataset import check_finite
from vfljax.data.source import nearest

SPLITS: Mapping[str, str] = MappingProxyType(
    {
        "rows": "blocks of image rows, party 0 at the top",
        "columns": "blocks of image columns, party 0 at the left",
        "quadrants": "4 parties: top left, top right, bottom left, bottom right",
        "features": "blocks of the flattened columns, as for tables",
    }
)


def split_features(
    features: Shaped[np.ndarray, " rows *features"],
    split: str | Sequence[Sequence[int | str]],
    num_parties: int | None = None,
    feature_names: Sequence[str] | None = None,
    shares: Sequence[float] | None = None,
) -> tuple[Shaped[np.ndarray, " rows *party_features"], ...]:
    """Splits the features of every row between parties.

    Blocks are as equal as `np.array_split` makes them: where the size does not divide
    evenly, the first parties get one more. Each party gets an array of its own.

    Args:
        features: Images (rows, height, width, optional channels) or any other array
            of finite numbers, one row per sample.
        split: A key of `SPLITS`, or one list of columns per party: numbers of the
            flattened columns, or their names. Columns in no list go to nobody.
        num_parties: If None, 2 for blocks, and otherwise what `split` says.
        feature_names: The names of the flattened columns, needed if `split` has names.
        shares: For `rows`, `columns` and `features`: each party's share, in order;
            what they leave of 1 goes to nobody. If None, equal ones.

    Returns:
        One array per party: images for `rows`, `columns` and `quadrants`, otherwise
        (rows, number of the party's columns).

    Raises:
        ValueError: The split is unknown, does not suit the array or the number of
            parties, leaves a party without features or gives two parties the same
            one, or the features are not finite.

    Example:
        >>> images = np.arange(2 * 3 * 4).reshape(2, 3, 4)
        >>> [part.shape for part in split_features(images, "rows")]
        [(2, 2, 4), (2, 1, 4)]
        >>> table = np.array([[1.0, 2.0, 3.0]])
        >>> top, bottom = split_features(table, [["age", "sex"], [2]],
        ...                              feature_names=("sex", "age", "income"))
        >>> top
        array([[2., 1.]])
    """
    shape, allowed = features.shape, "(N, ...), one row per sample"
    require(len(shape) >= 2, "features.shape", shape, allowed)
    check_finite("features", features)
    if not isinstance(split, str):
        require(shares is None, "shares", shares, "None where split lists columns")
        return _split_by_lists(features, split, num_parties, feature_names)
    names = ", ".join(SPLITS)
    allowed = f"one of {names} or a list of columns for each party"
    require(split in SPLITS, "split", split, allowed + nearest(split, SPLITS))
    if num_parties is None:
        num_parties = 4 if split == "quadrants" else 2
    require(num_parties >= 2, "num_parties", num_parties, "2 or more")
    if split == "features":
        features = features.reshape(len(features), -1)
    else:
        allowed = f"(N, height, width), and channels if any, for split={split!r}"
        require(len(shape) in (3, 4), "features.shape", shape, allowed)
    if split == "quadrants":
        require(num_parties == 4, "num_parties", num_parties, "4 for quadrants")
        require(shares is None, "shares", shares, "None for quadrants")
        allowed = "of at least 2 rows and 2 columns, so that each party has features"
        require(min(shape[1:3]) >= 2, "features.shape", shape, allowed)
        halves = np.array_split(features, 2, axis=1)
        blocks = [block for half in halves for block in np.array_split(half, 2, axis=2)]
    else:
        blocks = _cut(features, split, num_parties, shares)
    return tuple(block.copy() for block in blocks)


def _cut(
    features: np.ndarray, split: str, num_parties: int, shares: Sequence[float] | None
) -> Sequence[np.ndarray]:
    """Blocks of equal or of given sizes, of at least one entry each."""
    axis = 2 if split == "columns" else 1
    size = features.shape[axis]
    if shares is None:
        unit = "columns" if split == "features" else f"image {split}"
        allowed = f"at most {size}, so that each party has one of the {unit}"
        require(num_parties <= size, "num_parties", num_parties, allowed)
        return np.array_split(features, num_parties, axis)
    allowed = f"{num_parties} positive numbers, one per party, of sum 1 or less"
    is_fit = len(shares) == num_parties and min(shares) > 0 and sum(shares) <= 1 + 1e-9
    require(is_fit, "shares", tuple(shares), allowed)
    ends = np.rint(np.cumsum(shares) * size).astype(int)
    allowed = f"of at least 1/{size}, so that each party has features"
    is_kept = (np.diff(ends, prepend=0) >= 1).all()
    require(is_kept, "shares", tuple(shares), allowed)
    return np.split(features, ends, axis)[:num_parties]


def _split_by_lists(
    features: np.ndarray,
    lists: Sequence[Sequence[int | str]],
    num_parties: int | None,
    feature_names: Sequence[str] | None,
) -> tuple[np.ndarray, ...]:
    """The columns that each list names, in the order of the list."""
    allowed = f"None or {len(lists)}, as split has so many lists of columns"
    require(num_parties in (None, len(lists)), "num_parties", num_parties, allowed)
    require(len(lists) >= 2, "num_parties", len(lists), "2 or more")
    flat = features.reshape(len(features), -1)
    owners: dict[int, int] = {}
    for party, entries in enumerate(lists):
        argument = f"split[{party}]"
        is_list = not isinstance(entries, str) and len(entries) > 0
        require(is_list, argument, entries, "a list of at least one column")
        for entry in entries:
            column = _column_number(argument, entry, flat.shape[1], feature_names)
            allowed = f"a column of one party; party {owners.get(column)} has it"
            require(column not in owners, argument, entry, allowed)
            owners[column] = party
    columns, parties = np.array(list(owners.items())).T
    return tuple(flat[:, columns[parties == party]] for party in range(len(lists)))


def _column_number(
    argument: str,
    entry: int | str,
    num_columns: int,
    feature_names: Sequence[str] | None,
) -> int:
    """The number of a column given by number or name."""
    if not isinstance(entry, str):
        allowed = f"of columns 0 to {num_columns - 1}"
        require(0 <= entry < num_columns, argument, entry, allowed)
        return int(entry)
    names = () if feature_names is None else tuple(feature_names)
    allowed = "of column numbers, or of names together with feature_names"
    require(feature_names is not None, argument, entry, allowed)
    allowed = f"one name for each of the {num_columns} columns"
    require(len(names) == num_columns, "feature_names", names, allowed)
    allowed = f"of names in feature_names{nearest(entry, names)}"
    require(entry in names, argument, entry, allowed)
    return names.index(entry)
