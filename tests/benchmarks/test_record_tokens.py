"""The counts of tokens, by hand and on synthetic check-ins."""

import numpy as np


def test_records_with_a_set_of_their_own(load):
    uniqueness = load("record_tokens").uniqueness
    records = np.array([[1, 2, 0], [2, 1, 1], [1, 3, 0], [4, 5, 0]])
    assert uniqueness(records, 3) == (0.25, 0.75)
    assert uniqueness(records, 5) == (0.5, 1.0)


def test_batches_have_the_tokens_of_their_rows(load):
    tokens_of_rounds = load("record_tokens").tokens_of_rounds
    own = np.array([[1, 2], [3, 3]])
    present = tokens_of_rounds(np.random.default_rng(0), own, 1, 20, own)
    found = {tuple(np.flatnonzero(row)) for row in present}
    assert found == {(1, 2), (3,)}


def test_larger_batches_make_the_rule_less_precise(load, capsys):
    arguments = ["--batch-sizes", "50", "1000", "--num-rounds", "600"]
    assert load("record_tokens").main([*arguments, "--tops", "10", "100"]) == 0
    printed = capsys.readouterr().out
    lines = [line.split() for line in printed.splitlines()]
    found = {line[0]: line[1:] for line in lines if len(line) == 3}
    assert float(found["10"][0]) < float(found["100"][0])
    assert float(found["50"][0]) > float(found["1,000"][0]) + 0.05
    assert float(found["50"][1]) > 0.9  # five epochs draw nearly every record
