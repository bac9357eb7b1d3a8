"""Adapted models whose encoder is that of their start: written from the start's own files, without PyTorch.

A model is a whole `transformers` directory, or small: its head alone, beside the name and digest of its encoder.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from voicefit.checkpoints.cards import adapted_card
from voicefit.checkpoints.record import (
    ADAPTER,
    CONFIG,
    FEATURE_EXTRACTOR,
    HEAD,
    PRIOR,
    RECORD,
    WEIGHTS,
    let_read,
    read_record,
)
from voicefit.checkpoints.support import SHOTS, Support, read_support
from voicefit.encoders.onnx_encoder import GRAPH
from voicefit.errors import VoicefitError
from voicefit.heads.head import HEAD_ARRAYS, Head
from voicefit.system.files import new_directory, write_json
from voicefit.system.hub import MINI, Located, locate

if TYPE_CHECKING:
    from voicefit.checkpoints.start import Start

_FILES = {ADAPTER, CONFIG, FEATURE_EXTRACTOR, GRAPH, HEAD, PRIOR, "README.md", RECORD, SHOTS, WEIGHTS}
"""What the directory of an adapted model may hold."""


def can_copy(start: "Start") -> bool:
    """Report whether a whole model can be written from a start's files: it is a classifier, and has a graph."""
    weights = start.located.file(WEIGHTS)
    if start.graph is None or weights is None:
        return False
    with safe_open(weights, framework="numpy") as file:
        return {"projector.weight", "classifier.weight"} <= set(file.keys())


