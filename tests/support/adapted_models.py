"""Adapted models whose probabilities are worth comparing."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from support.tiny_models import BUILDERS, build_real_graph, make_waveform
from voicefit.checkpoints.checkpoint import save_adapted
from voicefit.encoders import Reading, load_encoder
from voicefit.heads.head import Head

LABELS = ["anger", "joy", "ärger"]


def build_adapted(folder: Path, family: str, *, real_graph: bool = False, **more: Any) -> Path:
    """An adapted model whose probabilities differ from clip to clip and are not near 0 or 1."""
    build = partial(build_real_graph, name=family) if real_graph else BUILDERS[family]
    encoder = load_encoder(build(folder / "encoder"), Reading(depth=2, **more))
    size = encoder.hidden_size
    pooled = np.stack([encoder.embed(make_waveform(seconds, 1)) for seconds in (0.3, 1.0, 2.0)])
    weight = torch.randn((3, size), generator=torch.Generator().manual_seed(0)).numpy()
    weight /= np.linalg.norm(pooled.std(axis=0, ddof=1))
    head = Head(np.eye(size), np.zeros(size), weight, -(weight @ pooled.mean(axis=0)))
    record = {"source": "x", "method": "head", "shots": {}, "front_end": encoder.front_end.model_dump()}
    save_adapted(encoder, head, LABELS, folder / "model", record)
    return folder / "model"
