"""The publication's claims, each as a contrast of gains that supports the claim if it is positive.

Chen & Yu 2023 (arXiv 2302.12921), section 5: pre-finetuning helps, most with few clips; more corpora help more, most of
it from one to two; surprise gains least.
"""

from collections.abc import Hashable, Iterator
from typing import Any

import pandas as pd

from voicefit.report.statistics import ALPHA, holm, largest_start, tested_means

SURPRISE = "surprise"
"""The label that gains least according to the publication."""

DRAW = ["speaker", "label", "draw"]
"""These columns identify a draw of support clips."""


def claims(paired: pd.DataFrame) -> pd.DataFrame:
    """Estimate every claim for every target and method.

    Args:
        paired: the table of `statistics.pair`, of one encoder, protocol and task.

    Returns:
        A row per target, method and claim, in the publication's order: `target`, `method`, `claim` (in words),
        `estimate` (macro F1; positive supports the claim), `low`, `high`, `p`, `p_t`, `effect`, `speakers` (see
        `statistics.tested_means`), `holm` (`p_t` corrected for the claims tested of this target and method) and
        `verdict`: "supported" or "contradicted" where `holm` is below 0.05, "undecided" otherwise, or "not testable"
        with the reason, and then without numbers.
    """
    groups: list[tuple[Any, pd.DataFrame]] = list(paired.groupby(["target", "method"]))
    parts = [_of_method(part).assign(target=target, method=method) for (target, method), part in groups]
    columns = [
        "target",
        "method",
        "claim",
        "estimate",
        "low",
        "high",
        "p",
        "p_t",
        "holm",
        "effect",
        "speakers",
        "verdict",
    ]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _of_method(paired: pd.DataFrame) -> pd.DataFrame:
    contrasts = dict(_contrasts(paired))
    testable = {
        claim: values for claim, values in contrasts.items() if isinstance(values, pd.Series) and not values.empty
    }
    table = pd.DataFrame({"claim": list(contrasts)})
    if testable:
        long = pd.concat(
            [values.rename("estimate").reset_index().assign(claim=claim) for claim, values in testable.items()]
        )
        table = table.merge(tested_means(long, ["claim"], "estimate"), on="claim", how="left")
        table["holm"] = holm(table["p_t"])
    else:
        table = table.reindex(columns=["claim", "estimate", "low", "high", "p", "p_t", "holm", "effect", "speakers"])
    table["verdict"] = [_verdict(contrasts[row["claim"]], row) for row in table.to_dict("records")]
    return table


def _contrasts(paired: pd.DataFrame) -> Iterator[tuple[str, pd.Series | str]]:
    """Yield each claim in words, and its contrast for every speaker, emotion and draw, or why it has none."""
    fewest, most = paired["k"].min(), paired["k"].max()
    few = paired[paired["k"] == fewest]
    gains = paired[paired["start"] == largest_start(paired)].set_index([*DRAW, "k"])["gain"].unstack("k")
    yield f"pre-finetuning helps with {fewest} clips", gains[fewest].dropna()
    falls = f"it helps more with {fewest} clips than with {most}"
    yield (
        "it helps less with more clips" if fewest == most else falls,
        ("one number of clips" if fewest == most else (gains[fewest] - gains[most]).dropna()),
    )
    by_number = few.groupby([*DRAW, "corpora"])["gain"].mean().unstack("corpora")
    numbers = sorted(by_number)
    claim = "more corpora help more"
    if len(numbers) < 2:
        yield claim, "every starting point has as many corpora"
    else:
        yield f"{claim}: {numbers[-1]} than {numbers[0]}", (by_number[numbers[-1]] - by_number[numbers[0]]).dropna()
    yield "most of that comes from 1 corpus to 2", _first_step(by_number, numbers)
    yield "surprise gains least", _least(few[few["start"] == largest_start(paired)])


def _first_step(by_number: pd.DataFrame, numbers: list[int]) -> pd.Series | str:
    """Return the step from one corpus to two minus all later steps."""
    if not {1, 2} < set(numbers):
        return "needs starting points of one, two and more corpora"
    return (2 * by_number[2] - by_number[1] - by_number[numbers[-1]]).dropna()


def _least(few: pd.DataFrame) -> pd.Series | str:
    """Return the other emotions' mean gain minus that of surprise, draw by draw."""
    by_label = few.set_index(DRAW)["gain"].unstack("label")
    if SURPRISE not in by_label or by_label.shape[1] < 2:
        return "needs surprise and other emotions, one against the rest"
    difference = by_label.drop(columns=SURPRISE).mean(axis=1) - by_label[SURPRISE]
    return pd.concat({SURPRISE: difference.dropna()}, names=["label"])


def _verdict(contrast: pd.Series | str, row: dict[Hashable, Any]) -> str:
    if isinstance(contrast, str):
        return f"not testable: {contrast}"
    if contrast.empty:
        return "not testable: no draw has both sides"
    if pd.isna(row["holm"]):
        return "not testable: one speaker" if row["speakers"] == 1 else "not testable: speakers do not differ"
    if row["holm"] >= ALPHA:
        return "undecided"
    return "supported" if row["estimate"] > 0 else "contradicted"
