"""The settings of pre-finetuning under the two protocols; docs/protocols.md compares them with the publication."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from voicefit.encoders import Precision
from voicefit.errors import VoicefitError
from voicefit.system.settings import Settings

PAPER = "paper"
"""The name of the publication's protocol; the other protocol is ``clean``."""


class PrefinetuneSettings(Settings):
    """Settings of pre-finetuning. The defaults are the ``clean`` protocol's (research/settings.md)."""

    lr: float = Field(default=1e-4, gt=0, description="peak learning rate of the encoder and the projector")
    head_lr: float = Field(default=3e-3, gt=0, description="peak learning rate of the heads")
    weight_decay: float = Field(default=0.01, ge=0, description="of AdamW, for all that is trained")
    batch_size: int = Field(default=32, ge=1, description="clips a step, over all corpora")
    max_epochs: int = Field(default=10, ge=1, description="an epoch is as many clips as the corpora have together")
    warmup: float = Field(default=0.1, ge=0, le=1, description="share of all steps before the peak; linear decay after")
    patience: int = Field(default=3, ge=1, description="epochs without improvement before stopping")
    criterion: Literal["macro_f1", "accuracy"] = Field(
        default="macro_f1",
        description="the score for early stopping: macro F1, averaged over corpora, or the accuracy over the clips of "
        "all corpora, as in the published code",
    )
    min_improvement: float = Field(
        default=0.0, ge=0, description="the least gain in the criterion that counts as an improvement"
    )
    sampling: Literal["proportional", "uniform"] | Annotated[float, Field(gt=0)] = Field(
        default="proportional", description="corpora drawn by size, evenly, or by size ** (1 / temperature)"
    )
    loss_scaling: Literal["log_classes", "none"] = Field(
        default="log_classes",
        description="divide each corpus's loss by the logarithm of its number of labels, or do not",
    )
    objective: Literal["labels", "dann", "supcon", "episodic"] = Field(
        default="labels",
        description="a further loss besides that of the labels. dann makes speakers indistinguishable; supcon brings "
        "clips of one label together; episodic classifies a speaker's clips by one clip of each label",
    )
    objective_weight: float = Field(
        default=0.1, gt=0, description="weight of the objective's loss, added to that of the labels"
    )
    train_clips: int | None = Field(
        default=None, ge=1, description="train on so many clips in all, evenly from the corpora; all if left out"
    )
    precision: Precision = Field(
        default="float32",
        description="precision of training and validation; bfloat16 is about 3 times faster on CPUs that have it",
    )
    projector: Literal["discriminant", "random"] = Field(
        default="discriminant",
        description="the initial projector: the corpora's linear discriminants, or random",
    )
    projector_width: int = Field(default=32, ge=1, description="dimensions that the heads read")
    train_heads: bool = Field(
        default=True, description="false keeps the random initial heads, as the published code does by mistake"
    )
    train_encoder: bool = Field(
        default=True, description="false keeps the initial encoder and projector: only the heads are trained"
    )
    validation: Literal["speakers", "clips"] = Field(
        default="speakers", description="what is held out: whole speakers, or any clips, as in the published code"
    )
    validation_share: float = Field(
        default=0.15, gt=0, lt=1, description="share of each corpus that is held out, at least one speaker or clip"
    )

    @model_validator(mode="after")
    def _trains_something(self) -> "PrefinetuneSettings":
        if not (self.train_encoder or self.train_heads):
            raise ValueError("train_encoder and train_heads: one of them must be true, otherwise nothing is trained")
        return self

    @classmethod
    def for_protocol(cls, protocol: str) -> "PrefinetuneSettings":
        """Return the settings of a named protocol; ``paper`` takes Chen & Yu's hyper-parameters (section 4.2).

        Raises:
            VoicefitError: the protocol is neither ``clean`` nor ``paper``.
        """
        if protocol == "clean":
            return cls()
        if protocol == PAPER:
            return cls(
                lr=3e-5,
                head_lr=3e-5,
                weight_decay=0,
                batch_size=4,
                max_epochs=200,
                min_improvement=0.02,
                projector="random",
                projector_width=256,
            )
        raise VoicefitError(f"protocol {protocol!r} is unknown; there are clean and paper")
