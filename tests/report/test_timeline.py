import numpy as np
import pytest

from support.adapted_models import LABELS
from voicefit.errors import VoicefitError
from voicefit.prediction.timeline import Timeline
from voicefit.report.timeline import draw_only


def test_the_figure_shows_every_label_and_the_name(tmp_path):
    starts = np.array([0.0, 1.0])
    chances = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    outline = np.stack([-np.arange(200), np.arange(200)], axis=1) / 200
    found = Timeline("talk $1$.wav", LABELS, starts, starts + 1, chances, starts < 0, starts * np.nan, outline)
    text = draw_only([found], tmp_path / "talk.svg").read_text(encoding="utf-8")
    assert all(f">{word}<" in text for word in (*LABELS, "talk $1$.wav", "probability", "0:01"))
    short = Timeline("a.wav", LABELS, starts / 50, starts / 50 + 0.02, chances, starts < 0, starts * np.nan, outline)
    text = draw_only([short], tmp_path / "short.svg").read_text(encoding="utf-8")
    assert ">0:00.010<" in text and text.count(">0:00<") == 1  # every tick has a time of its own
    with pytest.raises(VoicefitError, match=r"\.svg or \.png"):
        draw_only([found], tmp_path / "talk.pdf")
    with pytest.raises(VoicefitError, match="2 were given"):
        draw_only([found, found], tmp_path / "talk.svg")
