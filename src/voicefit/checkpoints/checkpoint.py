"""Directories that `transformers` loads unchanged, written from an encoder in PyTorch."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file
from torch import nn

from voicefit.checkpoints.adapted import head_tensors, save_support
from voicefit.checkpoints.cards import adapted_card, prefinetuned_card
from voicefit.checkpoints.record import ADAPTER, PRIOR, RECORD, WEIGHTS, let_read
from voicefit.checkpoints.support import Support
from voicefit.encoders import Encoder
from voicefit.encoders.load import quiet_transformers
from voicefit.heads.corpus_heads import CorpusHeads
from voicefit.heads.head import Adapter, Head
from voicefit.heads.prior import Prior
from voicefit.system.files import new_directory, write_json
from voicefit.system.hub import shown_name
from voicefit.training import plot_history

_HALVED = 2.0**-10, 2.0**15
"""Half precision holds numbers from 2 ** -14 to 2 ** 16 with 11 bits, smaller ones with fewer, and larger ones not."""


def save_prefinetuned(
    encoder: Encoder, heads: CorpusHeads, prior: Prior, out: Path, record: Mapping[str, Any], history: pd.DataFrame
) -> None:
    """Write encoder, heads and prior to ``out``, the heads stacked in one classifier, labels ``corpus/label``."""
    weight, bias, labels = heads.stacked()
    head = Head(*encoder.projection, weight.cpu().numpy(), bias.cpu().numpy())
    with new_directory(out) as folder:
        _save_model(encoder, head, labels, folder)
        write_json(folder / RECORD, {**record, "voicefit": version("voicefit")})
        prior.save(folder / PRIOR)
        let_read(folder / PRIOR)
        history.to_csv(folder / "history.csv", index=False)
        _plot_history(history, folder / "curves.png")
        (folder / "README.md").write_text(prefinetuned_card(record), encoding="utf-8")


def save_adapted(
    encoder: Encoder,
    head: Head,
    labels: Sequence[str],
    out: Path,
    record: Mapping[str, Any],
    prior: Prior | None = None,
    support: Support | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write an adapted model to ``out``.

    Where the head carries an adapter along, it is written to the folder ``adapter`` in ``out`` as well.

    Args:
        encoder: as it was adapted.
        head: the classifier.
        labels: in the order of the head's logits.
        out: the directory to write.
        record: what the model was made of.
        prior: what the corpora know of labels, where the encoder is still theirs; clips can then be labelled together.
        support: what it was adapted on, where the encoder is still that of the start.
        overwrite: take the place of what is at ``out``.
    """
    with new_directory(out, overwrite=overwrite) as folder:
        _save_model(encoder, head, labels, folder)
        if prior is not None:
            prior.save(folder / PRIOR)
            let_read(folder / PRIOR)
        if head.adapter:
            _save_adapter(head, head.adapter, shown_name(record["source"]), folder / ADAPTER)
        write_json(folder / RECORD, {**record, "kind": "adapted", "voicefit": version("voicefit")})
        (folder / "README.md").write_text(adapted_card(record, head), encoding="utf-8")
        if support is not None:
            save_support(support, folder, encoder.digest())


def set_head(encoder: Encoder, head: Head, labels: Sequence[str]) -> None:
    """Make ``head`` the encoder's own projector and classifier; ``labels`` in the order of its logits."""
    model, config = encoder.model, encoder.model.config
    model.projector = _linear(head.projector_weight, head.projector_bias).to(encoder.device)
    model.classifier = _linear(head.classifier_weight, head.classifier_bias).to(encoder.device)
    config.classifier_proj_size = head.projector_weight.shape[0]
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}


def _save_model(encoder: Encoder, head: Head, labels: Sequence[str], folder: Path) -> None:
    model, config = encoder.model, encoder.model.config
    before = (model.projector, model.classifier, config.to_dict())
    try:
        set_head(encoder, head, labels)
        with quiet_transformers():
            model.save_pretrained(folder)
        let_read(folder / WEIGHTS)
        encoder.feature_extractor.save_pretrained(folder)
    finally:
        model.projector, model.classifier = before[:2]
        config.classifier_proj_size = before[2]["classifier_proj_size"]
        config.id2label = {int(index): label for index, label in before[2]["id2label"].items()}
        config.label2id = before[2]["label2id"]


def _save_adapter(head: Head, adapter: Adapter, start: str, folder: Path) -> None:
    """Write what turns the start into the adapted model as `peft` would, the head among the modules saved whole."""
    of_head = {f"base_model.model.{name}": values for name, values in head_tensors(head).items()}
    folder.mkdir()
    more = {"modules_to_save": ["projector", "classifier"], "base_model_name_or_path": start, "inference_mode": True}
    write_json(folder / "adapter_config.json", {**adapter.config, **more})
    save_arrays({**adapter.weights, **of_head}, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    let_read(folder / "adapter_model.safetensors", "adapter_config.json")


def halve_weights(folder: Path) -> None:
    """Store a model's weights in half precision; its config still asks for float32, which they are loaded as.

    Tensors of weights so small or so large that half precision holds them badly stay as they are.
    """
    path = folder / WEIGHTS
    weights = load_file(path)
    halved = {name: w.half() if _HALVED[0] < w.abs().max() < _HALVED[1] else w for name, w in weights.items()}
    path.unlink()
    save_file(halved, path, metadata={"format": "pt"})
    let_read(path)


def _linear(weight: np.ndarray, bias: np.ndarray) -> nn.Linear:
    layer = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(bias))
    return layer


def _plot_history(history: pd.DataFrame, path: Path) -> None:
    prefixes = {"training loss": ("train_loss",), "validation macro F1": ("validation_macro_f1", "validation_mean")}
    panels = {
        title: {column: column.partition("/")[2] or "mean" for column in map(str, history) if column.startswith(prefix)}
        for title, prefix in prefixes.items()
    }
    plot_history(history, panels, path)
