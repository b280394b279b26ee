"""Which data sets there are, and how one is loaded by its name.

Users with arrays of their own call `from_arrays`.
"""

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from vfljax.data import (
    bhi,
    breast_cancer,
    checkins,
    cifar,
    cifar_animals,
    cinic10,
    criteo,
    csi,
    digits,
    facescrub,
    fairface,
    foursquare,
    lfw,
    mnist,
    newsgroups,
    nus_wide,
    opinions,
    pipa,
    yahoo_answers,
    yelp,
)
from vfljax.data.dataset import Dataset
from vfljax.data.images import read_prepared
from vfljax.data.source import DataError, Source, nearest

ENVIRONMENT_VARIABLE = "VFLJAX_DATA"
TFDS_FOLDER = "tensorflow_datasets"

_SOURCES = (
    *(digits.DIGITS, mnist.MNIST, mnist.FASHION_MNIST, cifar.CIFAR10, cifar.CIFAR100),
    *(nus_wide.NUS_WIDE_5, nus_wide.NUS_WIDE_2, nus_wide.NUS_WIDE_81),
    *(criteo.CRITEO, cinic10.CINIC10),
    *(yahoo_answers.YAHOO_ANSWERS, yahoo_answers.YAHOO_2TOPICS),
    *(bhi.BHI, *bhi.BHI_OF_PARTIES, breast_cancer.BREAST_CANCER),
    *(fairface.FAIRFACE, fairface.FAIRFACE_TILED, cifar_animals.CIFAR10_ANIMALS),
    *(opinions.DECEPTIVE_OPINIONS, newsgroups.NEWSGROUPS_GROUPS),
    *(lfw.LFW, facescrub.FACESCRUB, pipa.PIPA, csi.CSI),
    *(yelp.YELP_HEALTH, yelp.YELP_AUTHOR),
    *(foursquare.FOURSQUARE, checkins.CHECKINS_SYNTHETIC),
)
DATASETS: Mapping[str, Source] = MappingProxyType(
    {source.name: source for source in _SOURCES}
)


def load(name: str, data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Loads a data set by name. Nothing is ever downloaded.

    The original files are taken first, each plain, `.gz` or `.xz`. Where they are not
    found, data prepared by TFDS are read, whose rows are in another order; `origin`
    says which it was. Files that differ from the published ones are used, with one
    warning that lists them. Digits, MNIST, Fashion-MNIST and CIFAR aside,
    sets are read from their original files alone, which are not compared with published
    checksums.

    Args:
        name: A key of `DATASETS`.
        data_dir: The folder to look in. If None, the environment variable
            `VFLJAX_DATA` gives it, and TFDS's own default folder is tried as well.

    Returns:
        The data set: images scaled to [0, 1] or (BHI) to [-1, 1], tables as in the
        files, texts as numbers of tokens.

    Raises:
        DataError: The name is unknown, or the data are missing or damaged.

    Example:
        >>> dataset = load("digits")
        >>> dataset.train_features.shape, dataset.test_features.shape
        ((1437, 8, 8), (360, 8, 8))
    """
    if name not in DATASETS:
        known = ", ".join(DATASETS)
        raise DataError(
            f"unknown data set {name!r}{nearest(name, DATASETS)}: known are {known}"
        )
    source = DATASETS[name]
    if not source.folders:
        return source.read(name, Path())

    given = data_dir or os.environ.get(ENVIRONMENT_VARIABLE)
    roots = [Path(given).expanduser()] if given else []
    folders = [root / folder for root in roots for folder in source.folders]
    for folder in folders:
        if not source.lacking(folder):
            try:
                return source.read(name, folder)
            except DataError:
                raise
            except ValueError as error:
                raise DataError(
                    f"{name}, original files in {folder}: {error}"
                ) from error

    prepared = []
    if source.checksums:
        places = [root / below for root in roots for below in (TFDS_FOLDER, "")]
        if data_dir is None:
            default = os.environ.get("TFDS_DATA_DIR", f"~/{TFDS_FOLDER}")
            places.append(Path(default).expanduser())
        prepared = [place / name for place in places]
    has_tfds = importlib.util.find_spec("tensorflow_datasets") is not None
    for folder in prepared:
        version = _newest_version(folder)
        if version is not None and has_tfds:
            return read_prepared(name, version)
    raise DataError(_missing_message(source, folders, prepared, has_tfds))


def _newest_version(folder: Path) -> Path | None:
    """The newest version of a data set that TFDS has prepared in `folder`."""
    versions = [info.parent for info in folder.glob("*.*.*/dataset_info.json")]
    # by their numbers, as 10.0.0 comes after 9.0.0
    return max(
        versions,
        key=lambda version: [int(n) for n in version.name.split(".") if n.isdigit()],
        default=None,
    )


def _missing_message(
    source: Source, folders: Sequence[Path], prepared: Sequence[Path], has_tfds: bool
) -> str:
    """One line that says what was looked for, where, and what to do."""
    files = " or ".join(source.files)
    if source.checksums:
        files = f"{', '.join(source.checksums)} (plain, .gz or .xz)"
    searched = ", ".join(map(str, folders)) or "no folder, as none was given"
    sentences = [f"no data for {source.name!r}", f"looked for {files} in {searched}"]
    if prepared:
        places = ", ".join(map(str, prepared))
        sentences.append(f"looked for data prepared by TFDS in {places}")
    for folder in folders:
        lacking = source.lacking(folder)
        if len(lacking) < len(source.checksums):
            sentences.append(f"{folder} lacks only {', '.join(lacking)}")
    if prepared and not has_tfds:
        sentences.append("pip install 'vfljax[tfds]' lets prepared TFDS data be read")
    how = f"say where the data are with --data-dir or {ENVIRONMENT_VARIABLE}"
    return "; ".join([*sentences, how])
