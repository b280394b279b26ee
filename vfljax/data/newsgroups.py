"""20 Newsgroups as token numbers: five coarse groups, with the group as a property.

Lang's messages, in the by-date version of http://qwone.com/~jason/20Newsgroups/. Here
they stand for the Yelp reviews of Melis et al., "Exploiting Unintended Feature Leakage
in Collaborative Learning", S&P 2019, https://arxiv.org/abs/1805.04049: a newsgroup for
a doctor's specialty or for an author.
"""

from pathlib import Path

import numpy as np

from vfljax.data.columns import number_names, read_fields
from vfljax.data.dataset import Dataset
from vfljax.data.documents import Documents, from_documents
from vfljax.data.source import DataError, Source, require_file

FILE = "20news_bydate.tsv"
COARSE_GROUPS = ("comp", "misc", "rec", "sci", "talk")
_HEADER = ["split", "label", "id", "subject", "body"]
_DISCUSSIONS = {"alt": "talk", "soc": "talk"}
_LENGTH = 200
_NUM_WORDS = 5_000


def _read(name: str, folder: Path) -> Dataset:
    """Reads messages as the numbers of their first 200 words.

    Words are those of subject and body; the vocabulary is the 5,000 most frequent of
    the training rows. Labels are the first part of the newsgroup's name, where
    alt.atheism and soc.religion.christian count as talk. Rows are split as in the file.
    """
    path = require_file(name, folder, FILE)
    lines = read_fields(path, len(_HEADER))
    if next(lines, None) != _HEADER:
        raise DataError(f"{path} does not begin with the line {' '.join(_HEADER)}")
    parts, groups, texts = [], [], []
    for number, (part, group, _, *content) in enumerate(lines, 2):
        if part not in ("train", "test"):
            raise DataError(
                f"{path} has the split {part!r} in line {number}; allowed are train "
                "and test"
            )
        if _coarse(group) not in COARSE_GROUPS:
            raise DataError(
                f"{path} has the newsgroup {group!r} in line {number}; allowed are "
                f"those of {', '.join([*COARSE_GROUPS, *_DISCUSSIONS])}"
            )
        parts.append(part)
        groups.append(group)
        texts.append(" ".join(content))
    newsgroup, names = number_names(groups)
    labels = np.array([COARSE_GROUPS.index(_coarse(each)) for each in groups])
    is_train = np.array(parts) == "train"
    return from_documents(
        Documents(texts, labels, {"newsgroup": newsgroup}),
        np.flatnonzero(is_train),
        np.flatnonzero(~is_train),
        num_words=_NUM_WORDS,
        length=_LENGTH,
        name=name,
        class_names=COARSE_GROUPS,
        property_names={"newsgroup": names},
        task_name="coarse_group",
        origin=f"original files in {folder}",
    )


def _coarse(group: str) -> str:
    """The first part of a newsgroup's name, or talk."""
    first = group.partition(".")[0]
    return _DISCUSSIONS.get(first, first)


NEWSGROUPS_GROUPS = Source(
    name="newsgroups_groups",
    description="messages as 200 tokens, 5 coarse groups, with 20 newsgroups; stands "
    "in for Yelp, without reviews, stars and authors",
    read=_read,
    folders=("text", "20newsgroups", ""),
    files=(FILE,),
)
