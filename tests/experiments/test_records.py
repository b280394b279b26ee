"""Run folders survive kills, and refuse what would mix results."""

import json
import sys
import types

import jax.numpy as jnp
import pytest
from flax import linen

from vfljax import models
from vfljax.defenses import CAE, Autoencoder, DPGaussian, NoDefense
from vfljax.experiments import Data, Experiment, RunFolderError, source
from vfljax.experiments.folders import default_folder, plain_data
from vfljax.experiments.records import (
    ROW_IDENTITY,
    append_rows,
    open_run,
    read_run,
)

PACKAGE = "vfljax"
EXPERIMENT = Experiment(
    name="tiny", defenses={"dp": DPGaussian(clip_norm=float("inf"))}
)


def row(**changes):
    return {**dict.fromkeys(ROW_IDENTITY, 0), **changes}


def test_rows_come_back_and_nan_is_null(tmp_path):
    with open_run(tmp_path / "run", EXPERIMENT, "made here") as rows:
        assert rows == []
        append_rows(tmp_path / "run", [row(a=0.5), row(trial=1, a=float("nan"))])
    run = read_run(tmp_path / "run")
    assert run.rows == [row(a=0.5), row(trial=1, a=None)]
    assert run.environment["data"] == "made here"
    assert {"jax", "numpy", "vfljax"} <= set(run.environment["versions"])
    assert run.config["defenses"]["dp"]["kind"] == "DPGaussian"
    assert run.config["defenses"]["dp"]["clip_norm"] == "inf"


def test_a_cut_off_last_line_is_dropped_and_overwritten(tmp_path):
    with open_run(tmp_path, EXPERIMENT, ""):
        append_rows(tmp_path, [row(trial=0), row(trial=1)])
    with (tmp_path / "trials.jsonl").open("a") as rows_file:
        rows_file.write('{"trial": 2, "atta')
    reopened = open_run(tmp_path, EXPERIMENT, "")
    with pytest.warns(UserWarning, match="last line was cut off"):
        rows = reopened.__enter__()
    assert rows == [row(trial=0), row(trial=1)]
    append_rows(tmp_path, [row(trial=2)])
    reopened.__exit__(None, None, None)
    assert [row["trial"] for row in read_run(tmp_path).rows] == [0, 1, 2]


@pytest.mark.parametrize("damage", ["{oops", "3", "null", '{"trial": 1}'])
def test_a_damaged_line_in_the_middle_is_an_error(damage, tmp_path):
    with open_run(tmp_path, EXPERIMENT, ""):
        append_rows(tmp_path, [row()])
    with (tmp_path / "trials.jsonl").open("a") as rows_file:
        rows_file.write(f"{damage}\n{json.dumps(row())}\n")
    with pytest.raises(RunFolderError, match="line 2 is damaged"):
        read_run(tmp_path)


@pytest.mark.parametrize("content", ["[1]", "{"])
def test_a_damaged_config_is_an_error(content, tmp_path):
    with open_run(tmp_path, EXPERIMENT, ""):
        append_rows(tmp_path, [row()])
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(RunFolderError, match=r"config\.json: is damaged"):
        read_run(tmp_path)


def test_another_environment_is_added_not_put_in_place(tmp_path):
    with open_run(tmp_path, EXPERIMENT, "here"):
        append_rows(tmp_path, [row()])
    with (
        pytest.warns(UserWarning, match="in another environment"),
        open_run(tmp_path, EXPERIMENT, "there"),
    ):
        pass
    with open_run(tmp_path, EXPERIMENT, "there"):  # known by now
        pass
    environment = read_run(tmp_path).environment
    assert environment["data"] == "here"
    assert [later["data"] for later in environment["continued_in"]] == ["there"]


def test_a_folder_without_rows_is_anybodys(tmp_path):
    with open_run(tmp_path, EXPERIMENT, ""):
        pass
    with open_run(tmp_path, Experiment(name="other"), ""):
        pass
    assert read_run(tmp_path).config["name"] == "other"


def test_another_experiment_is_refused_by_field(tmp_path):
    with open_run(tmp_path, EXPERIMENT, ""):
        append_rows(tmp_path, [row()])
    other = Experiment(name="tiny", seed=7, defenses=EXPERIMENT.defenses)
    with (
        pytest.raises(RunFolderError, match="seed=0, this one has 7"),
        open_run(tmp_path, other, ""),
    ):
        pass
    with (
        pytest.raises(RunFolderError, match=r"defenses\.dp"),
        open_run(tmp_path, Experiment(name="tiny", defenses={"none": NoDefense()}), ""),
    ):
        pass


