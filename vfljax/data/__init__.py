"""Data sets as plain arrays, and how they are split between parties."""

from vfljax.data.catalog import DATASETS, load
from vfljax.data.dataset import Dataset, digest
from vfljax.data.draws import (
    ClassTable,
    class_table,
    draw_batch,
    draw_classes,
    draw_known_labels,
    draw_known_rows,
)
from vfljax.data.own import from_arrays
from vfljax.data.rows import select_classes, take_rows
from vfljax.data.source import DataError, Source
from vfljax.data.splits import SPLITS, split_features
from vfljax.data.text import WordPiece, hash_tokens
from vfljax.data.triggers import TRIGGERS, Trigger, add_trigger, trigger_mask

__all__ = [
    "DATASETS",
    "SPLITS",
    "TRIGGERS",
    "ClassTable",
    "DataError",
    "Dataset",
    "Source",
    "Trigger",
    "WordPiece",
    "add_trigger",
    "class_table",
    "digest",
    "draw_batch",
    "draw_classes",
    "draw_known_labels",
    "draw_known_rows",
    "from_arrays",
    "hash_tokens",
    "load",
    "select_classes",
    "split_features",
    "take_rows",
    "trigger_mask",
]
