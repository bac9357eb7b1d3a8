"""The words and numbers of the report."""

import math

from support.synthetic_runs import row, table
from voicefit.report import headline
from voicefit.report.text import count, interval, p_value, score, signed


def pairs(gains: dict[str, float], base: float = 0.5, **changes):
    rows = []
    for speaker, gain in gains.items():
        rows.append(row(start="none", speaker=speaker, macro_f1=base, **changes))
        rows.append(row(start="ravdess+tess", speaker=speaker, macro_f1=base + gain, **changes))
    return table(*rows)


def test_a_lift():
    assert headline(pairs({"a": 0.06, "b": 0.1})) == (
        "With 2 clips, pre-finetuning on ravdess + tess lifts macro F1 from 0.50 to 0.58. "
        "Method head on nemo, 2 speakers, 2 trials each: from 0.50 [0.50, 0.50] to 0.58 [0.56, 0.60], "
        "a paired gain of +0.08 [+0.06, +0.10] (p = 0.500 by the sign-flip test over speakers, which over 2 cannot "
        "fall below 0.5). "
        "The floor: always giving the commonest answer "
        "scores 0.44, a fair coin 0.45."
    )


def test_the_test_is_said_to_be_blunt_only_where_it_is():
    assert "which over 5 cannot fall below 0.0625" in headline(pairs(dict.fromkeys("abcde", 0.1)))
    assert "cannot fall" not in headline(pairs(dict.fromkeys("abcdef", 0.1)))


def test_a_loss_is_called_one():
    assert "lowers macro F1 from 0.50 to 0.46." in headline(pairs({"a": -0.05, "b": -0.03}))
    assert "0.46 [0.45, 0.47], a paired gain of −0.04 [−0.05, −0.03]" in headline(pairs({"a": -0.05, "b": -0.03}))


def test_an_interval_around_zero_is_no_difference():
    text = headline(pairs({"a": -0.02, "b": 0.04}))

    assert "makes no reliable difference" in text
    assert "a paired gain of +0.01 [−0.02, +0.04], an interval that includes zero" in text
    assert "lifts" not in text


def test_a_score_at_the_floor_is_said_to_be():
    warning = "The score is not reliably above that floor."

    assert warning in headline(pairs({"a": 0.02, "b": 0.08}, base=0.42))
    assert warning not in headline(pairs({"a": 0.02, "b": 0.08}, base=0.46))


def test_one_speaker_claims_nothing():
    text = headline(pairs({"a": 0.2}))

    assert "takes macro F1 from 0.50 to 0.70" in text
    assert "there is no interval" in text
    assert "lifts" not in text


def test_without_a_partner_there_is_no_gain():
    text = headline(table(row(start="tess", speaker="a", k=1), row(start="tess", speaker="b", k=1)))

    assert text.startswith("With 1 clip, macro F1 after pre-finetuning on tess is 0.50. Method head on nemo, 2 ")
    assert "2 trials: [0.50, 0.50]. There is no paired" in text
    assert "no paired trial" in text
    assert "gain is" not in text


def test_unknown_floors_are_not_spoken_of():
    assert "floor" not in headline(pairs({"a": 0.1, "b": 0.2}, floor_never=math.nan, floor_coin=math.nan))


def test_no_finished_trial_no_words():
    assert headline(table(row(error="boom", macro_f1=math.nan))) == ""


def test_numbers():
    assert (score(0.567), score(0.567, 3), score(math.nan)) == ("0.57", "0.567", "–")
    assert (signed(0.08), signed(-0.024), signed(-0.001), signed(math.nan)) == ("+0.08", "−0.02", "0.00", "–")
    assert (interval(0.1, 0.2), interval(-0.1, 0.2, sign=True)) == ("[0.10, 0.20]", "[−0.10, +0.20]")
    assert interval(math.nan, math.nan) == ""
    assert (p_value(0.0156), p_value(0.0004), p_value(math.nan)) == ("p = 0.016", "p < 0.001", "")
    assert (count(1, "clip"), count(1200, "trial")) == ("1 clip", "1,200 trials")
