"""The answer in words: which defense the rule names, and when it names none."""

import re

import pytest

from vfljax.reports.frame import summarize
from vfljax.reports.table import cell
from vfljax.reports.words import RULE, findings, opening, remarks


def find(rows):
    """The only threat model of some rows."""
    (finding,) = findings(summarize(rows).summary)
    return finding


@pytest.fixture
def undefended(make_defended):
    """.825 above chance, which is .125."""
    return make_defended("none", None, 0.95, 0.9)


def test_the_first_sentence_says_what_was_tried(swept_rows):
    assert opening(summarize(swept_rows)) == (
        "2 attacks under 2 threat models and 2 defenses at 3 strengths in all were "
        "tried on digits, 10 classes, 2 parties: 12 settings, 2 trials each."
    )


def test_one_answer_per_threat_model(swept_rows):
    plaintext, encrypted = findings(summarize(swept_rows).summary)
    assert plaintext.title == "Plaintext messages"
    assert plaintext.found == (
        "Without a defense the strongest attack (linear_recovery) finds 97.5 % of the "
        "labels; chance is 12.5 %."
    )
    assert plaintext.verdict == (
        "gaussian noise_std=0.1 meets the rule so far, but no attack that knows it was "
        "tried."
    )
    assert plaintext.kind == "open"
    assert encrypted.title == "Encrypted messages"
    assert encrypted.verdict == "Take gaussian noise_std=0.1."
    assert encrypted.reasons == (
        "The strongest attack on it (smoothing) reaches 49.0 % (95 % interval 49.0 to "
        "49.0 %) where chance is 12.5 %, and the main task goes from 95.0 % to 93.0 %."
    )
    assert encrypted.kind == "take"
    assert (encrypted.rate, encrypted.chance) == (pytest.approx(0.965), 0.125)


def test_the_noise_scale_is_not_known_where_there_is_no_noise(swept_rows):
    encrypted = findings(summarize(swept_rows).summary)[1]
    assert encrypted.found.startswith("Without a defense the strongest attack (smoothi")
    assert "noise scale" not in encrypted.found


@pytest.mark.parametrize(
    ("attack", "main", "changes", "reason"),
    [
        (0.53, 0.851, {}, ""),  # .405 left of .825, 4.9 points lost
        (0.55, 0.9, {}, "more than half of the leakage above chance is left"),
        (0.5, 0.84, {}, "the main task loses more than 5 points"),
        (0.5, 0.9, {"floor_accuracy": 0.9}, "no better than one party alone"),
        (0.5, 0.9, {"floor_accuracy": 0.89}, ""),
        (0.5, 0.9, {"status": ["ok", "non_finite"]}, "trials failed"),
        (0.05, 0.9, {}, "only names are hidden, or the rate is below chance"),
        (
            0.2,
            0.9,
            {"matched_accuracy": 0.9, "matched_chance": 0.2},
            "only names are hidden, or the rate is below chance",
        ),
    ],
)
def test_the_rule(undefended, make_defended, attack, main, changes, reason):
    defended = make_defended("noise", 0.1, attack, main, is_adaptive=True, **changes)
    finding = find([*undefended, *defended])
    if reason:
        assert finding.verdict == "None of the defenses tried is worth its price."
        assert reason.lower() in finding.reasons.lower()
        assert finding.reasons.endswith("(1 of 1).")
        assert finding.kind == "none"
    else:
        assert finding.verdict == "Take noise noise_std=0.1."


@pytest.mark.parametrize("adds_noise", [True, False, None])
def test_a_noise_scale_is_known_where_there_is_noise(make_row, adds_noise):
    """None: an older row, that doesn't say."""
    row = make_row(
        defense="sparsification",
        is_adaptive=True,
        knowledge="a label, the noise scale",
        adds_noise=adds_noise,
    )
    (row,) = summarize([row]).summary.to_dicts()
    known = "a label" if adds_noise is False else "a label, the noise scale"
    assert cell(row, "knowledge") == known


def test_trials_that_all_failed_say_nothing(make_rows):
    finding = find(make_rows([0.0, 0.0], defense="none", status="non_finite"))
    assert finding.found.startswith("All trials without a defense failed")


def test_an_interval_across_the_limit_is_said(undefended, make_rows):
    noise = {"defense": "noise", "defense_strength": 0.1, "strength_name": "noise_std"}
    rows = make_rows([0.45, 0.5, 0.55], main_accuracy=0.9, is_adaptive=True, **noise)
    finding = find([*undefended, *rows])
    assert finding.verdict == "Take noise noise_std=0.1."
    assert "more trials may turn this verdict" in finding.reasons
    sure = make_rows([0.3, 0.3, 0.3], main_accuracy=0.9, is_adaptive=True, **noise)
    assert "more trials" not in find([*undefended, *sure]).reasons


def test_an_interval_that_says_nothing_is_no_protection(undefended, make_rows):
    wide = {"defense": "noise", "defense_strength": 0.1, "strength_name": "noise_std"}
    rows = make_rows([0.2, 0.3], main_accuracy=0.9, **wide)
    finding = find([*undefended, *rows])
    assert finding.reasons == "The interval says nothing (1 of 1)."


def test_of_those_that_meet_the_rule_the_one_that_leaks_least(
    undefended, make_defended
):
    rows = [*undefended]
    for strength, attack, main in ((0.1, 0.5, 0.9), (0.2, 0.4, 0.87), (0.3, 0.2, 0.8)):
        rows += make_defended("noise", strength, attack, main, is_adaptive=True)
    assert find(rows).verdict == "Take noise noise_std=0.2."


