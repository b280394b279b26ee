"""Breast Cancer Wisconsin (diagnostic), already divided between two parties.

The measurements are those of Wolberg et al., UCI Machine Learning Repository, 1995,
https://doi.org/10.24432/C5DW2B, standardized and divided as in the examples of FATE,
https://github.com/FederatedAI/FATE.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from vfljax.data.dataset import Dataset
from vfljax.data.own import from_arrays
from vfljax.data.source import DataError, Source, read_csv, require_file

GUEST_FILE = "breast_hetero_guest.csv"
HOST_FILE = "breast_hetero_host.csv"


def _read(name: str, folder: Path) -> Dataset:
    """Reads the tables of guest and host, joined on `id`, split 80 to 20.

    `breast_hetero_guest.csv` has the columns id, y (1 is benign), x0 to x9, and
    `breast_hetero_host.csv` id, x0 to x19; they become `guest_x0` to `guest_x9`, then
    `host_x0` to `host_x19`, with values as in the files. The split has equal class
    shares and a fixed seed.
    """
    guest_header = ["id", "y", *(f"x{column}" for column in range(10))]
    host_header = ["id", *(f"x{column}" for column in range(20))]
    guest = _read_table(name, folder, GUEST_FILE, guest_header)
    host = _read_table(name, folder, HOST_FILE, host_header)
    different = sorted(guest.keys() ^ host.keys())
    if different:
        raise DataError(
            f"{folder}: {GUEST_FILE} and {HOST_FILE} do not have the same ids; only "
            f"one has {different[0]}"
        )
    table = np.array([np.append(guest[number], host[number]) for number in guest])
    values, features = table[:, 0], table[:, 1:]
    wrong = values[~np.isin(values, (0, 1))]
    if wrong.size:
        raise DataError(
            f"{folder}: {GUEST_FILE} has y = {wrong[0]:g}; allowed is 0 or 1"
        )
    return from_arrays(
        features,
        values.astype(np.int64),
        name=name,
        class_names=("malignant", "benign"),
        feature_names=[
            *(f"guest_{column}" for column in guest_header[2:]),
            *(f"host_{column}" for column in host_header[1:]),
        ],
        origin=f"original files in {folder}, split with seed 0",
    )


def _read_table(
    name: str, folder: Path, file: str, header: list[str]
) -> dict[str, Float64[np.ndarray, " columns"]]:
    """The numbers behind each id of a table."""
    path = require_file(name, folder, file)
    records = read_csv(path, len(header))
    if next(records, None) != header:
        raise DataError(f"{path} does not begin with the line {','.join(header)}")
    table = {}
    for number, *cells in records:
        if number in table:
            raise DataError(f"{path} has the id {number} twice")
        try:
            table[number] = np.array(cells, np.float64)
        except ValueError as error:
            raise DataError(f"{path} is damaged at id {number}: {error}") from error
    if not table:
        raise DataError(f"{path} has no rows")
    return table


BREAST_CANCER = Source(
    name="breast_cancer",
    description="measurements of tumors, 10 of a guest and 20 of a host, 2 classes",
    read=_read,
    folders=("tabular", "breast_cancer", ""),
    files=(GUEST_FILE,),
)
