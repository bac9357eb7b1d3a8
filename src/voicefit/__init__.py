"""Voicefit fits a speech emotion classifier to a new voice from as few as two labelled clips."""

from typing import TYPE_CHECKING, Any

from voicefit.errors import VoicefitError
from voicefit.system.lazy import lazy_names

if TYPE_CHECKING:
    from voicefit.api import Speaker, Suggestion, adapt, adapt_each, grow, prefinetune, suggest, write_example
    from voicefit.corpora import load_corpus
    from voicefit.corpora.check import check_corpus
    from voicefit.encoders import Reading, load_encoder
    from voicefit.prediction.evaluation import evaluate
    from voicefit.prediction.model import Model, Prediction, load_model
    from voicefit.prediction.scoring import Evaluation
    from voicefit.prediction.together import predict_together
    from voicefit.prefinetuning.prefinetune import Run
    from voicefit.prefinetuning.settings import PrefinetuneSettings
    from voicefit.report import build_report
    from voicefit.selection.ranking import select_corpora
    from voicefit.sweep import read_plan, run_sweep

_HOMES = {
    "Evaluation": "voicefit.prediction.scoring",
    "Model": "voicefit.prediction.model",
    "Prediction": "voicefit.prediction.model",
    "PrefinetuneSettings": "voicefit.prefinetuning.settings",
    "Reading": "voicefit.encoders",
    "Run": "voicefit.prefinetuning.prefinetune",
    "Speaker": "voicefit.api",
    "Suggestion": "voicefit.api",
    "adapt": "voicefit.api",
    "adapt_each": "voicefit.api",
    "build_report": "voicefit.report",
    "check_corpus": "voicefit.corpora.check",
    "evaluate": "voicefit.prediction.evaluation",
    "grow": "voicefit.api",
    "load_corpus": "voicefit.corpora",
    "load_encoder": "voicefit.encoders",
    "load_model": "voicefit.prediction.model",
    "predict_together": "voicefit.prediction.together",
    "prefinetune": "voicefit.api",
    "read_plan": "voicefit.sweep",
    "run_sweep": "voicefit.sweep",
    "select_corpora": "voicefit.selection.ranking",
    "suggest": "voicefit.api",
    "write_example": "voicefit.api",
}

__all__ = [
    "Evaluation",
    "Model",
    "Prediction",
    "PrefinetuneSettings",
    "Reading",
    "Run",
    "Speaker",
    "Suggestion",
    "VoicefitError",
    "adapt",
    "adapt_each",
    "build_report",
    "check_corpus",
    "evaluate",
    "grow",
    "load_corpus",
    "load_encoder",
    "load_model",
    "predict_together",
    "prefinetune",
    "read_plan",
    "run_sweep",
    "select_corpora",
    "suggest",
    "write_example",
]

_public_name = lazy_names(__name__, _HOMES)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name == "__version__":  # what reads it imports much that a worker must not take from the working directory
        from importlib.metadata import version

        return version("voicefit")
    return _public_name(name)
