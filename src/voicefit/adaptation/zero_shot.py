"""The corpora's own heads of the labels: the shots name the labels, their clips are not used.

The heads of :mod:`voicefit.heads.prior`, matched by label name; unlabelled clips move them into the speaker's frame of
reference, as in :mod:`voicefit.adaptation.prior`, which continues from here as shots come.
"""

from functools import partial
from typing import Any

from voicefit.adaptation import prior as posterior
from voicefit.adaptation.method import Method, MethodSettings, fit_alone
from voicefit.adaptation.shots import OTHER, ShotsBatch
from voicefit.errors import VoicefitError
from voicefit.heads.head import Heads


class Settings(MethodSettings):
    """Nothing can be set."""


def fit_many(encoder: Any, shots: ShotsBatch, settings: Settings) -> Heads:
    """Return the corpora's heads of the shots' labels; the encoder is not used.

    Raises:
        VoicefitError: the start has no prior, or a label that none of its corpora has.
    """
    known = posterior.require_prior(shots, "zero-shot").labels
    for labels in shots.labels:
        missing = [label for label in labels if label not in (OTHER, *known)]
        if missing or not labels:
            raise VoicefitError(
                f"no corpus of the start knows the label {(missing or ['(none given)'])[0]!r}; they "
                f"know {', '.join(known)}. Take a method that learns from shots, as prior"
            )
    return posterior.posterior_heads(shots, posterior.Settings(), use_shots=False)


fit = partial(fit_alone, fit_many)

METHOD = Method("zero-shot", fit, Settings, version=1, needs_prior=True, uses_unlabelled=True, fit_many=fit_many)
