"""Yelp reviews of doctors, or of the busiest reviewers, as token numbers.

The reviews are those of the Yelp Open Dataset, https://business.yelp.com/data. Two
parts of it are chosen as in Melis et al., "Exploiting Unintended Feature Leakage in
Collaborative Learning", S&P 2019, https://arxiv.org/abs/1805.04049.
"""

import collections
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vfljax.data.dataset import Dataset
from vfljax.data.documents import Documents, from_documents
from vfljax.data.rows import split_rows
from vfljax.data.source import DataError, Source, read_lines, require_file

REVIEWS = "yelp_academic_dataset_review.json"
BUSINESSES = "yelp_academic_dataset_business.json"
SPECIALTIES = (
    *("Cardiologists", "Cosmetic Surgeons", "Dermatologists"),
    *("Obstetricians & Gynecologists", "Ophthalmologists", "Orthopedists"),
    *("Pediatricians", "Psychiatrists", "Radiologists", "Urologists"),
)
NUM_AUTHORS = 10
_LENGTH = 200
_NUM_WORDS = 5_000


def _read_health(name: str, folder: Path) -> Dataset:
    """Reads the reviews of doctors as the numbers of their first 200 words.

    Labels are the stars, the property is the specialty: of ten categories of businesses
    the one that this doctor has. Doctors of several of them are left out. (The paper
    has 17,938 reviews; the dataset has grown since.)
    """
    businesses = require_file(name, folder, BUSINESSES)
    specialty = {}
    for _, (number, categories) in _records(businesses, "business_id", "categories"):
        found = set(SPECIALTIES) & set(_split(categories))
        if len(found) == 1:
            specialty[number] = SPECIALTIES.index(found.pop())
    reviews = require_file(name, folder, REVIEWS)
    return _collect(name, reviews, "business_id", specialty, "specialty", SPECIALTIES)


def _read_author(name: str, folder: Path) -> Dataset:
    """Reads the reviews of the ten who wrote most, as the numbers of 200 words.

    Labels are the stars, the property is the author. (The paper has 16,207 reviews of
    ten; it does not say which.)
    """
    reviews = require_file(name, folder, REVIEWS)
    counts = collections.Counter(user for _, (user,) in _records(reviews, "user_id"))
    authors = sorted(counts, key=lambda user: (-counts[user], user))[:NUM_AUTHORS]
    numbers = {author: number for number, author in enumerate(authors)}
    return _collect(name, reviews, "user_id", numbers, "author", authors)


def _collect(
    name: str,
    path: Path,
    key: str,
    numbers: Mapping[str, int],
    prop: str,
    names: Sequence[str],
) -> Dataset:
    """The reviews whose entry `key` has a number, which is the property."""
    texts, stars, values = [], [], []
    for line, (of, given, text) in _records(path, key, "stars", "text"):
        if of not in numbers:
            continue
        if given not in (1, 2, 3, 4, 5):
            raise DataError(
                f"{path} has the stars {given!r} in line {line}; allowed are 1 to 5"
            )
        texts.append(str(text))
        stars.append(int(given) - 1)
        values.append(numbers[of])
    if not texts:
        raise DataError(f"{path} has no reviews with a known {key}")
    labels = np.array(stars, np.int64)
    return from_documents(
        Documents(texts, labels, {prop: np.array(values, np.int64)}),
        *split_rows(labels, seed=0),
        num_words=_NUM_WORDS,
        length=_LENGTH,
        name=name,
        class_names=[f"{number} stars" for number in range(1, 6)],
        property_names={prop: names},
        task_name="stars",
        origin=f"original files in {path.parent}, split with seed 0",
    )


def _records(path: Path, *keys: str) -> Iterator[tuple[int, list[Any]]]:
    """Some entries of the object in each line, and the number of the line."""
    for number, line in enumerate(read_lines(path), 1):
        try:
            record = json.loads(line)
            yield number, [record[key] for key in keys]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path} is damaged in line {number}: it is no JSON object with the "
                f"entries {', '.join(keys)}"
            ) from error


def _split(categories: Any) -> list[str]:
    """The categories of a business: a text with commas, in older files a list."""
    if isinstance(categories, str):
        categories = categories.split(",")
    return [str(each).strip() for each in categories or ()]


YELP_HEALTH = Source(
    name="yelp_health",
    description="reviews of doctors as 200 tokens, 5 stars, with ten specialties",
    read=_read_health,
    folders=("yelp", "yelp_dataset"),
    files=(BUSINESSES,),
)
YELP_AUTHOR = Source(
    name="yelp_author",
    description="reviews of ten authors as 200 tokens, 5 stars, with the author",
    read=_read_author,
    folders=("yelp", "yelp_dataset"),
    files=(REVIEWS,),
)
