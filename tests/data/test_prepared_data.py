import numpy as np
import pytest

from vfljax.data import DataError, load


def sorted_rows(images, labels):
    images = np.rint(np.asarray(images) * 255).astype(np.uint8)
    return sorted(
        (image.tobytes(), int(label))
        for image, label in zip(images, labels, strict=True)
    )


@pytest.mark.parametrize("below", ["", "tensorflow_datasets"])
def test_prepared_tfds_data_are_the_same_examples(tmp_path, prepared_mnist, below):
    folder, first_rows = prepared_mnist
    root = folder
    if below:
        root = tmp_path
        (tmp_path / below).symlink_to(folder)
    dataset = load("mnist", root)
    assert dataset.train_features.shape == (200, 28, 28)
    assert dataset.class_names == tuple("0123456789")
    assert "TFDS" in dataset.origin
    assert "3.0.1" in dataset.origin
    for part in ("train", "test"):
        images, labels = first_rows(part)
        assert sorted_rows(
            getattr(dataset, f"{part}_features"), getattr(dataset, f"{part}_labels")
        ) == sorted_rows(images / 255, labels)


def test_tfds_default_folder_is_tried_where_none_is_given(prepared_mnist, monkeypatch):
    monkeypatch.delenv("VFLJAX_DATA", raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared_mnist[0]))
    assert len(load("mnist").test_labels) == 200


def test_damaged_prepared_data_are_named(tmp_path, prepared_mnist):
    version = tmp_path / "mnist" / "3.0.1"
    version.mkdir(parents=True)
    for path in (prepared_mnist[0] / "mnist" / "3.0.1").iterdir():
        content = path.read_bytes()
        is_data = "array_record" in path.name
        (version / path.name).write_bytes(content[:-70000] if is_data else content)
    with pytest.raises(
        DataError, match=r"3\.0\.1 cannot be read as prepared"
    ) as caught:
        load("mnist", tmp_path)
    assert "\n" not in str(caught.value)
