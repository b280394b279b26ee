"""Pictures in files of their own, read with Pillow."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from vfljax.data.formats import DataError


def read_image(
    path: Path, size: tuple[int, int] | None = None
) -> UInt8[np.ndarray, "height width 3"]:
    """Reads one picture as red, green and blue, 0 to 255.

    Args:
        path: The file, in any format that Pillow reads.
        size: The height and width to which a picture of another size is scaled, by
            bilinear interpolation; None for the size in the file.

    Raises:
        DataError: The file is damaged, or Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(
            f"reading {path} needs Pillow: pip install 'vfljax[images]' brings it"
        ) from error
    try:
        with Image.open(path) as image:
            image = image.convert("RGB")
            if size is not None and image.size != (size[1], size[0]):
                image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            return np.asarray(image)
    except Exception as error:  # a damaged picture can raise nearly anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataError(f"{path} cannot be read as a picture: {reason}") from error
