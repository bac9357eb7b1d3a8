"""Is there a better model of 3 to 6 million parameters for the box than the former `mini`, at no more time a clip?

Several emotions at once. The former `mini`, in the box until 72f3758, and Whisper tiny.en are read with priors of the
same corpora; so are other readings of `mini`, and Whisper tiny.en itself, cut to one or two layers and to shorter
windows. Only EmoDB and EMOVO may teach a model that is handed on; RAVDESS and TESS teach for comparison.
With ``--only box``: `mini` with the heads of the package, beside the reference. With ``--only operations`` and
``--only time``: what a clip of 3 s takes.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import alternate, parse_options, publish, seconds_of, waveforms
from experiments.few_clips import METHODS, cells, kept_rows, speakers, trials
from experiments.layer_vectors import KEPT, described, labelled, layer_vectors, through
from experiments.real_data import WHISPER_TINY, folder
from voicefit.audio import load_waveform
from voicefit.checkpoints.start import open_start
from voicefit.corpora import Clip
from voicefit.encoders import Encoder, FrontEnd, Reading, load_encoder
from voicefit.encoders.onnx_encoder import OnnxEncoder
from voicefit.export.encoder import encoder_graph
from voicefit.report.statistics import tested_means
from voicefit.report.text import interval, p_value, signed
from voicefit.selection.ranking import PooledCorpus, learn_together
from voicefit.system.hub import MINI

FREE, ALL = ("emodb", "emovo"), ("ravdess", "tess", "emodb", "emovo")
"""Corpora whose recordings a model that is handed on may learn from, and all that teach elsewhere."""

WINDOWS = (4.0, 3.0)
"""Seconds that Whisper hears; it pads every clip to as many."""

ROWS = Path("runs", "mini")

SHOTS, DRAWS = (0, 1, 2, 8), 10
REFERENCE = "Whisper tiny.en, layer 2, 5 s"
AS_IT_COMES = "mini, as it comes"
OWN_HEADS = "mini, heads of the package"
SECONDS, CALLS, ROUNDS = 3.0, 10, 15


def mini_parts(clip: Clip, full: Encoder, reader: Encoder) -> Tensor:
    """Means of a clip's frames before and after the layer, and deviations after it, ``(3, hidden_size)``."""
    stem = full.front(load_waveform(clip.path, clip.start, clip.end))
    before, after = full.lower_layers(0, stem), full.lower_layers(1, stem)
    after = reader.hidden([after])[0][0].detach()
    return torch.stack([before.mean(0), after.mean(0), after.std(0)])


def mini_readings(names: Sequence[str]) -> dict[str, list[PooledCorpus]]:
    """`mini` read in several ways. A `transformers` classifier holds the first three."""
    full, reader = load_encoder(MINI, Reading(depth=1)), load_encoder(MINI, Reading(depth=1, frozen_layers=1))
    found: dict[str, list[PooledCorpus]] = {}
    for corpus in map(labelled, names):
        parts = described(corpus, KEPT / "mini" / corpus.name / "parts", partial(mini_parts, full=full, reader=reader))
        before, after, deviations = parts
        vectors = {
            AS_IT_COMES: after,
            "mini, before its layer": before,
            "mini, mean of both": (before + after) / 2,
            "mini, both side by side": np.hstack([before, after]),
            "mini, means and deviations": np.hstack([after, deviations]),
        }
        for name, points in vectors.items():
            found.setdefault(name, []).append(PooledCorpus(corpus, torch.from_numpy(points)))
    return found


def whisper(seconds: float, depth: int, frozen_layers: int) -> Encoder:
    """Whisper tiny.en that hears so many seconds, cut after so many layers."""
    source = folder("VOICEFIT_MODELS") / WHISPER_TINY
    front_end = FrontEnd(max_seconds=seconds)
    return load_encoder(source, Reading(depth=depth, frozen_layers=frozen_layers, front_end=front_end))


