"""ONNX graphs of encoders, traced once for all processes of a test run."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import onnx


@contextlib.contextmanager
def once(folder: Path) -> Iterator[None]:
    """Keep what `encoder_graph` returns in a folder, under all that the graph follows from.

    Args:
        folder: of this test run alone, so that a change of the code is traced anew.
    """
    from voicefit.export import encoder as export_encoder
    from voicefit.system.files import new_file

    trace = export_encoder.encoder_graph

    def kept(encoder: Any) -> Any:
        path = folder / f"{encoder.digest()}-{encoder.max_seconds:g}-{encoder.depth}.onnx"
        if not path.is_file():
            with new_file(path) as file:
                file.write(trace(encoder).SerializeToString())
        return onnx.load(path)

    with patch.object(export_encoder, "encoder_graph", kept):
        yield
