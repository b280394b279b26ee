"""Splitting features between parties, and drawing batches of chosen classes."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Int32, Key, Shaped

from vfljax.data.dataset import Dataset, check_dataset, check_finite

SPLITS: Mapping[str, str] = MappingProxyType(
    {
        "rows": "blocks of image rows, party 0 at the top",
        "columns": "blocks of image columns, party 0 at the left",
        "quadrants": "4 parties: top left, top right, bottom left, bottom right",
        "features": "blocks of the flattened columns, as for tables",
    }
)


class ClassTable(NamedTuple):
    """The rows of each class, so that rows of some classes can be drawn in a trace.

    Attributes:
        order: Row numbers, those of class 0 first, each class in ascending order.
        starts: Where each class begins in `order`.
        counts: How many rows each class has; at least one.
    """

    order: Int32[np.ndarray | Array, " rows"]
    starts: Int32[np.ndarray | Array, " classes"]
    counts: Int32[np.ndarray | Array, " classes"]


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
    if features.ndim < 2:
        raise ValueError(
            f"features has shape {features.shape}; allowed is one row per sample, "
            "(N, ...)"
        )
    check_finite("features", features)
    if shares is not None:
        _check_shares(split, shares, num_parties)
    if not isinstance(split, str):
        return _split_by_lists(features, split, num_parties, feature_names)
    if split not in SPLITS:
        nearest = difflib.get_close_matches(split, SPLITS, n=1)
        hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
        raise ValueError(
            f"split is {split!r}{hint}; allowed are {', '.join(SPLITS)} or a list of "
            "columns for each party"
        )
    natural_parties = 4 if split == "quadrants" else 2
    num_parties = natural_parties if num_parties is None else num_parties
    _check_num_parties(num_parties)
    if shares is not None:
        return _split_by_shares(features, split, shares)
    return _SPLITTERS[split](features, num_parties)


def select_classes(dataset: Dataset, classes: Sequence[int]) -> Dataset:
    """Keeps the rows of some classes, renumbered 0, 1, ... in the order given.

    Raises:
        ValueError: A class is unknown or named twice, fewer than two are named, or
            there is no train or no test row, or only one class, left.
    """
    num_classes = len(dataset.class_names)
    if len(classes) < 2 or len(set(classes)) != len(classes):
        raise ValueError(
            f"classes is {list(classes)}; allowed are two or more different classes"
        )
    unknown = [number for number in classes if not 0 <= number < num_classes]
    if unknown:
        raise ValueError(
            f"classes has {unknown[0]}; allowed are the integers 0 to {num_classes - 1}"
        )
    new_labels = np.full(num_classes, -1, np.int32)
    new_labels[np.asarray(classes)] = np.arange(len(classes), dtype=np.int32)
    train_labels = new_labels[dataset.train_labels]
    test_labels = new_labels[dataset.test_labels]
    selected = dataset._replace(
        train_features=dataset.train_features[train_labels >= 0],
        train_labels=train_labels[train_labels >= 0],
        test_features=dataset.test_features[test_labels >= 0],
        test_labels=test_labels[test_labels >= 0],
        class_names=tuple(dataset.class_names[number] for number in classes),
        origin=f"{dataset.origin}; only classes {', '.join(map(str, classes))}",
    )
    check_dataset(selected)
    return selected


def class_table(labels: Int[np.ndarray, " rows"], num_classes: int) -> ClassTable:
    """Sorts the rows by class, on the host, once before any trace.

    Raises:
        ValueError: A label is not in 0 to `num_classes` - 1, or a class has no row
            (`select_classes` leaves such a class out).

    Example:
        >>> class_table(np.array([1, 0, 1]), num_classes=2).order
        array([1, 0, 2], dtype=int32)
    """
    outside = labels[(labels < 0) | (labels >= num_classes)]
    if outside.size:
        raise ValueError(
            f"labels has {outside[0]}; allowed are the integers 0 to {num_classes - 1}"
        )
    counts = np.bincount(labels, minlength=num_classes).astype(np.int32)
    if (counts == 0).any():
        raise ValueError(
            f"labels has no row of class {counts.argmin()}; allowed are labels in "
            f"which each of the {num_classes} classes occurs"
        )
    return ClassTable(
        order=np.argsort(labels, kind="stable").astype(np.int32),
        starts=(np.cumsum(counts) - counts).astype(np.int32),
        counts=counts,
    )


def draw_classes(
    key: Key[Array, ""], num_total: int, num_classes: int
) -> Int32[Array, " chosen"]:
    """Draws `num_classes` different classes of `num_total`, in random order.

    Raises:
        ValueError: `num_classes` is not in 1 to `num_total`.
    """
    if not 1 <= num_classes <= num_total:
        raise ValueError(
            f"num_classes is {num_classes}; allowed is 1 to num_total = {num_total}"
        )
    classes = jax.random.choice(key, num_total, (num_classes,), replace=False)
    return classes.astype(jnp.int32)


def draw_batch(
    key: Key[Array, ""],
    table: ClassTable,
    classes: Int[np.ndarray | Array, " chosen"],
    batch_size: int,
) -> tuple[Int32[Array, " batch"], Int32[Array, " batch"]]:
    """Draws rows of the chosen classes, with replacement and equal probability.

    A class with more rows is drawn more often. The function is pure and may be traced
    and mapped over `key` and `classes`.

    Args:
        key: Used once.
        table: From `class_table`.
        classes: Different class numbers. (A class named twice would count twice.)
        batch_size: How many rows to draw.

    Returns:
        The row numbers, and the labels of these rows renumbered by the position of
        the class in `classes`.

    Raises:
        ValueError: `batch_size` is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; allowed is 1 or more")
    order, starts, counts = (jnp.asarray(column) for column in table)
    # Think of the rows of the chosen classes in one line, class after class.
    lengths = counts[classes]
    ends = jnp.cumsum(lengths)
    places = jax.random.randint(key, (batch_size,), 0, ends[-1])
    new_labels = jnp.searchsorted(ends, places, side="right").astype(jnp.int32)
    places_in_class = places - (ends - lengths)[new_labels]
    indices = order[starts[classes][new_labels] + places_in_class]
    return indices, new_labels