def whisper_readings(names: Sequence[str]) -> dict[str, list[PooledCorpus]]:
    """Whisper tiny.en after one and two layers, in windows of several lengths."""
    found: dict[str, list[PooledCorpus]] = {}
    for depth, pooled in layer_vectors(WHISPER_TINY, names, (1, 2)).items():
        found[f"Whisper tiny.en, layer {depth}, 5 s"] = pooled
    for seconds in WINDOWS:
        full, readers = whisper(seconds, 2, 0), [whisper(seconds, depth, depth) for depth in (1, 2)]

        def vectors(clip: Clip, full: Encoder = full, readers: Sequence[Encoder] = readers) -> Tensor:
            return through(full, readers, full.front(load_waveform(clip.path, clip.start, clip.end)), 0)

        for corpus in map(labelled, (name for name in names if name != "tess")):
            parts = described(corpus, KEPT / f"{WHISPER_TINY}-{seconds:g}s" / corpus.name / "parts", vectors)
            for depth, points in zip((1, 2), parts, strict=True):
                name = f"Whisper tiny.en, layer {depth}, {seconds:g} s"
                found.setdefault(name, []).append(PooledCorpus(corpus, torch.from_numpy(points)))
    return found


def box_rows(draws: int) -> Iterator[dict[str, Any]]:
    """A row per trial of `mini` with the prior and projector that come with it."""
    start = open_start(MINI)
    assert start.prior is not None

    def vector(clip: Clip) -> Tensor:
        return start.encoder.pool([start.encoder.front(load_waveform(clip.path, clip.start, clip.end))])

    for corpus in map(labelled, ("nemo", "ravdess")):
        (points,) = described(corpus, KEPT / "box" / corpus.name / "parts", vector)
        voices = speakers(PooledCorpus(corpus, torch.from_numpy(points)))
        for row in trials(voices, start.prior, SHOTS, METHODS, draws):
            yield {"target": corpus.name, "teachers": "+".join(FREE), **row}


def box(draws: int) -> pd.DataFrame:
    """Trials of `mini` as it is shipped, and of the reference with heads from the same corpora."""
    pooled = layer_vectors(WHISPER_TINY, (*FREE, "nemo", "ravdess"), (2,))[2]
    own = kept_rows(ROWS / f"box-{draws}.csv", lambda: box_rows(draws)).assign(reading=OWN_HEADS)
    reference = kept_rows(ROWS / f"box-reference-{draws}.csv", lambda: reading_rows(pooled, draws)).assign(
        reading=REFERENCE
    )
    return pd.concat([own, reference[reference["target"].isin(["nemo", "ravdess"])]], ignore_index=True)


def reading_rows(pooled: Sequence[PooledCorpus], draws: int) -> Iterator[dict[str, Any]]:
    """A row per trial: EmoDB and EMOVO teach every target but themselves; all four teach where all are there."""
    parts = {part.corpus.name: part for part in pooled}
    for group in (FREE, ALL):
        if not set(group) <= set(parts):
            continue
        for target in parts:
            teachers = [name for name in group if name != target]
            if target == "tess" or (group == ALL and target != "nemo"):
                continue
            known = learn_together([parts[name] for name in teachers])
            for row in trials(speakers(parts[target]), known, SHOTS, METHODS, draws):
                yield {"target": target, "teachers": "+".join(teachers), **row}


def table(found: pd.DataFrame) -> list[dict[str, Any]]:
    """A row per target, teachers, method and reading; a column per number of clips, and what is lacking at one."""
    keys = ["target", "teachers", "method", "reading"]
    texts, lacking = cells(found, [*keys, "shots"]), against(found)
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for group in found[[*keys, "shots"]].drop_duplicates().itertuples(index=False):
        row = rows.setdefault(tuple(group[:-1]), dict(zip(keys, group[:-1], strict=True)))
        row[str(group[-1])] = texts[tuple(group)]
        row["1, less reference"] = lacking.get(tuple(group[:-1]), "")
    return sorted(rows.values(), key=lambda row: [row[name] for name in keys[:3]])


def against(found: pd.DataFrame) -> Mapping[tuple[Any, ...], str]:
    """Each reading less :data:`REFERENCE` with one labelled clip an emotion, as text."""
    keys = ["target", "teachers", "method", "speaker", "draw", "label"]
    one = found[found["shots"] == 1]
    reference = one[one["reading"] == REFERENCE][[*keys, "macro_f1"]]
    paired = one[one["reading"] != REFERENCE].merge(reference, on=keys, suffixes=("", "_reference"))
    paired["gain"] = paired["macro_f1"] - paired["macro_f1_reference"]
    return {
        (row["target"], row["teachers"], row["method"], row["reading"]): f"{signed(row['gain'], 3)} "
        f"{interval(row['low'], row['high'], 3, sign=True)}, {p_value(row['p_t'])}"
        for row in tested_means(paired, [*keys[:3], "reading"], "gain").to_dict("records")
    }


