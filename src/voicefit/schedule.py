"""How the learning rate moves over a training run."""


def warmup_then_decay(step: int, total: int, warmup: int) -> float:
    """Share of the peak learning rate at ``step`` of ``total``: linear warm-up, then linear decay to 0.

    Args:
        step: counted from 0.
        warmup: steps up to the peak; 0 begins at it.
    """
    return (step + 1) / warmup if step < warmup else (total - step) / max(1, total - warmup)
