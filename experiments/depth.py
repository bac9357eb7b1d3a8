"""After how many layers is an encoder read best? Several emotions at once, by labelled clips an emotion.

Whisper tiny.en and base are read after each of their layers and left as they are. RAVDESS, TESS, EmoDB and EMOVO teach,
less the target. "chosen" is the depth at which the other targets score best with one labelled clip an emotion, by the
same method. A last column has the operations of a clip.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.common import parse_options, publish
from experiments.few_clips import METHODS, cells, kept_rows, speakers, trials
from experiments.joint import TARGETS, TEACHERS
from experiments.layer_vectors import layer_vectors
from experiments.mini_again import clip_operations
from experiments.real_data import WHISPER_BASE, WHISPER_TINY, folder
from voicefit.encoders import Reading, load_encoder
from voicefit.report.statistics import tested_means
from voicefit.report.text import interval, p_value, signed
from voicefit.selection.ranking import PooledCorpus, learn_together

ENCODERS = {"Whisper tiny.en": (WHISPER_TINY, (1, 2, 3, 4)), "Whisper base": (WHISPER_BASE, (1, 2, 3, 4, 5, 6))}
"""Folders in ``VOICEFIT_MODELS``, and the layers after which they are read."""

SHOTS = (0, 1, 2, 8)
DRAWS = 10
KEPT = Path("runs", "depth")

USED = ("Whisper tiny.en", 2)
"""What the other experiments read."""


def depth_rows(pooled: Sequence[PooledCorpus], targets: Sequence[str], draws: int) -> Iterator[dict[str, Any]]:
    """A row per trial on every target, from vectors after one layer."""
    parts = {part.corpus.name: part for part in pooled}
    for target in targets:
        known = learn_together([parts[name] for name in TEACHERS if name != target and name in parts])
        for row in trials(speakers(parts[target]), known, SHOTS, METHODS, draws):
            yield {"target": target, **row}


def chosen(found: pd.DataFrame, encoders: Sequence[str], target: str, method: str) -> tuple[str, int]:
    """Return the encoder and depth at which the other targets score best with one labelled clip an emotion."""
    others = found[(found["target"] != target) & (found["method"] == method) & (found["shots"] == 1)]
    others = others[others["encoder"].isin(encoders)]
    by_target = others.groupby(["encoder", "depth", "target", "speaker"])["macro_f1"].mean()
    means = by_target.groupby(["encoder", "depth", "target"]).mean().groupby(["encoder", "depth"]).mean()
    encoder, depth = means.idxmax()
    return str(encoder), int(depth)


def with_chosen(found: pd.DataFrame) -> pd.DataFrame:
    """Add the trials of the chosen depths, under the depth "chosen"."""
    more = [found.assign(chosen="", depth=found["depth"].astype(str))]
    for name in ENCODERS:
        for target, method in found[["target", "method"]].drop_duplicates().itertuples(index=False):
            encoder, depth = chosen(found, [name], target, method)
            same = (found["encoder"] == encoder) & (found["depth"] == depth)
            same &= (found["target"] == target) & (found["method"] == method)
            more.append(found[same].assign(encoder=name, depth="chosen", chosen=str(depth)))
    return pd.concat(more, ignore_index=True)


def table(found: pd.DataFrame) -> list[dict[str, Any]]:
    """A row per target, method, encoder and depth; a column per number of labelled clips."""
    keys = ["target", "method", "encoder", "depth", "chosen"]
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    texts = cells(found, [*keys, "shots"])
    for group in found[[*keys, "shots"]].drop_duplicates().itertuples(index=False):
        row = rows.setdefault(tuple(group[:-1]), dict(zip(keys, group[:-1], strict=True)))
        row[str(group[-1])] = texts[tuple(group)]
    return list(rows.values())


def against_used(found: pd.DataFrame) -> list[str]:
    """What the chosen depths add to what the other experiments read, with one labelled clip an emotion."""
    keys = ["target", "method", "speaker", "draw", "label"]
    one = found[found["shots"] == 1]
    used = one[(one["encoder"] == USED[0]) & (one["depth"] == str(USED[1]))]
    paired = one[one["depth"] == "chosen"].merge(used[[*keys, "macro_f1"]], on=keys, suffixes=("", "_used"))
    paired["gain"] = paired["macro_f1"] - paired["macro_f1_used"]
    tested = tested_means(paired, ["target", "method", "encoder", "chosen"], "gain")
    lines = ["", f"Chosen less {USED[0]} after layer {USED[1]}, one labelled clip an emotion:", ""]
    lines += ["| target | method | encoder | chosen | difference | p |", "| --- | --- | --- | --- | --- | --- |"]
    for row in tested.to_dict("records"):
        gain = f"{signed(row['gain'], 3)} {interval(row['low'], row['high'], 3, sign=True)}"
        names = " | ".join(str(row[name]) for name in ("target", "method", "encoder", "chosen"))
        lines.append(f"| {names} | {gain} | {p_value(row['p_t'])} |")
    return lines


def larger_less_smaller(found: pd.DataFrame) -> list[str]:
    """What the larger encoder adds to the smaller, each at its chosen depth, by labelled clips an emotion."""
    keys = ["target", "method", "speaker", "draw", "label", "shots"]
    smaller, larger = (found[(found["encoder"] == name) & (found["depth"] == "chosen")] for name in ENCODERS)
    paired = larger.merge(smaller[[*keys, "macro_f1"]], on=keys, suffixes=("", "_smaller"))
    paired["gain"] = paired["macro_f1"] - paired["macro_f1_smaller"]
    tested = tested_means(paired, ["target", "method", "shots"], "gain")
    lines = ["", f"{' less '.join(reversed(ENCODERS))}, each at its chosen depth:", ""]
    lines += ["| target | method | clips an emotion | difference | p |", "| --- | --- | --- | --- | --- |"]
    for row in tested.to_dict("records"):
        gain = f"{signed(row['gain'], 3)} {interval(row['low'], row['high'], 3, sign=True)}"
        lines.append(f"| {row['target']} | {row['method']} | {row['shots']} | {gain} | {p_value(row['p_t'])} |")
    return lines


def operations() -> list[str]:
    """What a clip costs after each layer."""
    lines = ["", "| encoder | after layer | parameters, million | GFLOP a clip |", "| --- | --- | --- | --- |"]
    for name, (source, depths) in ENCODERS.items():
        for depth in depths:
            encoder = load_encoder(folder("VOICEFIT_MODELS") / source, Reading(depth=depth, frozen_layers=0))
            millions, *counts = clip_operations(encoder)
            lines.append(f"| {name} | {depth} | {millions:.1f} | {sum(counts):.2f} |")
    return lines


def main() -> None:
    """Means over speakers of their means over draws; intervals over speakers and draws."""
    options = parse_options(__doc__)
    targets = TARGETS[1:3] if options.quick else TARGETS
    corpora = targets if options.quick else tuple(dict.fromkeys((*TARGETS, *TEACHERS)))
    draws = 2 if options.quick else DRAWS
    found = []
    for encoder, (source, depths) in ENCODERS.items():
        for depth, pooled in layer_vectors(source, corpora, (2,) if options.quick else depths).items():
            kept = KEPT / f"{source}-{depth}-{draws}-{'-'.join(targets)}.csv"
            rows = kept_rows(kept, lambda part=pooled: depth_rows(part, targets, draws))
            found.append(rows.assign(encoder=encoder, depth=depth))
    result = with_chosen(pd.concat(found, ignore_index=True))
    notes = against_used(result) + ([] if options.quick else larger_less_smaller(result) + operations())
    publish(table(result), options, notes)


if __name__ == "__main__":
    main()
