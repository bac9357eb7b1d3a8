"""Trials made up for the report's tests."""

import itertools
import json
from collections.abc import Iterable
from typing import Any

import pandas as pd

from voicefit.scores import score

RECORD: dict[str, Any] = {
    "command": "voicefit sweep plan.toml",
    "voicefit": "0.1.0",
    "versions": {"numpy": "2.0"},
    "machine": {"cores": 2, "gpu": None},
    "started_at": "2025-01-01T00:00:00",
    "planned_trials": 48,
    "corpora": {
        "nemo": {
            "title": "nEMO",
            "licence": "CC BY-NC-SA 4.0",
            "usage": "research",
            "homepage": "https://example.org/nemo",
            "clips": 12,
            "speakers": 3,
            "left_out": {"a.wav": "no sound in it"},
        }
    },
    "plan": {"encoder": "tiny", "grid": {"k": [2, 4], "starts": [["a", "b"], []]}, "unfreeze": False},
}


def row(**changes: Any) -> dict[str, Any]:
    """One finished trial, with the given columns changed."""
    usual = {
        "key": "0",
        "start": "none",
        "encoder": "tiny",
        "target": "nemo",
        "protocol": "clean",
        "method": "head",
        "task": "one-vs-rest",
        "speaker": "a",
        "label": "anger",
        "k": 2,
        "draw": 0,
        "seed": 0,
        "macro_f1": 0.5,
        "accuracy": 0.5,
        "balanced_accuracy": 0.5,
        "floor_never": 0.444,
        "floor_coin": 0.451,
        "support": "[]",
        "test_clips": 10,
        "seconds": 1.0,
        "error": None,
        "finished_at": "2025-01-01T00:00:00",
    }
    return usual | changes


def table(*rows: dict[str, Any]) -> pd.DataFrame:
    """Rows as the table that the trial store gives."""
    return pd.DataFrame(list(rows))


def grid(starts: dict[str, float], speakers: str = "abc", **changes: Any) -> pd.DataFrame:
    """Two methods × speakers × two emotions × two k, each start with its own macro F1 at every trial."""
    cells = itertools.product(starts, ("head", "full"), speakers, ("anger", "fear"), (2, 4))
    return table(
        *(
            row(**{"start": start, "method": method, "speaker": speaker, "label": label, "k": k} | changes)
            | {"macro_f1": starts[start] + 0.01 * speakers.index(speaker) + 0.01 * (method == "head")}
            for start, method, speaker, label, k in cells
        )
    )


def told_at_once(labels: Iterable[str], counts: list[list[int]], **changes: Any) -> dict[str, Any]:
    """One finished trial of several emotions, with its confusion counts and the scores that follow from them."""
    pairs = [(i, j) for i, answers in enumerate(counts) for j, clips in enumerate(answers) for _ in range(clips)]
    truth, predicted = zip(*pairs, strict=True)
    confusion = json.dumps({"labels": list(labels), "counts": counts})
    return row(**{"task": "multiclass", "label": "", "confusion": confusion} | score(truth, predicted) | changes)
