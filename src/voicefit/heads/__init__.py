"""Linear classifiers of pooled vectors, and the prior that a checkpoint learns from its corpora."""
