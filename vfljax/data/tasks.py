"""What the labels of a data set are of: any of its properties can be."""

import dataclasses

from vfljax._checks import require
from vfljax.data.dataset import Dataset


def with_task(dataset: Dataset, name: str) -> Dataset:
    """The set with one of its properties as labels, and its labels as a property.

    The values' names become the class names, or their numbers do where they have no
    names. The former labels are a property called as the former task was
    (`Dataset.task_name`), so that the way back is `with_task` again. Under the name of
    the present task the set comes back as it is.

    Raises:
        ValueError: There is no such property, or all training rows have one value of
            it.

    Example:
        >>> import numpy as np
        >>> from vfljax.data import from_arrays
        >>> people = from_arrays(
        ...     np.arange(20.0).reshape(10, 2),
        ...     np.arange(10) % 2,
        ...     train_properties={"age": np.arange(10) // 5},
        ...     property_names={"age": ("young", "old")},
        ...     task_name="gender",
        ... )
        >>> by_age = with_task(people, "age")
        >>> by_age.class_names, sorted(by_age.train_properties)
        (('young', 'old'), ['gender'])
    """
    if name == dataset.task_name:
        return dataset
    known = sorted(dataset.train_properties)
    allowed = f"{dataset.task_name!r}, the present task, or one of the properties"
    require(name in known, "name", name, f"{allowed} {known}")
    changes = {}
    for part in ("train", "test"):
        columns = dict(getattr(dataset, f"{part}_properties"))
        changes[f"{part}_labels"] = columns.pop(name)
        columns[dataset.task_name] = getattr(dataset, f"{part}_labels")
        changes[f"{part}_properties"] = columns
    names = dict(dataset.property_names)
    class_names = names.pop(name, None)
    if class_names is None:
        labels = changes["train_labels"], changes["test_labels"]
        number = 1 + max(int(each.max()) for each in labels)
        class_names = tuple(map(str, range(number)))
    names[dataset.task_name] = dataset.class_names
    return dataclasses.replace(
        dataset,
        **changes,
        class_names=class_names,
        property_names=names,
        task_name=name,
        origin=f"{dataset.origin}; labels are {name}",
    )