def test_the_reasons_are_counted(undefended, make_defended):
    rows = [*undefended]
    for strength, attack, main in ((0.1, 0.9, 0.9), (0.2, 0.8, 0.9), (0.3, 0.2, 0.5)):
        rows += make_defended("noise", strength, attack, main)
    assert find(rows).reasons == (
        "More than half of the leakage above chance is left (2 of 3), the main task "
        "loses more than 5 points (1 of 3)."
    )


def test_what_cannot_be_said_is_not_said(undefended, make_defended):
    noise = make_defended("noise", 0.1, 0.2, 0.9)
    cases = {
        "No defense was tried": undefended,
        "nothing was tried without one": noise,
        "was not recorded": [*undefended, *make_defended("noise", 0.1, 0.2, None)],
        "no attack finds more than chance": [
            *make_defended("none", None, 0.125, 0.9),
            *noise,
        ],
        "trials failed": [*(r | {"status": "failed"} for r in undefended), *noise],
    }
    for words, rows in cases.items():
        finding = find(rows)
        assert words in finding.verdict
        assert (finding.kind, finding.reasons) == ("open", "")
        assert "Take" not in finding.verdict


def test_what_was_not_tried_without_a_defense_is_said(make_defended):
    finding = find(make_defended("noise", 0.1, 0.2, 0.9))
    assert finding.found == "Nothing was tried without a defense."
    assert finding.rate is finding.chance is None


def test_several_settings_are_a_range_and_a_verdict_each(make_defended):
    rows = []
    for size, attack in ((16, 0.3), (64, 0.9)):
        rows += make_defended("none", None, 0.95 - size / 1000, 0.9, batch_size=size)
        rows += make_defended("noise", 0.1, attack, 0.9, batch_size=size)
    finding = find(rows)
    assert finding.found == (
        "In 2 settings without a defense the strongest attack finds 88.6 % (batch size "
        "64) to 93.4 % (batch size 16) of the labels; chance is 12.5 %."
    )
    assert "Batch size 64: None of the defenses tried is worth" in finding.verdict
    assert "Batch size 16: noise noise_std=0.1 meets the rule" in finding.verdict
    assert "Batch size 64: More than half" in finding.reasons


def test_one_verdict_for_all_settings_is_said_once(make_defended):
    rows = []
    for size in (16, 64):
        rows += make_defended("none", None, 0.95, 0.9, batch_size=size)
        rows += make_defended("noise", 0.1, 0.9, 0.9, batch_size=size)
    finding = find(rows)
    assert finding.verdict == "None of the defenses tried is worth its price."
    assert finding.reasons.startswith("Batch size 16; batch size 64: More than half")


def test_a_backdoor_has_words_of_its_own(make_defended):
    finding = find(make_defended("none", None, 0.9, 0.9, view="message_rows"))
    assert finding.title == "Manipulated messages"
    assert finding.found == (
        "Without a defense the strongest attack (linear_recovery) leads 90.0 % of the "
        "samples with its trigger to its class; without the trigger it is 12.5 %."
    )


def test_a_goal_of_ones_own_has_its_own_words_and_its_own_verdict(make_defended):
    """A rate of one goal is no stronger attack than one of another goal."""
    counted = {"goal": "memberships in class 0", "attack": "counting"}
    rows = [
        *make_defended("none", None, 0.7, 0.9, goal="labels of the batch"),
        *make_defended("noise", 0.1, 0.2, 0.9, goal="labels of the batch"),
        *make_defended("none", None, 0.9, 0.9, **counted),
        *make_defended("noise", 0.1, 0.8, 0.9, **counted),
    ]
    labels, members = findings(summarize(rows).summary)
    assert labels.title == "Encrypted messages"
    assert "(linear_recovery) finds 70.0 % of the labels;" in labels.found
    assert members.title == "Encrypted messages, memberships in class 0"
    assert "(counting) finds 90.0 % of the memberships in class 0;" in members.found
    assert (labels.kind, members.kind) == ("open", "none")


def test_a_defense_may_end_a_backdoor(make_defended):
    planted = {"view": "message_rows", "chance_accuracy": 0.02, "is_adaptive": True}
    rows = [
        *make_defended("none", None, 0.9, 0.9, **planted),
        *make_defended("noise", 0.1, 0.03, 0.88, **planted),
    ]
    assert find(rows).verdict == "Take noise noise_std=0.1."


@pytest.mark.parametrize(
    ("rates", "changes", "words"),
    [
        ([0.2, 0.3], {}, "this says nothing either way"),
        ([0.7, 0.7], {"status": ["ok", "non_finite"]}, "1 of 2 trials failed"),
        ([0.02, 0.02], {}, "no protection"),
    ],
)
def test_a_doubt_is_said_beside_the_rate(make_rows, rates, changes, words):
    assert words in find(make_rows(rates, **changes)).found


def test_remarks(make_rows, swept_rows):
    assert remarks(summarize(swept_rows)) == [RULE]
    rows = [
        *make_rows([0.2, 0.3], status=["ok", "sent_unprotected"]),
        *make_rows([0.5], attack="other"),
    ]
    failed, unprotected, silent, single = remarks(summarize(rows))
    assert failed == (
        "1 of 3 trials failed (sent_unprotected). They are counted in every mean."
    )
    assert unprotected.startswith("sent_unprotected: the defense was on")
    assert silent.startswith("1 of 2 settings say nothing either way")
    assert "single trial" in single


def test_no_sentence_praises_a_defense(swept_rows):
    for finding in findings(summarize(swept_rows).summary):
        text = f"{finding.found} {finding.verdict} {finding.reasons}"
        assert not re.search(r"\b(holds|cheap|safe|secure)\b", text)
