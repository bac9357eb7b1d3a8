"""What the corpora's heads say of a label before any shot is heard; shots are named but not listened to.

The heads of :mod:`voicefit.heads.prior`, matched by label name; unlabelled clips move them into the speaker's frame of
reference, as in :mod:`voicefit.adaptation.prior`, which goes on from here as shots come.
"""

from pydantic import BaseModel, ConfigDict, Field

from voicefit.adaptation import prior as posterior
from voicefit.adaptation.shots import OTHER, Shots
from voicefit.encoders import Encoder
from voicefit.errors import VoicefitError
from voicefit.heads.linear import Head

VERSION = 1
TRAINS_ENCODER = False
NEEDS_VALIDATION = False
NEEDS_PRIOR = True


class Settings(BaseModel):
    """In a sweep, which clips come without labels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unlabelled: int = Field(
        default=0, ge=0, description="in a sweep: clips of the speaker's pool that come without labels"
    )
    unlabelled_label: str = Field(default="", description="in a sweep: draw these from one emotion alone")


def fit(encoder: Encoder, shots: Shots, settings: Settings, seed: int) -> Head:
    """The corpora's heads of the shots' labels (nothing is drawn: the seed is not used).

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
    return posterior.posterior_head(shots, posterior.Settings(), listen=False)
