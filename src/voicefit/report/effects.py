"""The dependence of macro F1 on corpora, clips and label together: a linear mixed model over speakers."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMResults
from statsmodels.tools.sm_exceptions import ConvergenceWarning

MIN_SPEAKERS = 3
"""The model needs so many speakers."""

COLUMNS = ["target", "method", "term", "estimate", "low", "high", "p", "speakers", "cells", "note"]
"""The columns of the table of effects."""


def effects(trials: pd.DataFrame) -> pd.DataFrame:
    """Fit the model to every target and method that has enough of each factor.

    Macro F1, averaged over draws in each cell of speaker, label, starting point and k, is explained by the number
    of pre-finetuning corpora, the doublings of k from its smallest value, the label (deviations from the mean of
    all), and their two-way products. Every speaker has a level, a level in each label and an effect of corpora of
    their own (restricted maximum likelihood, Laird & Ware 1982). If that does not converge, speakers do not differ
    in the effect of corpora, and `note` reports it.

    Args:
        trials: the table of `statistics.finished`, of one encoder, protocol and task.

    Returns:
        A row per target, method and term: `term` (in words), `estimate`, `low`, `high` (95 %, Wald), `p` (Wald,
        uncorrected), `speakers`, `cells`, `note`. Empty if no method has three speakers, two numbers of corpora and
        two k. A model that cannot be fitted has one row without numbers, and `note` reports it.
    """
    groups: list[tuple[Any, pd.DataFrame]] = list(trials.groupby(["target", "method"]))
    parts = [
        _of_method(part).assign(target=target, method=method) for (target, method), part in groups if _varied(part)
    ]
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def _varied(trials: pd.DataFrame) -> bool:
    return trials["speaker"].nunique() >= MIN_SPEAKERS and min(trials["corpora"].nunique(), trials["k"].nunique()) > 1


def _of_method(trials: pd.DataFrame) -> pd.DataFrame:
    cells = trials.groupby(["speaker", "label", "start", "corpora", "k"])["macro_f1"].mean().reset_index()
    design = _design(cells)
    sizes = {"speakers": cells["speaker"].nunique(), "cells": len(cells)}
    fitted, note = _fit(cells, design)
    if fitted is None:
        return pd.DataFrame([{"term": "the model", "note": note, **sizes}]).reindex(columns=COLUMNS)
    rows = []
    for term, contrast in _contrasts(design, sorted(cells["label"].unique())):
        test = fitted.t_test(contrast[None])
        low, high = test.conf_int()[0]
        rows.append(
            {"term": term, "estimate": test.effect[0], "low": low, "high": high, "p": float(test.pvalue), "note": note}
        )
    return pd.DataFrame(rows).assign(**sizes)


def _design(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the fixed effects, one column each; the last label is minus the sum of the others (sum coding)."""
    corpora, doublings = cells["corpora"].astype(float), np.log2(cells["k"] / cells["k"].min())
    design = pd.DataFrame(
        {"mean": 1.0, "corpora": corpora, "doublings": doublings, "corpora:doublings": corpora * doublings}
    )
    *labels, last = sorted(cells["label"].unique())
    for label in labels:
        design[f"label {label}"] = (cells["label"] == label).astype(float) - (cells["label"] == last)
        design[f"corpora:{label}"] = corpora * design[f"label {label}"]
        design[f"doublings:{label}"] = doublings * design[f"label {label}"]
    return design


def _contrasts(design: pd.DataFrame, labels: list[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Describe what each row of the table estimates, in words and as weights of the design's columns."""
    columns = [str(column) for column in design]

    def weights(of: dict[str, float]) -> np.ndarray:
        return np.array([of.get(column, 0.0) for column in columns])

    yield "a corpus more, at the fewest clips", weights({"corpora": 1})
    yield "twice the clips, without pre-finetuning", weights({"doublings": 1})
    yield "a corpus more, change with twice the clips", weights({"corpora:doublings": 1})
    if len(labels) < 2:
        return
    for words, kind in (
        ("without pre-finetuning, at the fewest clips", "label "),
        ("a corpus more", "corpora:"),
        ("twice the clips", "doublings:"),
    ):
        for label in labels:
            signs = dict.fromkeys(labels[:-1], -1.0) if label == labels[-1] else {label: 1.0}
            yield f"{label}: {words}", weights({kind + other: sign for other, sign in signs.items()})


def _fit(cells: pd.DataFrame, design: pd.DataFrame) -> tuple[MixedLMResults | None, str]:
    """Return the fitted model and a note; None if it cannot be fitted."""
    terms = [f"x{i}" for i in range(design.shape[1])]
    table = pd.concat([cells, design.set_axis(terms, axis=1)], axis=1)
    of_speaker = {"label": "0 + C(label)"} if cells["label"].nunique() > 1 else None
    for random, note in (("1 + corpora", ""), ("1", "speakers differ in level alone, not in the effect of corpora")):
        model = MixedLM.from_formula(
            f"macro_f1 ~ 0 + {' + '.join(terms)}", table, groups="speaker", re_formula=random, vc_formula=of_speaker
        )
        with warnings.catch_warnings():
            # Judged by `converged` and finite errors below.
            warnings.simplefilter("ignore", (ConvergenceWarning, RuntimeWarning, UserWarning))
            try:
                fitted = model.fit(method=["lbfgs", "powell"])
            except np.linalg.LinAlgError:
                continue
            if fitted.converged and np.isfinite(fitted.bse_fe).all():
                return fitted, note
    return None, "could not be fitted to these trials"
