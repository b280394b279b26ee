"""Who learned what, from the log of a run."""

import json

import pytest

from vfljax.protocol import encrypted


@pytest.fixture(scope="module")
def folder(make_training, tmp_path_factory):
    """Of a run on real ciphertexts, and its description."""
    folder = tmp_path_factory.mktemp("run")
    run = encrypted.run_here(*make_training(num_iterations=3), folder=folder)
    return folder, run.description


def lines_of(folder):
    lines = (folder / "messages.jsonl").read_text().splitlines()
    return [*map(json.loads, lines)]


def test_numbers_and_bytes_are_those_of_the_log(folder):
    logged = lines_of(folder[0])
    rows = encrypted.summarize_messages(logged)
    assert sum(row["num_messages"] for row in rows) == len(logged)
    total = sum(line["num_bytes"] for line in logged)
    assert sum(row["num_bytes"] for row in rows) == total
    (gradients,) = (row for row in rows if row["kind"] == "logit_gradients")
    assert gradients["num_ciphertexts"] == 3 * 6
    assert (gradients["sender"], gradients["receiver"]) == ("active", "passive_0")


def test_messages_that_passed_twice_count_once(folder):
    logged = lines_of(folder[0])
    twice = [*logged[:-2], *logged[:3], *logged[-6:]]
    assert encrypted.summarize_messages(twice) == encrypted.summarize_messages(logged)


def test_every_role_and_every_kind_in_the_log_has_a_row(folder):
    """The network's messages too; the third party isn't told which samples."""
    path, description = folder
    logged = {
        (line["receiver"], line["sender"], line["kind"]) for line in lines_of(path)
    }
    assert ("third_party", "network", "setup") in logged
    rows = encrypted.who_learned_what(
        description, encrypted.summarize_messages(lines_of(path))
    )
    assert json.loads(json.dumps(rows)) == rows
    assert len(rows) == len(logged) + 1  # and the network's own
    roles = list(dict.fromkeys(row["role"] for row in rows))
    assert roles == ["passive_0", "active", "third_party", "network"]
    told = {
        row["role"]: (row["saw"], row["learned"])
        for row in rows
        if row["saw"].endswith("(from network)")
    }
    numbers = "numbers of the samples in each batch (from network)"
    for party in ("passive_0", "active"):
        assert told[party] == (numbers, "which samples are in a batch")
    saw, learned = told["third_party"]
    assert saw == "start of each iteration (from network)"
    assert learned == "how many iterations there are"


def test_what_was_learned_follows_from_forms_and_settings(folder):
    path, description = folder

    def learned(**changes):
        rows = encrypted.who_learned_what(
            description | changes, encrypted.summarize_messages(lines_of(path))
        )
        return {(row["role"], row["kind"]): row["learned"] for row in rows}

    rows = learned()
    assert rows["passive_0", "logit_gradients"].startswith("nothing")
    assert rows["passive_0", "decrypted_gradient"].startswith("its own batch gradient")
    assert rows["active", "decrypted_logits"] == description["active_party_sees"]
    for request in ("masked_logits", "masked_gradient"):
        assert "uniformly random" in rows["third_party", request]
    assert "noise depends" in rows["third_party", "masked_gradient"]
    assert "noise depends" not in rows["third_party", "masked_logits"]
    rows = learned(preset="flood")
    assert "noise depends" not in rows["third_party", "masked_gradient"]
    rows = learned(backend="plain_int")
    assert rows["active", "embeddings"].startswith("everything in it")
