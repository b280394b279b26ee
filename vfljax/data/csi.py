"""The CLiPS Stylometry Investigation corpus: Dutch reviews of known authors.

Verhoeven and Daelemans, "CLiPS Stylometry Investigation (CSI) Corpus", LREC 2014,
https://aclanthology.org/L14-1001, made it. Prepared as in Melis et al., "Exploiting
Unintended Feature Leakage in Collaborative Learning", S&P 2019,
https://arxiv.org/abs/1805.04049.
"""

from pathlib import Path

from vfljax.data.columns import number_column, number_names, read_table
from vfljax.data.dataset import Dataset
from vfljax.data.documents import Documents, from_documents
from vfljax.data.rows import split_rows
from vfljax.data.source import DataError, Source, read_content, require_file

FILE = "csi.csv"
COLUMNS = ("file", "sentiment", "veracity", "gender", "region")
NAMES = {
    "sentiment": ("negative", "positive"),
    "veracity": ("deceptive", "truthful"),
    "gender": ("female", "male"),
}
_LENGTH = 300
_NUM_WORDS = 4_000


def _read(name: str, folder: Path) -> Dataset:
    """Reads reviews as the numbers of their first 300 words, split 80 to 20.

    The vocabulary is the 4,000 most frequent words of the training rows. Labels are
    the sentiment, properties veracity, and the author's gender and region. The split
    has equal shares of each sentiment and a fixed seed.

    The folder has the texts, in UTF-8, and a table `csi.csv`, which has one line for
    each review and begins with `file,sentiment,veracity,gender,region`. The corpus's
    own tables, of texts and of authors, are to be joined to it: their layout could not
    be looked at.
    """
    path = require_file(name, folder, FILE)
    columns = read_table(path, COLUMNS)
    texts = []
    for row, file in enumerate(columns["file"], 1):
        place = folder / file
        if not place.is_file():
            raise DataError(f"{path} has the file {file!r} in row {row}, which is none")
        try:
            texts.append(read_content(place).decode())
        except UnicodeDecodeError as error:
            raise DataError(f"{place} is not UTF-8: {error}") from error
    numbers = {
        column: number_column(path, column, columns[column], names)
        for column, names in NAMES.items()
    }
    labels = numbers.pop("sentiment")
    region, regions = number_names(columns["region"])
    return from_documents(
        Documents(texts, labels, {**numbers, "region": region}),
        *split_rows(labels, seed=0),
        num_words=_NUM_WORDS,
        length=_LENGTH,
        name=name,
        class_names=NAMES["sentiment"],
        property_names={**{each: NAMES[each] for each in numbers}, "region": regions},
        task_name="sentiment",
        origin=f"original texts in {folder}, split with seed 0",
    )


CSI = Source(
    name="csi",
    description="reviews in Dutch as 300 tokens, 2 sentiments, with veracity and the "
    "author's gender and region",
    read=_read,
    folders=("csi", "CSI"),
    files=(FILE,),
)
