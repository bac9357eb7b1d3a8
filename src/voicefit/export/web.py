"""An adapted model as a folder of static files: a page that runs it in the browser, without a server program."""

import json
import shutil
from pathlib import Path
from typing import Any

from voicefit.checkpoints.record import read_record
from voicefit.errors import VoicefitError
from voicefit.export.onnx import Export, export
from voicefit.system.files import new_directory, write_json

RUNTIME_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
"""The page needs these files of the npm package onnxruntime-web."""

_PAGE = Path(__file__).with_name("web_page")
"""The folder of the page's own files."""


def export_web(
    model: str | Path, out: str | Path, runtime: str | Path, *, int8: bool = False, clips: list[Path] | None = None
) -> Export:
    """Write a page, the model as ONNX and its runtime, for any file server, such as `python -m http.server`.

    Args:
        model: the directory or hub id of an adapted model, or of a pre-finetuned checkpoint.
        out: the folder to write.
        runtime: the folder of the npm package onnxruntime-web.
        int8: see :func:`voicefit.export.onnx.export`.
        clips: see :func:`voicefit.export.onnx.export`.

    Raises:
        VoicefitError: ``out`` exists, ``runtime`` is not that package, or the model cannot be exported.
    """
    dist = Path(runtime) / "dist"
    missing = [name for name in RUNTIME_FILES if not (dist / name).is_file()]
    if missing:
        raise VoicefitError(
            f"{dist}: has no {missing[0]}; run `npm install onnxruntime-web`, and name its folder by --onnxruntime-web"
        )
    with new_directory(Path(out)) as folder:
        exported = export(model, folder / "model.onnx", int8=int8, clips=clips)
        for name in RUNTIME_FILES:
            shutil.copy(dist / name, folder / name)
        for path in _PAGE.iterdir():
            shutil.copy(path, folder / path.name)
        write_json(folder / "model.json", _facts(model, exported))
    return exported


def _facts(model: str | Path, exported: Export) -> dict[str, Any]:
    """Return the facts about the model that the page shows."""
    record, metadata = read_record(model), exported.metadata
    labels = json.loads(metadata["labels"])
    if record.get("shots"):
        clips = sum(record["shots"].values())
        words = f"A model of one voice, made from {clips} clips of it; it knows {len(labels)} labels."
    else:
        words = f"A model that is not adapted to your voice yet; it knows {len(labels)} labels."
    terms = [f"{corpus['title']}: {corpus['licence']} ({corpus['usage']})" for corpus in record.get("corpora", [])]
    return {
        "about": words,
        "labels": labels,
        "sample_rate": int(metadata["sample_rate"]),
        "min_samples": int(metadata["min_samples"]),
        "max_seconds": float(metadata["max_seconds"]),
        "terms": terms or ["No corpus: the encoder was not pre-finetuned by Voicefit."],
    }