def draw_known_labels(
    key: Key[Array, ""],
    labels: Int[Array, " batch"],
    num_classes: int,
    per_class: int,
) -> Int32[Array, " batch"]:
    """The labels of `per_class` random samples of each class, −1 for all others.

    A class with fewer samples in the batch has all of them known. Pure; may be traced
    and mapped.

    Raises:
        ValueError: `per_class` is negative.

    Example:
        >>> known = draw_known_labels(jax.random.key(0), jnp.array([1, 0, 1]), 2, 2)
        >>> known
        Array([1, 0, 1], dtype=int32)
    """
    if per_class < 0:
        raise ValueError(f"per_class is {per_class}; allowed is 0 or more")
    order = jax.random.permutation(key, len(labels))
    of_class = jax.nn.one_hot(labels[order], num_classes, dtype=jnp.int32)
    rank = jnp.sum(jnp.cumsum(of_class, axis=0) * of_class, axis=1)  # from 1
    known = jnp.where(rank <= per_class, labels[order], -1).astype(jnp.int32)
    return jnp.zeros_like(known).at[order].set(known)


def draw_known_rows(
    key: Key[Array, ""], table: ClassTable, per_class: int | float
) -> Int32[Array, " known"]:
    """Draws different rows whose labels an adversary knows, as many of each class.

    Pure; may be traced and mapped.

    Args:
        key: Used once.
        table: From `class_table`.
        per_class: Rows of each class, at most as many as it has. Below 1: the share of
            the classes, rounded and at least one, of which one row is known.

    Returns:
        Row numbers, class after class.

    Raises:
        ValueError: `per_class` is not positive, or above 1 and not whole.
    """
    if per_class <= 0 or (per_class > 1 and per_class != int(per_class)):
        raise ValueError(
            f"per_class is {per_class}; allowed are whole numbers, and shares below 1"
        )
    order, starts, counts = (jnp.asarray(column) for column in table)
    key_rows, key_classes = jax.random.split(key)
    labels = jnp.repeat(jnp.arange(len(counts)), counts, total_repeat_length=len(order))
    shuffled = order[jnp.argsort(labels + jax.random.uniform(key_rows, order.shape))]
    number = max(1, int(per_class))
    rows = shuffled[starts[:, None] + jnp.arange(number)[None]]
    if per_class < 1:
        num_chosen = max(1, round(per_class * len(counts)))
        rows = rows[jax.random.permutation(key_classes, len(counts))[:num_chosen]]
    return rows.reshape(-1).astype(jnp.int32)


def _check_num_parties(num_parties: int) -> None:
    """Refuses fewer than two parties."""
    if num_parties < 2:
        raise ValueError(f"num_parties is {num_parties}; allowed is 2 or more")


def _split_blocks(
    features: np.ndarray, num_parties: int, axis: int, unit: str
) -> tuple[np.ndarray, ...]:
    """Blocks along one axis, copied so that no party's array refers to another's."""
    if num_parties > features.shape[axis]:
        raise ValueError(
            f"num_parties is {num_parties}, which leaves a party without features; "
            f"allowed is at most one party for each of the {features.shape[axis]} "
            f"{unit}"
        )
    return tuple(block.copy() for block in np.array_split(features, num_parties, axis))


def _check_images(features: np.ndarray, split: str) -> None:
    """Refuses arrays that have no rows and columns of pixels."""
    if features.ndim not in (3, 4):
        raise ValueError(
            f"split is {split!r}, but features has shape {features.shape}; allowed for "
            "it are images (N, height, width) or (N, height, width, channels)"
        )


def _split_rows(features: np.ndarray, num_parties: int) -> tuple[np.ndarray, ...]:
    """Blocks of image rows."""
    _check_images(features, "rows")
    return _split_blocks(features, num_parties, axis=1, unit="image rows")


