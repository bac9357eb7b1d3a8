"""Checkpoints and adapted models on disk and on the hub: directories that `transformers` loads unchanged."""