def test_more_trials_or_another_title_continue(tmp_path):
    with open_run(tmp_path, EXPERIMENT, ""):
        pass
    more = Experiment(
        name="tiny", title="T", num_trials=99, defenses=EXPERIMENT.defenses
    )
    with open_run(tmp_path, more, ""):
        pass
    assert read_run(tmp_path).config["num_trials"] == 99
    assert default_folder(more) == default_folder(EXPERIMENT)
    other_data = Experiment(name="tiny", data=Data(dataset="mnist"))
    assert default_folder(other_data) != default_folder(EXPERIMENT)


def test_one_writer_at_a_time(tmp_path):
    with (
        open_run(tmp_path, EXPERIMENT, ""),
        pytest.raises(RunFolderError, match="another run is writing"),
        open_run(tmp_path, EXPERIMENT, ""),
    ):
        pass


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RunFolderError, match="not writable"),
        open_run(tmp_path / "file" / "run", EXPERIMENT, ""),
    ):
        pass


def test_not_a_run_folder(tmp_path):
    with pytest.raises(RunFolderError, match=r"it has no config\.json"):
        read_run(tmp_path)


def test_config_is_plain_json():
    config = plain_data(EXPERIMENT)
    assert json.loads(json.dumps(config)) == config
    assert config["data"]["kind"] == "Data"


def test_arrays_in_a_config_are_told_apart():
    """A trained autoencoder is in it by digests."""
    swapped, kept = (
        CAE(autoencoder=Autoencoder(codebook=jnp.eye(2)[::step], decoder={}))
        for step in (-1, 1)
    )
    configs = [
        plain_data(Experiment(name="x", defenses={"c": c})) for c in (swapped, kept)
    ]
    assert json.loads(json.dumps(configs)) == configs
    assert configs[0] != configs[1]
    assert configs[1]["defenses"]["c"]["autoencoder"]["kind"] == "Autoencoder"


class Dense(linen.Module):
    """A network of a user's own, in this file."""

    width: int

    @linen.compact
    def __call__(self, x):
        return linen.Dense(self.width)(x)


def test_a_network_of_ones_own_counts_with_its_source_and_options():
    """Two runs of the same network share a folder; another width is another run."""

    def folder(width):
        model = models.from_linen(Dense(width))
        return default_folder(Experiment(name="own", model=model))

    assert folder(10) == folder(10) != folder(11)
    described = plain_data(models.from_linen(Dense(10)))
    assert "source_sha256" in described["apply"]
    library = plain_data(Experiment(name="x", model=models.MLP(hidden=(3,))))
    assert "source_sha256" not in json.dumps(library)


_FILE = """
import numpy as np
WEIGHTS: tuple = (1.0, 2.0)
CODES = np.eye(3)

class Own:
    def __call__(self, x):
        return x

def make(scale):
    return 1

experiment = experiments.Experiment(name="x", num_trials=1)
"""


@pytest.mark.parametrize(
    ("old", "new", "is_same"),
    [
        ("return x", "return -x", False),
        ("(1.0, 2.0)", "(1.0, 3.0)", False),
        ("np.eye(3)", "np.eye(4)", False),
        ("import numpy", "import jax.numpy", False),
        ("return 1", "return 2", True),
        ("num_trials=1", "num_trials=2", True),
        ("class Own", "# what it is\nclass Own", True),
    ],
)
@pytest.mark.parametrize("folder", ["mine", f"{PACKAGE}_mine"])
def test_what_of_a_file_counts(old, new, is_same, folder, tmp_path, monkeypatch):
    """Also of a file whose path only begins like the library's."""
    monkeypatch.setattr(source, "_LIBRARIES", (str(tmp_path / PACKAGE),))
    (tmp_path / folder).mkdir()
    digests = []
    for number, text in enumerate((_FILE, _FILE.replace(old, new))):
        path = tmp_path / folder / f"own_{number}.py"
        path.write_text(text)
        module = types.ModuleType(f"own_{number}")
        module.__file__ = str(path)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        own = type("Own", (), {"__module__": module.__name__})
        digests.append(source.source_digest(own))
    assert None not in digests
    assert (digests[0] == digests[1]) == is_same
