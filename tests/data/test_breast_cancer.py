import numpy as np
import pytest

from vfljax import data
from vfljax.data import DataError, load
from vfljax.experiments import Data

GUEST, HOST = "breast_hetero_guest.csv", "breast_hetero_host.csv"


def write_tables(folder, num_rows=10):
    """Cell: row + column / 100 at the guest, and minus that at the host."""
    folder.mkdir(parents=True, exist_ok=True)
    guest = ["id,y," + ",".join(f"x{column}" for column in range(10))]
    host = ["id," + ",".join(f"x{column}" for column in range(20))]
    for row in range(num_rows):
        cells = [f"{row + column / 100:.2f}" for column in range(20)]
        guest.append(",".join([f"p{row}", str(row % 2), *cells[:10]]))
        host.insert(1, ",".join([f"p{row}", *(f"-{cell}" for cell in cells)]))
    (folder / GUEST).write_text("\n".join(guest) + "\n")
    (folder / HOST).write_text("\n".join(host) + "\n")


def test_tables_are_joined_on_the_id(tmp_path):
    """The host's rows are in reverse order. 8 of 10 rows are for training."""
    write_tables(tmp_path / "tabular")
    dataset = load("breast_cancer", tmp_path)
    assert dataset.train_features.shape == (8, 30)
    assert dataset.test_features.shape == (2, 30)
    both = np.concatenate([dataset.train_features, dataset.test_features])
    labels = np.concatenate([dataset.train_labels, dataset.test_labels])
    rows = both[:, 0]
    assert sorted(rows.tolist()) == list(range(10))
    np.testing.assert_array_equal(labels, rows % 2)
    columns = np.arange(20, dtype=np.float32)[None] / 100
    np.testing.assert_allclose(both[:, :10], rows[:, None] + columns[:, :10], atol=1e-5)
    np.testing.assert_allclose(both[:, 10:], -rows[:, None] - columns, atol=1e-5)
    assert dataset.feature_names is not None
    assert dataset.feature_names[::10] == ("guest_x0", "host_x0", "host_x10")
    assert dataset.class_names == ("malignant", "benign")


def test_real_tables_have_a_guest_and_a_host(data_dir):
    """357 of 569 tumors are benign; a fifth of 569, rounded up, is 114."""
    dataset = load("breast_cancer", data_dir)
    assert dataset.train_features.shape == (455, 30)
    assert dataset.test_features.shape == (114, 30)
    assert dataset.train_labels.sum() + dataset.test_labels.sum() == 357
    assert dataset.test_labels.mean() == pytest.approx(357 / 569, abs=0.005)
    setting = Data(dataset="breast_cancer", columns=("0-9", "10-29"))
    split = setting.split_argument()
    guest, host = data.split_features(dataset.train_features, split)
    assert (guest.shape, host.shape) == ((455, 10), (455, 20))
    np.testing.assert_array_equal(guest, dataset.train_features[:, :10])


def replace_in(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        (GUEST, "id,y", "id,z", f"{GUEST} does not begin with the line id,y,x0,x1"),
        (GUEST, "p3,1", "p3,2", f"{GUEST} has y = 2; allowed is 0 or 1"),
        (GUEST, "p3,1,3.00", "p3,1,?", f"{GUEST} is damaged at id p3: .*'\\?'"),
        (GUEST, "p3,1,3.00", "p3,1", f"{GUEST} has 11 columns in row 4; allowed is 12"),
        (HOST, "p3,-3.00", "p3,nan", "=nan: must be a finite number"),
        (HOST, "p3,", "p2,", f"{HOST} has the id p2 twice"),
        (HOST, "p3,", "p33,", "do not have the same ids; only one has p3"),
        (HOST, "p3,", '"p3,', f"{HOST} is damaged in row 7"),
    ],
)
def test_damaged_table_is_named(tmp_path, file, old, new, reason):
    write_tables(tmp_path)
    replace_in(tmp_path / file, old, new)
    with pytest.raises(DataError, match=reason):
        load("breast_cancer", tmp_path)


def test_missing_table_is_named(tmp_path):
    with pytest.raises(DataError, match=f"'breast_cancer'; looked for {GUEST} in"):
        load("breast_cancer", tmp_path)
    write_tables(tmp_path)
    (tmp_path / HOST).unlink()
    with pytest.raises(DataError, match=f"{tmp_path} lacks {HOST}"):
        load("breast_cancer", tmp_path)
    (tmp_path / GUEST).write_text("")
    with pytest.raises(DataError, match=f"{GUEST} does not begin with the line"):
        load("breast_cancer", tmp_path)
