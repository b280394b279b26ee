"""Breast histopathology images: patches of tissue, several of one class per sample.

The patches are those of Janowczyk and Madabhushi, "Deep learning for digital pathology
image analysis", 2016, https://doi.org/10.4103/2153-3539.186902. They are prepared as in
Fu et al., "Label Inference Attacks Against Vertical Federated Learning", USENIX
Security 2022, https://www.usenix.org/conference/usenixsecurity22/presentation/fu-chong,
where the parties do not share one picture: each holds another patch of the same class.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, Shaped, UInt8

from vfljax._checks import require
from vfljax.data.dataset import Dataset
from vfljax.data.images import read_image
from vfljax.data.own import from_arrays
from vfljax.data.rows import split_rows
from vfljax.data.source import Source, progress_bar

_PATTERN = "*/[01]/*.png"
_SIZE = (50, 50)
_WHITE = 220  # a brighter pixel shows fat or no tissue at all
_MOST_WHITE = 0.3


def _read(name: str, folder: Path, num_parties: int = 1) -> Dataset:
    """Reads the patches that are not mostly white, alone or some of one class together.

    A patch is left out if the mean of red, green and blue is above 220 in more than
    30 % of its pixels. Patches from the edge of a slide are smaller; they are first
    scaled to 50x50. The patches left are split 80 to 20 with equal class shares and a
    fixed seed, then grouped within each part by `group_patches`. Values are
    (p / 255 - 0.5) / 0.5, from -1 to 1.

    A sample of several parties is the pictures one below the other, so that the split
    `rows` gives each party one. Patches of one patient may be in both parts, as
    published. The folder has one folder for each patient, each with folders `0`
    (negative) and `1` (positive) of `.png` files. The 277,524 patches of the full set
    take some 8 GB while they are read.
    """
    patches, labels, num_files = _read_patches(name, folder)
    num_white = num_files - len(patches)
    origin = (
        f"original files in {folder}; {num_white} of {num_files} patches left out as "
        "mostly white; split with seed 0"
    )
    parts = []
    for rows in split_rows(labels, seed=0):
        grouped, group_labels = group_patches(
            patches[rows], labels[rows], num_parties, seed=0
        )
        parts += [_normalize(grouped), group_labels]
    class_names = "negative", "positive"
    return from_arrays(*parts, name=name, class_names=class_names, origin=origin)


def group_patches(
    features: Shaped[np.ndarray, " rows *patch"],
    labels: Int64[np.ndarray, " rows"],
    num_parties: int,
    seed: int,
) -> tuple[Shaped[np.ndarray, " groups parties *patch"], Int64[np.ndarray, " groups"]]:
    """Puts patches of the same class together, as samples of several parties.

    The patches of each class are shuffled and cut into groups, so that nothing but the
    class connects the patches of a sample; up to `num_parties` - 1 of each class are
    left over. The samples are then shuffled. (The published code groups the files in
    the order of their folders, so that most samples are neighbors in one slide.)

    Returns the samples with an axis for the parties, and their labels. Raises a
    `ValueError` if `num_parties` is below 1, or no class has so many patches.

    Example:
        >>> labels = np.array([0, 1, 0, 1, 1])
        >>> samples, classes = group_patches(labels[:, None], labels, 2, seed=0)
        >>> samples.shape, sorted(classes.tolist())
        ((2, 2, 1), [0, 1])
    """
    counts = np.bincount(labels)
    most = int(counts.max())
    allowed = f"in [1, {most}], the number of patches in the largest class"
    require(1 <= num_parties <= most, "num_parties", num_parties, allowed)
    rng = np.random.default_rng(seed)
    groups = []
    for number in range(len(counts)):
        rows = rng.permutation(np.flatnonzero(labels == number))
        num_groups = len(rows) // num_parties
        groups.append(rows[: num_groups * num_parties].reshape(-1, num_parties))
    rows = rng.permutation(np.concatenate(groups))
    return features[rows], labels[rows[:, 0]]


def _read_patches(
    name: str, folder: Path
) -> tuple[UInt8[np.ndarray, " rows 50 50 3"], Int64[np.ndarray, " rows"], int]:
    """The patches with enough tissue, their labels, and how many files there are."""
    paths = sorted(folder.glob(_PATTERN))
    patches = np.empty((len(paths), *_SIZE, 3), np.uint8)
    labels = []
    for path in progress_bar(paths, f"reading {name}"):
        patch = read_image(path, _SIZE)
        if (patch.mean(axis=2) > _WHITE).mean() <= _MOST_WHITE:
            patches[len(labels)] = patch
            labels.append(int(path.parent.name))
    return patches[: len(labels)], np.array(labels, np.int64), len(paths)


def _normalize(
    patches: UInt8[np.ndarray, " rows parties 50 50 3"],
) -> Float32[np.ndarray, " rows height 50 3"]:
    """Scales pixels to [-1, 1], and stacks the patches of a sample along the rows."""
    features = patches.reshape(len(patches), -1, *patches.shape[3:]).astype(np.float32)
    features /= np.float32(127.5)
    features -= np.float32(1)
    return features


BHI = Source(
    name="bhi",
    description="patches of breast tissue, 50x50 color, 2 classes: cancer or not; "
    "bhi_2 to bhi_8 are that many patches of one class, stacked",
    read=_read,
    folders=(
        *("IDC_regular_ps50_idx5", "bhi/IDC_regular_ps50_idx5", "bhi"),
        "breast-histopathology-images/IDC_regular_ps50_idx5",
        "breast-histopathology-images",
    ),
    files=(_PATTERN,),
)
BHI_OF_PARTIES = tuple(
    replace(
        BHI,
        name=f"bhi_{number}",
        description=f"{number} patches of breast tissue of one class, stacked",
        read=partial(_read, num_parties=number),
    )
    for number in range(2, 9)
)
