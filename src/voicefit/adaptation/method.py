"""A method of adaptation: how it fits a head, what may be set, and what it needs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import Field

from voicefit.adaptation.shots import Shots, ShotsBatch
from voicefit.encoders.front_end import Precision
from voicefit.heads.head import Head, Heads
from voicefit.system.settings import Settings

if TYPE_CHECKING:
    from voicefit.encoders import Encoder


class MethodSettings(Settings):
    """The base of every method's settings."""


class TrainingSettings(MethodSettings):
    """The base of the settings of methods that train the encoder."""

    precision: Precision = Field(
        "float32", description="of all passes through the encoder; bfloat16 where the hardware has it"
    )


S = TypeVar("S", bound=MethodSettings)


def _frozen_layers(encoder: "Encoder", settings: MethodSettings) -> int:
    return encoder.frozen_layers


def _one_epoch(settings: MethodSettings, k: int) -> tuple[int, int]:
    return 1, 1


def fit_alone(
    fit_many: Callable[[Any, ShotsBatch, S], Heads], encoder: Any, shots: Shots, settings: S, seed: int
) -> Head:
    """Fit shots as a batch of one: the ``fit`` of a method that fits many at once; the seed is not used."""
    return fit_many(encoder, shots.alone(), settings)[0]


@dataclass(frozen=True)
class Method(Generic[S]):
    """A way to adapt to one speaker; each module of a method defines one as ``METHOD``.

    Attributes:
        name: as in the registry, in plans and on the command line.
        fit: called with the encoder, the shots, the settings and a seed; returns a head. A method that trains the
            encoder needs it in PyTorch and changes its trainable weights in place (see :meth:`Encoder.restored`); any
            other asks for its ``projection`` at most.
        settings_type: the class of its settings; of :class:`TrainingSettings` where ``trains_encoder``.
        version: raised when a change of the code changes results. Stored trials of the old code then run again.
        trains_encoder: whether ``fit`` changes the encoder.
        needs_validation: whether it picks its epoch on labelled clips beyond the shots. The ``paper`` protocol alone
            has them.
        needs_prior: whether it begins at what the start's corpora know. A plain encoder knows nothing.
        uses_unlabelled: whether it learns from clips of the speaker without labels.
        untouched_layers: the number of first layers that it leaves as they are. Their outputs are then computed once
            for all trials of a speaker. The default is the frozen ones.
        begins_at_hidden_units: whether it also leaves the next layer as it is, up to what reads the hidden units of its
            feed-forward block: the first thing that it changes.
        epochs: for settings and k shots, the number of epochs where the first is the best, and the number at most.
            The default is one fit that cannot end early.
        fit_many: called with the encoder, a batch of shots and the settings; returns a head for each set of shots,
            which does not depend on the others. For methods that draw nothing at random; ``fit`` is then
            :func:`fit_alone`, that of a batch of one.
    """

    name: str
    fit: Callable[[Any, Shots, S, int], Head]
    settings_type: type[S]
    version: int
    trains_encoder: bool = False
    needs_validation: bool = False
    needs_prior: bool = False
    uses_unlabelled: bool = False
    untouched_layers: "Callable[[Encoder, S], int]" = _frozen_layers
    begins_at_hidden_units: bool = False
    epochs: Callable[[S, int], tuple[int, int]] = _one_epoch
    fit_many: Callable[[Any, ShotsBatch, S], Heads] | None = None

    def configured(self, /, **settings: Any) -> "ConfiguredMethod[S]":
        """Return the method with these settings, and the defaults of the others.

        Raises:
            ValidationError: a setting is unknown or out of range.
        """
        return ConfiguredMethod(self, self.settings_type(**settings))


@dataclass(frozen=True)
class ConfiguredMethod(Generic[S]):
    """A method and its settings.

    Attributes:
        method: what the registry knows of it.
        settings: an instance of the method's ``settings_type``.
    """

    method: Method[S]
    settings: S

    @property
    def name(self) -> str:
        """The method's name in the registry."""
        return self.method.name

    @property
    def precision(self) -> Precision:
        """The precision of passes through the encoder: the settings', or float32 where the method does not train."""
        return self.settings.precision if isinstance(self.settings, TrainingSettings) else "float32"

    def fit(self, encoder: Any, shots: Shots, seed: int) -> Head:
        """Fit a head to the shots; ``encoder`` is changed in place if the method trains it.

        Args:
            encoder: at its starting point; in PyTorch if the method trains it.
            shots: the labelled clips of one voice.
            seed: fixes what the method draws at random.

        Raises:
            VoicefitError: the shots lack what the method needs.
        """
        return self.method.fit(encoder, shots, self.settings, seed)

    def untouched_layers(self, encoder: "Encoder") -> int:
        """Return the number of first layers that need not run again in every trial, at least the frozen ones.

        Where layers are weighed, every layer is read and only the frozen ones stay.
        """
        if encoder.layer_weights:
            return encoder.frozen_layers
        return self.method.untouched_layers(encoder, self.settings)

    def begins_at_hidden_units(self, encoder: "Encoder") -> bool:
        """Return whether the layer after the untouched ones need not run again up to its hidden units either."""
        kept = self.untouched_layers(encoder)
        return self.method.begins_at_hidden_units and not encoder.layer_weights and kept < encoder.depth

    def epochs(self, k: int) -> tuple[int, int]:
        """Return the number of epochs with ``k`` shots: where the first is the best, and at most."""
        return self.method.epochs(self.settings, k)
