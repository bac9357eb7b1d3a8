"""Stage 1: one encoder is fine-tuned on several corpora at once, a head per corpus."""
