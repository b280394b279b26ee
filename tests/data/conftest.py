"""Fixtures that several tests of data sets share."""

import gzip
from typing import Any

import numpy as np
import pytest

from vfljax.data import cifar, mnist, source


@pytest.fixture
def unchecked(monkeypatch):
    """Lets tiny files pass as the published ones, so that only reading is tested."""

    def read(name, folder, checksums):
        paths = {
            file: source.require_file(name, folder, file) for file in checksums[name]
        }
        return {file: (source.read_content(p), p) for file, p in paths.items()}

    for module in (mnist, cifar):
        monkeypatch.setattr(module, "read_verified", read)


@pytest.fixture(scope="session")
def prepared_mnist(tmp_path_factory, data_dir):
    """The first 200 rows of each part of MNIST, prepared without TensorFlow."""
    pytest.importorskip("importlib_resources")  # tfds prepares with it
    tfds = pytest.importorskip("tensorflow_datasets")
    image_module = pytest.importorskip("PIL.Image")
    from tensorflow_datasets.image_classification import mnist

    class Mnist(mnist.MNIST, skip_registration=True):
        name = "mnist"

        def _split_generators(self, dl_manager) -> Any:
            del dl_manager
            return {part: self._examples(part) for part in ("train", "test")}

        def _examples(self, part):
            for row, (image, label) in enumerate(zip(*first_rows(part), strict=True)):
                yield row, {"image": image_module.fromarray(image), "label": int(label)}

    def first_rows(part):
        prefix = "train" if part == "train" else "t10k"
        images, labels = (
            gzip.decompress((data_dir / "mnist" / f"{prefix}-{kind}.gz").read_bytes())
            for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
        )
        images = np.frombuffer(images, np.uint8, 200 * 784, offset=16)
        return images.reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, 200, 8)

    folder = tmp_path_factory.mktemp("prepared")
    builder = Mnist(data_dir=folder, file_format="array_record")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=data_dir / "mnist")
    )
    return folder, first_rows
