"""Data sets as plain arrays, and how they are split between parties."""

from vfljax.data.bhi import group_patches
from vfljax.data.dataset import Dataset, check_dataset, make_dataset, take_rows
from vfljax.data.formats import DataError
from vfljax.data.sources import DATASETS, DatasetSource, load
from vfljax.data.text import WordPiece, hash_tokens
from vfljax.data.triggers import TRIGGERS, Trigger, add_trigger, trigger_mask
from vfljax.data.vertical import (
    SPLITS,
    ClassTable,
    class_table,
    draw_batch,
    draw_classes,
    draw_known_labels,
    draw_known_rows,
    select_classes,
    split_features,
)

__all__ = [
    "DATASETS",
    "SPLITS",
    "TRIGGERS",
    "ClassTable",
    "DataError",
    "Dataset",
    "DatasetSource",
    "Trigger",
    "WordPiece",
    "add_trigger",
    "check_dataset",
    "class_table",
    "draw_batch",
    "draw_classes",
    "draw_known_labels",
    "draw_known_rows",
    "group_patches",
    "hash_tokens",
    "load",
    "make_dataset",
    "select_classes",
    "split_features",
    "take_rows",
    "trigger_mask",
]
