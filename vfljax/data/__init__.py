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
    rows_of_classes,
)
from vfljax.data.horizontal import (
    Partition,
    draw_labels,
    draw_own_rows,
    draw_rows_of,
    partition_by_dirichlet,
    partition_by_rows,
    partition_evenly,
)
from vfljax.data.own import from_arrays
from vfljax.data.property_rows import (
    PropertyRows,
    draw_batches_with,
    partition_with_property,
)
from vfljax.data.rows import keep_rows, select_classes, take_rows
from vfljax.data.source import DataError, Source
from vfljax.data.splits import SPLITS, split_features
from vfljax.data.tasks import with_task
from vfljax.data.text import WordPiece, hash_tokens
from vfljax.data.triggers import TRIGGERS, Trigger, add_trigger, trigger_mask
from vfljax.data.words import top_words

__all__ = [
    "DATASETS",
    "SPLITS",
    "TRIGGERS",
    "ClassTable",
    "DataError",
    "Dataset",
    "Partition",
    "PropertyRows",
    "Source",
    "Trigger",
    "WordPiece",
    "add_trigger",
    "class_table",
    "digest",
    "draw_batch",
    "draw_batches_with",
    "draw_classes",
    "draw_known_labels",
    "draw_known_rows",
    "draw_labels",
    "draw_own_rows",
    "draw_rows_of",
    "from_arrays",
    "hash_tokens",
    "keep_rows",
    "load",
    "partition_by_dirichlet",
    "partition_by_rows",
    "partition_evenly",
    "partition_with_property",
    "rows_of_classes",
    "select_classes",
    "split_features",
    "take_rows",
    "top_words",
    "trigger_mask",
    "with_task",
]
