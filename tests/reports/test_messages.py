import polars as pl
import pytest

from vfljax.reports.panels.messages import draw_messages


def test_bars_are_bytes_of_one_message_without_key_and_network():
    messages = [
        ("third_party", "active", "public_key", "plain", 1, 1000),
        ("passive_0", "active", "logits", "ciphertext", 2, 9000),
        ("third_party", "passive_0", "masked_gradient", "plain", 4, 800),
        ("network", "active", "start", "plain", 1, 500),
        ("active", "passive_0", "logit_gradients", "ciphertext", 1, 3000),
    ]
    names = ["sender", "receiver", "kind", "form", "num_messages", "num_bytes"]
    figure = draw_messages(pl.DataFrame(messages, schema=names, orient="row"), "Title")
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "Title"
    assert axes.get_xscale() == "log"
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [
        "logits, passive_0 to active",
        "masked gradient, third_party to passive_0",
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
    assert texts == ["ciphertext", "plain"]
    first, second = (container[0] for container in axes.containers)
    assert first.get_facecolor() != second.get_facecolor()
    assert first.get_hatch() != second.get_hatch()  # told apart without color too
