"""The panel of a run on real ciphertexts: roles, messages, rates, what it holds for."""

import pytest

from vfljax.reports.frame import summarize
from vfljax.reports.panels.who_learned import WHO_LEARNED

MESSAGES = [
    ("third_party", "active", "public_key", "public", 1, 1000),
    ("passive_0", "active", "embeddings", "encrypted", 2, 9000),
    ("third_party", "passive_0", "decrypted_gradient", "masked plain", 4, 800),
    ("network", "active", "batch", "public", 1, 500),
    ("active", "passive_0", "logit_gradients", "encrypted", 1, 3000),
]
COLUMNS = ("sender", "receiver", "kind", "form", "num_messages", "num_bytes")


def make_engine(**changes):
    description = dict.fromkeys(
        ("library", "layers_encrypted", "active_party_sees", "limits"), "something"
    )
    description |= {"mode": "exact", "loss": "cross-entropy", "layout": "row"}
    description |= {"backend": "bfv", "preset": "small", "threat_model": "honest"}
    description |= {"num_coefficients": 4096, "plain_bits": 52}
    learned = [
        ("passive_0", "embeddings", "nothing"),
        ("passive_1", "decrypted_gradient", "its gradient"),
        ("passive_0", "decrypted_gradient", "its gradient"),
    ]
    return {
        "variant": "",
        "num_classes": 10,
        "batch_size": 64,
        "defense": "none",
        "defense_strength": None,
        "trial": 0,
        "is_honest": True,
        "adversary": "passive_0",
        "num_iterations": 5,
        "processes": False,
        "seconds_per_iteration": 0.25,
        "weights_max_difference": 2e-7,
        "description": description | {"security_check": "128 bits"},
        "messages": [dict(zip(COLUMNS, each, strict=True)) for each in MESSAGES],
        "learned": [
            {"role": role, "kind": kind, "saw": "it", "form": "public", "learned": text}
            for role, kind, text in learned
        ],
    } | changes


@pytest.fixture
def fill(make_rows):
    """The panel of two trials, with noise and without, beside some trainings."""

    def fill(*engines):
        rows = make_rows([0.9, 0.7], defense_strength=None)
        rows += make_rows([0.5, 0.3], defense="noise", defense_strength=0.1)
        rows += make_rows([0.1, 0.2], attack="backdoor", view="message_rows")
        return WHO_LEARNED.fill(summarize(rows)._replace(engines=engines), "Title")

    return fill


def test_only_a_run_on_ciphertexts_has_it(fill):
    assert fill() is None


def test_rates_stand_beside_the_gradient_that_the_adversary_decrypted(fill):
    """Those of the training shown, of attacks on messages alone."""
    (nothing, *others) = fill(make_engine(trial=1)).table.cells
    assert nothing == ("passive 0 (the adversary)", "it", "public", "nothing")
    assert others == [
        ("passive 1", "it", "public", "its gradient"),
        (
            *("passive 0 (the adversary)", "it", "public"),
            "its gradient; labels inferred from it: 70.0 % (linear_recovery, step 0)",
        ),
    ]
    defended = make_engine(defense="noise", defense_strength=0.1)
    assert "50.0 % (linear_recovery, step 0)" in fill(defended).table.cells[2][3]


def test_an_undefended_honest_training_is_shown_and_all_are_counted(fill):
    part = fill(
        make_engine(is_honest=False, trial=1),
        make_engine(defense="noise", defense_strength=0.1),
        make_engine(weights_max_difference=3e-6, seconds_per_iteration=2.0),
        make_engine(weights_max_difference=None),
    )
    assert "90.0 %" in part.table.cells[2][3]
    notes = " ".join(part.notes)
    assert "one training of 4: none, trial 0, 5 iterations" in notes
    assert "of 3 trainings: 3.0e-06." in notes
    assert "2 seconds per iteration, with each role in the same process." in notes
    assert "4096 coefficients of 52 bits" in notes
    for words in ("128 bits", "Threat model: honest", "Limits: something"):
        assert words in notes


def test_what_was_not_measured_is_not_said(fill):
    part = fill(
        make_engine(
            is_honest=False, weights_max_difference=None, seconds_per_iteration=None
        )
    )
    assert part.table.cells[2][3] == "its gradient"
    assert not any("Largest" in note or "seconds" in note for note in part.notes)


def test_bars_are_bytes_of_one_message_without_key_and_network(fill):
    figure = fill(make_engine()).figure
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "Title"
    assert axes.get_xscale() == "log"
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [
        "embeddings, passive_0 to active",
        "decrypted gradient, third_party to passive_0",
        "logit gradients, active to passive_0",
    ]
    bars = {
        labels[round(bar.get_y() + bar.get_height() / 2)]: (bar.get_width(), group)
        for group, container in enumerate(axes.containers)
        for bar in container
    }
    assert [bars[label] for label in labels] == [
        (pytest.approx(4500), 0),
        (pytest.approx(200), 1),
        (pytest.approx(3000), 0),
    ]
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["encrypted", "masked plain"]
    first, second = (container[0] for container in axes.containers)
    assert first.get_facecolor() != second.get_facecolor()
    assert first.get_hatch() != second.get_hatch()  # told apart without color too
