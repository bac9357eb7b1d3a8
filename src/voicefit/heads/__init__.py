"""Linear classifiers of pooled vectors, and what a checkpoint's corpora know of labels."""
