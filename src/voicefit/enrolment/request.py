"""What is asked of an adaptation, and the method that it comes to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from voicefit.adaptation import ConfiguredMethod, find_method
from voicefit.checkpoints.adapted import encoder_digest, is_adapted, require_replaceable
from voicefit.checkpoints.start import Start
from voicefit.corpora.recordings import Recordings
from voicefit.errors import VoicefitError
from voicefit.system.extras import require
from voicefit.system.files import require_absent, require_writable
from voicefit.system.progress import Progress, silent


@dataclass(frozen=True)
class Request:
    """What is asked of an adaptation, beside its start and its clips.

    Attributes:
        clips: the labelled clips, as they were given.
        out: the directory to write.
        method: its name; ``None`` takes the one that suits the start and the clips.
        settings: what differs from the method's default settings.
        unlabelled: a file, folder or table with more clips of the voice, or the clips themselves.
        channel: the number of the one channel to take of each recording, from 1; ``None`` mixes all.
        speech: leave out clips in which nobody speaks.
        small: write the head alone.
        seed: fixes what the method draws at random.
        overwrite: take the place of an adapted model at ``out``.
        progress: reports every clip.
    """

    clips: str | Path
    out: Path
    method: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    unlabelled: Path | Recordings | None = None
    channel: int | None = None
    speech: bool = False
    small: bool = False
    seed: int = 0
    overwrite: bool = False
    progress: Progress = silent

    def check(self) -> None:
        """Refuse a wrong call before anything is loaded.

        Raises:
            VoicefitError: ``out`` exists, or method, settings, ``unlabelled`` and ``small`` do not go together.
        """
        check_output(self.out, overwrite=self.overwrite)
        self.check_method()

    def check_method(self) -> None:
        """Refuse a wrong call that does not concern the output.

        Raises:
            VoicefitError: method, settings, ``unlabelled`` and ``small`` do not go together, or nothing here can
                detect speech.
        """
        if self.speech:
            require("speech", "--speech looks for speech")
        if self.method is None:
            return
        named = choose_method(self.method, self.settings, self.unlabelled is not None)
        if self.small and named.method.trains_encoder:
            raise VoicefitError(f"method {named.name} changes the encoder: a model by it is whole; leave --small out")

    def chosen(self, begin: Start) -> ConfiguredMethod[Any]:
        """The method for a start.

        Raises:
            VoicefitError: as :func:`choose_method`; or a small model is asked for, and the start has no graph.
        """
        if self.small:
            encoder_digest(begin)  # a start without one is refused before the work
        has_unlabelled = self.unlabelled is not None
        return choose_method(self.method or default_method(begin, has_unlabelled), self.settings, has_unlabelled)


def check_output(out: Path, *, overwrite: bool) -> None:
    """Refuse an output before the work.

    Raises:
        VoicefitError: it is taken, by anything but an adapted model that may be overwritten, or cannot be written.
    """
    if overwrite:
        require_replaceable(out)
        require_writable(out)
    elif is_adapted(out):
        raise VoicefitError(f"{out}: exists already; choose another output, or take its place with --overwrite")
    else:
        require_absent(out)


def default_method(start: Start, has_unlabelled: bool) -> str:
    """Return the name of the method that suits a start."""
    if start.prior is None:
        return "head"
    return "joint" if has_unlabelled else "prior"


def choose_method(name: str, settings: Mapping[str, Any], has_unlabelled: bool) -> ConfiguredMethod[Any]:
    """Return a method with its settings.

    Raises:
        VoicefitError: there is none of that name, a setting is unknown or out of range, or the method needs what an
            adaptation does not have, or makes nothing of clips without labels that are given.
    """
    chosen = find_method(name)
    if chosen.needs_validation:
        raise VoicefitError(f"method {name} needs clips to validate on besides the shots; take another")
    if has_unlabelled and not chosen.uses_unlabelled:
        raise VoicefitError(f"method {name} learns nothing from unlabelled clips; method joint does")
    try:
        return chosen.configured(**settings)
    except ValidationError as error:
        fault = error.errors()[0]
        place = "".join(f"{part}: " for part in fault["loc"][:1])
        raise VoicefitError(f"settings of {name}: {place}{fault['msg'].removeprefix('Value error, ')}") from error
