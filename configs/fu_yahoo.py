"""Fu et al., Yahoo Answers: model completion on text, 10 labels per class.

Each party has half of a document and a BERT-style encoder. What the publication prints
for this set (.63 passive, .64 active) does not measure model completion: its released
attack fine-tunes a *fresh* pre-trained BERT, and its augmented inputs hold the whole
document, the other party's half included. Ours completes the trained encoder, mixing
embeddings, as token numbers can't be mixed; for the same reason there is no baseline
without federated learning. Encoders start from random weights, or from your own file of
BERT-base's: `--model.weights FILE`. Needs the user's own files, except for the small
scale, which has two topics.

Deviation: the publication trains BERT at a rate of 5e-6, the linear layers on it at
5e-4 and the top model at 1e-3. Here an encoder has one rate for all its layers, and it
is that of the top model.
"""

from typing import Literal

import _fu

from vfljax.experiments import Data, Experiment, Training
from vfljax.models import TextEncoder


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Ten topics, BERT-base; small: two topics, two blocks of width 32."""
    small = scale == "small"
    encoder = TextEncoder()
    if small:
        encoder = TextEncoder(
            hidden=32, layers=2, heads=2, intermediate=64, pooled=32, dropout=0.1
        )
    return Experiment(
        name="fu_yahoo",
        title="Yahoo Answers, halves of documents: label inference from an encoder",
        data=Data(
            dataset="yahoo_2topics" if small else "yahoo_answers", split="features"
        ),
        model=encoder,
        protocol=_fu.IMAGE_SPLITTING,
        training=Training(
            steps=8 * 125 if small else 25 * 3125,
            batch_size=32 if small else 16,
            optimizer="sgd",
            learning_rate=0.05 if small else 0.001,
            momentum=0.9,
            milestones=(0.6,),
        ),
        batch_sizes=(32,),
        attacks={
            "passive": _fu.completion(small, 10, mix="feature"),
            "active": _fu.completion(small, 10, optimizer="malicious", mix="feature"),
            "active_all": _fu.completion(
                small, 10, optimizer="all_malicious", mix="feature"
            ),
        },
        num_trials=4 if small else 5,
    )