def _split_columns(features: np.ndarray, num_parties: int) -> tuple[np.ndarray, ...]:
    """Blocks of image columns."""
    _check_images(features, "columns")
    return _split_blocks(features, num_parties, axis=2, unit="image columns")


def _split_quadrants(features: np.ndarray, num_parties: int) -> tuple[np.ndarray, ...]:
    """Top left, top right, bottom left, bottom right."""
    _check_images(features, "quadrants")
    if num_parties != 4:
        raise ValueError(f"num_parties is {num_parties}; allowed for quadrants is 4")
    if min(features.shape[1:3]) < 2:
        raise ValueError(
            f"features has shape {features.shape}, which leaves a party without "
            "features; allowed for quadrants are at least 2 rows and 2 columns"
        )
    top, bottom = np.array_split(features, 2, axis=1)
    return tuple(
        quadrant.copy()
        for half in (top, bottom)
        for quadrant in np.array_split(half, 2, axis=2)
    )


def _split_by_shares(
    features: np.ndarray, split: str, shares: Sequence[float]
) -> tuple[np.ndarray, ...]:
    """Blocks of given sizes along the axis of the split, at least one entry each."""
    if split == "features":
        features, axis = features.reshape(len(features), -1), 1
    else:
        _check_images(features, split)
        axis = 1 if split == "rows" else 2
    size = features.shape[axis]
    ends = np.rint(np.cumsum(shares) * size).astype(int)
    if (np.diff(ends, prepend=0) < 1).any():
        raise ValueError(
            f"shares is {tuple(shares)}, which leaves a party without features; "
            f"allowed are shares of at least one of the {size} {split}"
        )
    blocks = np.split(features, ends, axis)[: len(shares)]
    return tuple(block.copy() for block in blocks)


def _check_shares(split, shares, num_parties):
    if split not in ("rows", "columns", "features"):
        raise ValueError(
            f"shares is given with split {split!r}; allowed for it are rows, columns "
            "and features"
        )
    number = 2 if num_parties is None else num_parties
    if len(shares) != number or min(shares) <= 0 or sum(shares) > 1 + 1e-9:
        raise ValueError(
            f"shares is {tuple(shares)}; allowed are {number} positive numbers, one "
            "per party, with a sum of at most 1"
        )


def _split_table(features: np.ndarray, num_parties: int) -> tuple[np.ndarray, ...]:
    """Blocks of the flattened columns."""
    flat = features.reshape(len(features), -1)
    return _split_blocks(flat, num_parties, axis=1, unit="columns")


_SPLITTERS: Mapping[str, Callable[[np.ndarray, int], tuple[np.ndarray, ...]]] = {
    "rows": _split_rows,
    "columns": _split_columns,
    "quadrants": _split_quadrants,
    "features": _split_table,
}


def _split_by_lists(
    features: np.ndarray,
    lists: Sequence[Sequence[int | str]],
    num_parties: int | None,
    feature_names: Sequence[str] | None,
) -> tuple[np.ndarray, ...]:
    """The columns that each list names, in the order of the list."""
    if num_parties is not None and num_parties != len(lists):
        raise ValueError(
            f"num_parties is {num_parties}, but split has {len(lists)} lists of "
            "columns; allowed is their number or None"
        )
    _check_num_parties(len(lists))
    flat = features.reshape(len(features), -1)
    owners: dict[int, int] = {}
    columns_of_parties = []
    for party, entries in enumerate(lists):
        if isinstance(entries, str) or len(entries) == 0:
            raise ValueError(
                f"split has {entries!r} for party {party}; allowed is a list of at "
                "least one column"
            )
        columns = [
            _column_number(entry, flat.shape[1], feature_names) for entry in entries
        ]
        for column, entry in zip(columns, entries, strict=True):
            if column in owners:
                raise ValueError(
                    f"split gives column {entry!r} to party {owners[column]} and again "
                    f"to party {party}; allowed is one party, once"
                )
            owners[column] = party
        columns_of_parties.append(columns)
    return tuple(flat[:, columns] for columns in columns_of_parties)


def _column_number(
    entry: int | str, num_columns: int, feature_names: Sequence[str] | None
) -> int:
    """The number of a column given by number or name."""
    if not isinstance(entry, str):
        if not 0 <= entry < num_columns:
            raise ValueError(
                f"split has column {entry}; allowed are 0 to {num_columns - 1}"
            )
        return int(entry)
    if feature_names is None:
        raise ValueError(
            f"split has the column name {entry!r}, but feature_names is None; allowed "
            "are column numbers, or names together with feature_names"
        )
    if len(feature_names) != num_columns:
        raise ValueError(
            f"feature_names has {len(feature_names)} names; allowed is one for each of "
            f"the {num_columns} columns"
        )
    if entry not in feature_names:
        nearest = difflib.get_close_matches(entry, feature_names, n=1)
        hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
        raise ValueError(
            f"split has the unknown column name {entry!r}{hint}; allowed are "
            "feature_names"
        )
    return list(feature_names).index(entry)
