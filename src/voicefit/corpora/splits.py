"""The names of splits."""

SPLITS = ("train", "validation", "test")
"""A clip's split is one of these, or none."""

SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "devel": "validation",
    "development": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
"""A folder's name or a table's value, in lower case → the split."""
