"""Handwritten digits that scikit-learn ships: small, and there without a download."""

from pathlib import Path
from typing import Any

from vfljax.data.dataset import Dataset
from vfljax.data.own import from_arrays
from vfljax.data.source import Source


def _read(name: str, folder: Path) -> Dataset:
    """The images in [0, 1], split 1437 to 360 with equal class shares."""
    del folder  # they come with the library
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    return from_arrays(
        digits.images / 16.0,
        digits.target,
        name=name,
        class_names=[str(digit) for digit in digits.target_names],
        feature_names=digits.feature_names,
        origin="the digits that come with scikit-learn, stratified split with seed 0",
    )


DIGITS = Source(
    name="digits",
    description="handwritten digits, 8x8 gray, 10 classes; comes with scikit-learn",
    read=_read,
)
