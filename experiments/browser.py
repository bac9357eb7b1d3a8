"""Does onnxruntime-web say in Node and in Chromium what onnxruntime says in Python, for every family of encoders?

Small models of all families, with the graphs of real encoders and random weights, with weighted layers and without,
and `mini`. Each hears clips of 25 ms to 6 s. It needs `voicefit[train]`, npm (which fetches onnxruntime-web), Node, a
`chromium` on the path, and a checkout: models, the page and the script for Node are those of the tests.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from benchmarks.common import parse_options, publish
from voicefit.errors import VoicefitError
from voicefit.export.onnx import export
from voicefit.prediction.model import load_model
from voicefit.system.hub import MINI

TESTS = Path(__file__).resolve().parents[1] / "tests"
VERSIONS = ("1.20.0", "1.30.0")
SAMPLES = (400, 721, 16_000, 80_000, 96_000)
NEEDED = ("npm", "node", "chromium")

Answers = dict[str, dict[str, list[float]]]
"""Name of a graph → samples of a clip → probabilities."""


def sources(folder: Path, quick: bool) -> Iterator[tuple[str, str | Path]]:
    """Name of each graph, and the model that it is made from."""
    from support.adapted_models import build_adapted
    from support.tiny_models import REAL_GRAPHS

    yield MINI, MINI
    for name in [] if quick else REAL_GRAPHS:
        for weighted in (False, True):
            if weighted and name == "hubert-batch-norm":
                continue  # its weighted layers are those of `hubert`
            title = f"{name}, weighted" if weighted else name
            yield title, build_adapted(folder / title, name, real_graph=True, weighted_layers=weighted)


def prepare(graphs: Path, quick: bool) -> tuple[Answers, Answers]:
    """Write graphs, waveforms and answers as the tests' pages read them; return what PyTorch and onnxruntime say."""
    from support.tiny_models import make_waveform

    waveforms = {count: 0.3 * make_waveform(count / 16_000, 1) + 0.05 for count in SAMPLES}
    for count, waveform in waveforms.items():
        waveform.astype("<f4").tofile(graphs / f"{count}.f32")
    of_torch, of_python = Answers(), Answers()
    for name, source in sources(graphs.parent / "made", quick):
        path = graphs / f"{name}.onnx"
        least = int(export(source, path).metadata["min_samples"])
        model = load_model(source, graph=False)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        of_torch[name], of_python[name] = {}, {}
        for count, waveform in waveforms.items():
            if count >= least:
                said = model.predict(waveform).probabilities
                of_torch[name][str(count)] = [said[label] for label in model.labels]
                heard = {"waveform": waveform.astype(np.float32)}
                of_python[name][str(count)] = session.run(None, heard)[0].tolist()
    (graphs / "answers.json").write_text(json.dumps(of_python))
    return of_torch, of_python


def furthest(found: dict[str, list[float]], expected: dict[str, list[float]]) -> str:
    """The largest difference of a probability, over all clips of one graph."""
    assert found.keys() == expected.keys()
    return f"{max(np.abs(np.subtract(found[count], expected[count])).max() for count in found):.1e}"


def main() -> None:
    """A row per graph, with a column per version and place."""
    options = parse_options(__doc__)
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        raise VoicefitError(f"{', '.join(missing)}: not on the path; this needs {', '.join(NEEDED)}")
    sys.path.insert(0, str(TESTS))
    from support.web_runtime import in_chromium, in_node, install

    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        (work / "graphs").mkdir()
        of_torch, of_python = prepare(work / "graphs", options.quick)
        rows: dict[str, dict[str, Any]] = {
            name: {"graph": name, "clips": len(of_python[name]), "Python to PyTorch": furthest(of_python[name], said)}
            for name, said in of_torch.items()
        }
        for release in VERSIONS:
            runtime = work / release
            if not install(runtime, release):
                raise VoicefitError(f"onnxruntime-web {release}: npm cannot install it")
            places = {
                "Node": in_node(runtime, work / "graphs"),
                "Chromium": in_chromium(runtime, work / "graphs", work / f"{release}-page"),
            }
            for place, printed in places.items():
                found: Answers = json.loads(printed)
                for name, row in rows.items():
                    row[f"{place}, {release}"] = furthest(found[name], of_python[name])
    said = [subprocess.run([name, "--version"], capture_output=True, text=True).stdout.strip() for name in NEEDED[1:]]
    notes = [f"onnxruntime {version('onnxruntime')} in Python; Node {said[0]}; {said[1]}; one thread of WebAssembly."]
    publish(list(rows.values()), options, notes)


if __name__ == "__main__":
    main()
