"""The corpora's own heads of the labels: the shots name the labels, their clips are not used.

The heads of :mod:`voicefit.heads.prior`, matched by label name; unlabelled clips move them into the speaker's frame of
reference, as in :mod:`voicefit.adaptation.prior`, which continues from here as shots come.
"""

from typing import Any

from voicefit.adaptation import prior as posterior
from voicefit.adaptation.method import Method, MethodSettings
from voicefit.adaptation.shots import OTHER, Shots
from voicefit.errors import VoicefitError
from voicefit.heads.head import Head


class Settings(MethodSettings):
    """Nothing can be set."""


def fit(encoder: Any, shots: Shots, settings: Settings, seed: int) -> Head:
    """Return the corpora's heads of the shots' labels; encoder and seed are not used.

    Raises:
        VoicefitError: the start has no prior, or a label that none of its corpora has.
    """
    known = posterior.require_prior(shots, "zero-shot").labels
    missing = [label for label in shots.labels if label not in (OTHER, *known)]
    if missing or not shots.labels:
        raise VoicefitError(
            f"no corpus of the start knows the label {(missing or ['(none given)'])[0]!r}; they "
            f"know {', '.join(known)}. Take a method that learns from shots, as prior"
        )
    return posterior.posterior_head(shots, posterior.Settings(), use_shots=False)


METHOD = Method("zero-shot", fit, Settings, version=1, needs_prior=True, uses_unlabelled=True)