def candidates() -> dict[str, Encoder]:
    """What may lie in the box: `mini`, and Whisper tiny.en after one or two layers, in windows of several lengths."""
    cut = {(seconds, depth): whisper(seconds, depth, 0) for seconds in (5.0, 4.0, 3.0) for depth in (1, 2)}
    named = {f"Whisper tiny.en, layer {depth}, {seconds:g} s": encoder for (seconds, depth), encoder in cut.items()}
    return {AS_IT_COMES: load_encoder(MINI, Reading(depth=1))} | named


@torch.no_grad()
def clip_operations(encoder: Encoder) -> tuple[float, float, float]:
    """Return the millions of weights, and the GFLOP of a clip of 3 s in the front end and after it."""
    clip = waveforms(1, seconds=SECONDS)[0]
    with FlopCounterMode(display=False) as front:
        frames = encoder.front(clip)
    with FlopCounterMode(display=False) as rest:
        encoder.pool([frames])
    millions = sum(weights.numel() for weights in _run_weights(encoder)) / 1e6
    return millions, front.get_total_flops() / 1e9, rest.get_total_flops() / 1e9


def operations() -> list[dict[str, Any]]:
    """A row per model: its weights, and what a clip of 3 s costs in matrix products and convolutions, in GFLOP."""
    rows = []
    for label, encoder in candidates().items():
        millions, *counts = clip_operations(encoder)
        head = {"reading": label, "parameters, million": f"{millions:.2f}"}
        words = ("convolutions", "layers", "together")
        rows.append(head | {name: f"{n:.2f}" for name, n in zip(words, (*counts, sum(counts)), strict=True)})
    return rows


def times(rounds: int) -> list[dict[str, Any]]:
    """A row per model: milliseconds of a clip of 3 s as an ONNX graph on one thread, and of its parts in PyTorch."""
    torch.set_num_threads(1)
    clip, models = waveforms(1, seconds=SECONDS)[0], candidates()
    actions: dict[str, Callable[[], float]] = {}
    with tempfile.TemporaryDirectory() as name:
        for label, encoder in models.items():
            path = Path(name) / f"{len(actions)}.onnx"
            path.write_bytes(encoder_graph(encoder).SerializeToString())
            graph, frames = OnnxEncoder(path), encoder.front(clip)
            actions[f"{label}: graph"] = partial(_milliseconds, partial(graph.embed, clip))
            actions[f"{label}: front"] = partial(_milliseconds, partial(encoder.front, clip))
            actions[f"{label}: rest"] = partial(_milliseconds, partial(encoder.pool, [frames]))
        alternate(actions, 2)
        measured = {label: float(np.median(values)) for label, values in alternate(actions, rounds).items()}
    base = measured[f"{AS_IT_COMES}: graph"]
    return [
        {
            "reading": label,
            "graph, ms": measured[f"{label}: graph"],
            "times mini's": measured[f"{label}: graph"] / base,
            "PyTorch, up to the layers, ms": measured[f"{label}: front"],
            "PyTorch, the rest, ms": measured[f"{label}: rest"],
        }
        for label in models
    ]


def _run_weights(encoder: Encoder) -> Iterator[Tensor]:
    parts = [*encoder._stem_parts(), *encoder._entry_parts(), *encoder._layers()[: encoder.depth]]
    return (weight for part in [*parts, *encoder._exit_parts()] for weight in part.parameters())


def _milliseconds(action: Callable[[], Any]) -> float:
    return 1000 * seconds_of(lambda: [action() for _ in range(CALLS)]) / CALLS


def main() -> None:
    """Means over speakers of their means over draws; intervals over speakers and draws."""
    options = parse_options(__doc__, ("box", "operations", "time", "scores"))
    if options.only in (["time"], ["operations"]):
        rows = operations() if options.only == ["operations"] else times(2 if options.quick else ROUNDS)
        publish(rows, options)
        return
    if options.only == ["box"]:
        publish(table(box(1 if options.quick else DRAWS)), options)
        return
    names = ("emodb", "emovo") if options.quick else ("emodb", "emovo", "nemo", "ravdess", "tess")
    draws, found = 1 if options.quick else DRAWS, []
    for name, pooled in (mini_readings(names) | whisper_readings(names)).items():
        kept = ROWS / f"{name.replace(' ', '-')}-{'-'.join(names)}.csv"
        found.append(kept_rows(kept, lambda part=pooled: reading_rows(part, draws)).assign(reading=name))
    publish(table(pd.concat(found, ignore_index=True)), options)


if __name__ == "__main__":
    main()
