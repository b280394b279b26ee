"""Truthful and invented hotel reviews, as token numbers.

Ott et al., "Finding Deceptive Opinion Spam by Any Stretch of the Imagination", ACL
2011, https://aclanthology.org/P11-1032, and "Negative Deceptive Opinion Spam", NAACL
2013, https://aclanthology.org/N13-1053, made the set. Here it stands for the CSI corpus
of Melis et al., "Exploiting Unintended Feature Leakage in Collaborative Learning", S&P
2019, https://arxiv.org/abs/1805.04049.
"""

from pathlib import Path

from vfljax.data.columns import number_column, number_names, read_table
from vfljax.data.dataset import Dataset
from vfljax.data.documents import Documents, from_documents
from vfljax.data.rows import split_rows
from vfljax.data.source import Source, require_file

FILE = "deceptive_opinions.csv"
NAMES = {
    "polarity": ("negative", "positive"),
    "deceptive": ("deceptive", "truthful"),
    "source": ("MTurk", "TripAdvisor", "Web"),
}
_HEADER = ("deceptive", "hotel", "polarity", "source", "text")
_LENGTH = 300
_NUM_WORDS = 4_000


def _read(name: str, folder: Path) -> Dataset:
    """Reads reviews as the numbers of their first 300 words.

    The vocabulary is the 4,000 most frequent words of the training rows. Labels are
    polarity, properties veracity, source and hotel. A fifth are test rows, with equal
    shares of each polarity and veracity and a fixed seed.
    """
    path = require_file(name, folder, FILE)
    columns = read_table(path, _HEADER)
    numbers = {
        column: number_column(path, column, columns[column], names)
        for column, names in NAMES.items()
    }
    hotel, hotels = number_names(columns["hotel"])
    labels, veracity = numbers["polarity"], numbers["deceptive"]
    properties = {"veracity": veracity, "source": numbers["source"], "hotel": hotel}
    return from_documents(
        Documents(columns["text"], labels, properties),
        *split_rows(2 * labels + veracity, seed=0),
        num_words=_NUM_WORDS,
        length=_LENGTH,
        name=name,
        class_names=NAMES["polarity"],
        property_names={
            "veracity": NAMES["deceptive"],
            "source": NAMES["source"],
            "hotel": hotels,
        },
        task_name="polarity",
        origin=f"original files in {folder}, split with seed 0",
    )


DECEPTIVE_OPINIONS = Source(
    name="deceptive_opinions",
    description="hotel reviews as 300 tokens, 2 polarities, with veracity, source and "
    "hotel; stands in for CSI, without the authors' region and gender",
    read=_read,
    folders=("text", "deceptive_opinions", ""),
    files=(FILE,),
)