def save_whole(
    start: "Start",
    head: Head,
    labels: Sequence[str],
    out: Path,
    record: Mapping[str, Any],
    support: Support | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write a `transformers` directory, with the start's encoder, its graph and its prior.

    Args:
        start: one that :func:`can_copy` accepts.
        head: the classifier.
        labels: in the order of the head's logits.
        out: the directory to write.
        record: what the model was made of.
        support: what it was adapted on.
        overwrite: take the place of what is at ``out``.
    """
    source = start.located.folder
    assert source is not None
    with new_directory(out, overwrite=overwrite) as folder:
        config = json.loads((source / CONFIG).read_text(encoding="utf-8"))
        config |= {
            "classifier_proj_size": len(head.projector_bias),
            "id2label": {str(index): label for index, label in enumerate(labels)},
            "label2id": {label: index for index, label in enumerate(labels)},
        }
        write_json(folder / CONFIG, config)
        weights = {name: _float32(values) for name, values in load_file(source / WEIGHTS).items()}
        save_file(weights | head_tensors(head), folder / WEIGHTS, metadata={"format": "pt"})
        let_read(folder / WEIGHTS)
        for name in (FEATURE_EXTRACTOR, GRAPH, PRIOR):
            if (source / name).is_file():
                shutil.copyfile(source / name, folder / name)
        _save_record(folder, record, head)
        save_support(support, folder, encoder_digest(start))


def is_adapted(path: Path) -> bool:
    """Report whether a directory is that of an adapted model."""
    return path.is_dir() and read_record(path).get("kind") == "adapted"


def require_replaceable(path: Path) -> None:
    """Refuse to overwrite what is no adapted model, or holds more than one.

    Raises:
        VoicefitError: ``path`` exists, and is neither an empty folder nor one that holds just an adapted model.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not is_adapted(path):
        raise VoicefitError(f"{path}: is no model that `voicefit adapt` wrote, and only such a one is overwritten")
    more = sorted({entry.name for entry in path.iterdir()} - _FILES)
    if more:
        raise VoicefitError(f"{path}: also holds {more[0]}, which would be lost; move it, or choose another output")


def encoder_digest(start: "Start") -> str:
    """Return the digest that tells a start's encoder from others.

    Raises:
        VoicefitError: the start has no graph.
    """
    if start.graph is None:
        raise VoicefitError(
            f"{start.source}: has no {GRAPH}; run `voicefit export {start.source} --format encoder` first"
        )
    return start.graph.digest


def start_digest(start: "Start") -> str:
    """Return the digest of a start's encoder, from its graph or, where it has none, from PyTorch."""
    return start.graph.digest if start.graph else start.encoder.digest()


def save_small(
    start: "Start",
    head: Head,
    labels: Sequence[str],
    out: Path,
    record: Mapping[str, Any],
    support: Support | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write the head alone, and which encoder it belongs to; the arguments are those of :func:`save_whole`.

    Raises:
        VoicefitError: the start has no graph, whose digest names the encoder.
    """
    digest = encoder_digest(start)
    path = Path(start.source)
    source = str(path.resolve()) if path.exists() else start.source
    encoder = {"source": source, "digest": digest}
    with new_directory(out, overwrite=overwrite) as folder:
        save_file(head_tensors(head), folder / HEAD, metadata={"format": "pt"})
        _save_record(folder, {**record, "labels": list(labels), "encoder": encoder}, head)
        let_read(folder / HEAD, RECORD)
        save_support(support, folder, digest)


def save_support(support: Support | None, folder: Path, encoder: str) -> None:
    """Write what a model was adapted on into its folder, if it is known; ``encoder`` is the encoder's digest."""
    if support is not None:
        support.save(folder / SHOTS, encoder)
        let_read(folder / SHOTS, RECORD)


def make_whole(model: str | Path, out: Path) -> None:
    """Write a small model as a `transformers` directory.

    Raises:
        VoicefitError: ``model`` is not a small one, or its encoder is not there.
    """
    located = locate(model)
    record = read_record(located)
    path = located.file(HEAD)
    if path is None:
        raise VoicefitError(f"{model}: is not a model without its encoder, as `voicefit adapt --small` writes it")
    start = start_of(located, record)
    if not can_copy(start):
        raise VoicefitError(f"{start.source}: is a plain encoder; adapt without --small for a whole model")
    plain = {key: value for key, value in record.items() if key not in ("labels", "encoder")}
    found = read_support(located)
    save_whole(start, read_head(path), record["labels"], out, plain, found[0] if found else None)


def start_of(located: Located, record: Mapping[str, Any]) -> "Start":
    """Open the start whose encoder a small model belongs to.

    Raises:
        VoicefitError: it is not there, has no graph, or its encoder is another.
    """
    from voicefit.checkpoints.start import open_start  # pydantic, which a whole model's prediction need not wait for

    try:
        source, digest = str(record["encoder"]["source"]), str(record["encoder"]["digest"])
    except (KeyError, TypeError) as error:
        raise VoicefitError(f"{Path(located.name) / RECORD}: does not name the model's encoder") from error
    if source != MINI and Path(source).is_absolute() and not Path(source).is_dir():
        raise VoicefitError(f"{located.name}: its encoder {source} is not there; put it there again, or adapt anew")
    start = open_start(source)
    found = start.graph.digest if start.graph else "none"
    if found != digest:
        raise VoicefitError(
            f"{located.name}: was made with encoder {digest} of {source}, where {found} is now; adapt anew"
        )
    return start


def head_tensors(head: Head) -> dict[str, np.ndarray]:
    """Return a head's arrays by the names of a `transformers` classifier, as ``projector.weight``."""
    return {name.replace("_", "."): getattr(head, name) for name in HEAD_ARRAYS}


def read_head(path: Path) -> Head:
    """Read the head of a safetensors file, whatever else is in it.

    Raises:
        VoicefitError: the file is damaged, or has no head.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return Head(*(file.get_tensor(name.replace("_", ".")) for name in HEAD_ARRAYS))
    except Exception as error:  # some versions of safetensors do not export the class that they raise
        raise VoicefitError(f"{path}: is damaged, or not a classifier ({error})") from error


def _float32(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32) if values.dtype == np.float16 else values


def _save_record(folder: Path, record: Mapping[str, Any], head: Head) -> None:
    from importlib.metadata import version  # a tenth of a second, which a prediction need not wait for

    write_json(folder / RECORD, {**record, "kind": "adapted", "voicefit": version("voicefit")})
    (folder / "README.md").write_text(adapted_card(record, head), encoding="utf-8")
