"""The tables of tests."""

import pandas as pd

from support.synthetic_runs import row, table
from voicefit.report.inference import best_method, claims_table, effects_table, methods_table
from voicefit.report.statistics import finished, gain_cells, pair


def test_the_best_method_is_chosen_on_clips_that_all_were_given():
    trials = finished(
        table(
            row(method="head", draw=0, macro_f1=0.6),
            row(method="prior", draw=0, macro_f1=0.5),
            row(method="prior", draw=1, macro_f1=0.9),
        )
    )

    assert best_method(trials) == "head"
    assert best_method(trials[trials["draw"] == 1]) == "prior"
    # Where no clips are shared all trials count: 0.6 against 0.9.
    assert best_method(trials.drop(index=1)) == "prior"


def test_methods_stand_in_the_order_of_what_they_lack():
    scores = {"prior": (0.8, 0.82, 0.81), "head": (0.7, 0.71, 0.72), "full": (0.5, 0.52, 0.55)}
    trials = finished(
        table(
            *(
                row(method=method, speaker=speaker, macro_f1=score)
                for method, each in scores.items()
                for speaker, score in zip("abc", each, strict=True)
            )
        )
    )
    shown = methods_table(gain_cells(pair(trials, "method", "prior"), ["method", "k"]), "prior", "nemo", "a+b")

    assert shown.title == "Methods against prior, nemo"
    assert [line[0].text for line in shown.rows] == ["head", "full"]
    assert shown.rows[0][1].text == "−0.100"
    assert shown.rows[1][1].strong


def test_what_cannot_be_estimated_is_a_dash():
    model = pd.DataFrame(
        [{"target": "nemo", "method": "head", "term": "the model", "note": "could not be fitted to these trials"}]
    ).reindex(columns=["target", "method", "term", "estimate", "low", "high", "p", "note"])

    shown = effects_table(model, "nemo")

    assert shown.rows[0][1].text == "–"
    assert "head: could not be fitted to these trials." in shown.note


def test_verdicts_stand_out():
    found = pd.DataFrame(
        [
            {
                "claim": "it helps",
                "verdict": verdict,
                "estimate": 0.1,
                "low": 0.05,
                "high": 0.15,
                "p": 0.01,
                "holm": 0.02,
            }
            for verdict in ("supported", "undecided")
        ]
    ).assign(target="nemo", method="head", effect=2.0)

    rows = claims_table(found).rows

    assert [line[3].strong for line in rows] == [True, False]
    assert [cell.text for cell in rows[0][4:]] == ["+0.100", "+2.0", "0.010", "0.020"]
    assert rows[0][4].small == ("[+0.050, +0.150]",)
