"""The work of a server, for the API and the page: predict, adapt, and give out models."""

import math
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from voicefit.api import Adapted, adapt, grow
from voicefit.audio import SAMPLE_RATE, AudioError, decode_recording
from voicefit.checkpoints.record import RECORD, read_record
from voicefit.checkpoints.start import open_start
from voicefit.checkpoints.support import SHOTS
from voicefit.encoders.front_end import FrontEnd
from voicefit.errors import VoicefitError
from voicefit.prediction.embedding import to_tell
from voicefit.prediction.model import Model, first_guess, load_model
from voicefit.serving.kept_audio import KeptAudio
from voicefit.serving.lane import Lane
from voicefit.serving.limits import Limits, clean_label
from voicefit.serving.sessions import LabelledClip, Session, Sessions, UnknownSessionError
from voicefit.system.files import new_file, write_json
from voicefit.system.hub import MINI, locate, shown_name


@dataclass(frozen=True)
class Served:
    """The model or starting point of a server.

    Attributes:
        name: the name of its directory, to show.
        model: an adapted model, or the first guess of a starting point; ``None`` if that knows no labels.
        guesses: whether ``model`` knows no clip of any voice.
        grown: the adapted model's directory, if clips can be added to those that it was adapted on.
        start: the starting point of adaptations, or ``None`` if it is not on this machine.
        labels: the labels of the corpora behind the starting point.
        max_seconds: models use so much of a clip.
    """

    name: str
    model: Model | None
    guesses: bool
    grown: Path | None
    start: str | None
    labels: tuple[str, ...]
    max_seconds: float


def open_served(source: str) -> Served:
    """Load a starting point, or an adapted model together with the starting point that it names.

    A starting point is loaded once, as a check. That of an adapted model is used only if it is a directory here.

    Raises:
        VoicefitError: ``source`` is neither a starting point nor a model.
    """
    located = locate(source)
    record = read_record(located)
    adapted = record.get("kind") == "adapted"
    named = str(record.get("source", ""))
    start = (named if _is_here(named) else None) if adapted else source
    opened = open_start(located if start == source else start) if start is not None else None
    if opened is not None:
        _ = opened.fixed_encoder  # a start that cannot be loaded is refused before anybody asks
    prior = opened.prior if opened else None
    guess = first_guess(opened) if opened and prior and not adapted else None
    return Served(
        name=Path(source).resolve().name,
        model=load_model(located) if adapted else guess,
        guesses=not adapted,
        grown=located.folder if adapted and start is not None and located.file(SHOTS) else None,
        start=start,
        labels=prior.labels if prior else (),
        max_seconds=FrontEnd.model_validate(record.get("front_end", {})).max_seconds,
    )


def _is_here(source: str) -> bool:
    """Whether a start is a directory of this machine; the hub is not asked."""
    return source == MINI or (bool(source) and (Path(source) / "config.json").is_file())


class Service:
    """The work behind API and page, its queues and its sessions; :meth:`close` removes its files.

    Args:
        served: the model or starting point.
        limits: the limits of requests, queues and sessions.
        kept: keeps the clips of adaptations and predictions; ``None`` keeps none.
    """

    def __init__(self, served: Served, limits: Limits, kept: KeptAudio | None = None):
        self.served, self.limits, self.kept = served, limits, kept
        self._folder = tempfile.TemporaryDirectory(prefix="voicefit-serve-")
        root = Path(self._folder.name)
        self.uploads = root / "uploads"
        self.predicting = Lane("predict", limits.predict_workers, limits.predict_waiting)
        self.adapting = Lane("adapt", limits.adapt_workers, limits.adapt_waiting)
        self.sessions = Sessions(root, limits.sessions, limits.idle_seconds)

    def close(self) -> None:
        """Stop, and forget every session."""
        self.predicting.close()
        self.adapting.close()
        self._folder.cleanup()

    def read_clip(self, content: bytes, name: str) -> np.ndarray:
        """Return the waveform of an uploaded audio file.

        Raises:
            AudioError: see :func:`voicefit.audio.decode_recording`; ``too-long`` also if it has too many bytes.
        """
        return self.hear(content, name)[0]

    def hear(self, content: bytes, name: str) -> tuple[np.ndarray, str]:
        """Return the waveform of an uploaded audio file, and what its sender should know of how it was read.

        Raises:
            AudioError: as :meth:`read_clip`.
        """
        shown = _shown(name)
        if len(content) > self.limits.clip_bytes:
            raise AudioError("too-long", f"{shown}: over {self.limits.clip_bytes / 2**20:.0f} MB")
        recording = decode_recording(content, shown, self.limits.clip_seconds)
        words = to_tell(recording, self.served.max_seconds, "send it in parts to have all of it read")
        return recording.waveform[: int(self.served.max_seconds * SAMPLE_RATE)], words

    def predict(self, waveform: np.ndarray, session: Session | None = None) -> dict[str, float]:
        """Return label → probability, of the session's model, or of the served one.

        Raises:
            VoicefitError: there is no model yet, or its probabilities for this clip are not finite.
        """
        model = session.adapted.model if session and session.adapted else self.served.model
        if model is None:
            raise VoicefitError("there is no model yet; adapt one first")
        if self.kept:
            self.kept.keep_tried(waveform)
        probabilities = model.predict(waveform).probabilities
        if not all(map(math.isfinite, probabilities.values())):
            raise VoicefitError("the model has no answer for this clip; is it damaged?")
        return probabilities

    def adapt(
        self,
        session: Session,
        clips: Sequence[LabelledClip],
        recordings: Sequence[np.ndarray] = (),
        *,
        grown: Path | None = None,
        drop: Sequence[str] = (),
    ) -> Adapted:
        """Fit a model to ``clips`` and keep it in the session; except in ``kept``, clips are on disk only meanwhile.

        Args:
            session: gets the model.
            clips: with their labels.
            recordings: more of the voice, without labels.
            grown: the directory of a model whose clips are kept; these are added. ``None`` begins anew.
            drop: the labels to forget of ``grown``.

        Returns:
            the result of :func:`voicefit.api.adapt` or :func:`voicefit.api.grow`.

        Raises:
            VoicefitError: the starting point is not on this machine, there are too many or too few clips, or the
                session was closed meanwhile.
        """
        if self.served.start is None:
            raise VoicefitError("this server only predicts: the start of its model is not on this machine")
        labelled = [(clean_label(label), waveform) for label, waveform in clips]
        self._check_counts(labelled, recordings, grown)
        if self.kept:
            for label, waveform in labelled:
                self.kept.keep_labelled(label, waveform)
            for waveform in recordings:
                self.kept.keep_recording(waveform)
        begin = self.served.start
        words = [clean_label(label) for label in drop]
        fit = partial(grow, grown, start=begin, drop=words, small=False) if grown else partial(adapt, begin)
        try:
            return self._fit(session, labelled, recordings, fit)
        except OSError as error:
            if session.closed:
                raise UnknownSessionError("the session was closed before its model was made") from error
            raise
        finally:
            if session.closed:
                shutil.rmtree(session.folder, ignore_errors=True)

    def _check_counts(
        self, labelled: Sequence[LabelledClip], recordings: Sequence[np.ndarray], grown: Path | None
    ) -> None:
        before = read_record(grown) if grown else {}
        clips = len(labelled) + sum(before.get("shots", {}).values())
        if clips > self.limits.clips:
            raise VoicefitError(f"{clips} clips; at most {self.limits.clips} can be used")
        unlabelled = len(recordings) + before.get("unlabelled", 0)
        if unlabelled > self.limits.recordings:
            raise VoicefitError(f"{unlabelled} recordings without labels; at most {self.limits.recordings} can be used")
        if not grown and len({label for label, _ in labelled}) < 2:
            raise VoicefitError("give clips of at least two labels")

    def _fit(
        self,
        session: Session,
        labelled: Sequence[LabelledClip],
        recordings: Sequence[np.ndarray],
        fit: Callable[..., Adapted],
    ) -> Adapted:
        out = Path(tempfile.mkdtemp(dir=session.folder, prefix="model-"))
        with tempfile.TemporaryDirectory(dir=session.folder, prefix="clips-") as folder:
            clips, more = Path(folder, "labelled"), Path(folder, "recordings")
            for index, (label, waveform) in enumerate(labelled):
                _write(clips / label / f"{index:03}.wav", waveform)
            for index, waveform in enumerate(recordings):
                _write(more / f"{index:03}.wav", waveform)
            adapted = fit(clips if labelled else None, out=out, unlabelled=more if recordings else None)
        _ = adapted.model  # it is loaded while its folder is there for sure
        write_json(out / RECORD, _without_paths(read_record(out)))
        before, session.adapted, session.model_folder = session.model_folder, adapted, out
        if before is not None:
            before.with_suffix(".zip").unlink(missing_ok=True)
            shutil.rmtree(before, ignore_errors=True)
        return adapted

    def zip_model(self, session: Session) -> Path:
        """Return the session's model as a zip of its `transformers` directory, written at the first call.

        Raises:
            VoicefitError: there is no model yet.
        """
        folder = session.model_folder
        if folder is None:
            raise VoicefitError("there is no model yet; adapt one first")
        path = folder.with_suffix(".zip")
        if not path.is_file():
            with new_file(path) as file, zipfile.ZipFile(file, "w") as archive:
                for part in sorted(folder.iterdir()):
                    archive.write(part, f"voicefit-model/{part.name}")
        return path


def _without_paths(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model's record without paths of this machine, for those who download the model."""
    corpora = [{key: corpus[key] for key in corpus if key != "left_out"} for corpus in record["corpora"]]
    left_out = {
        what if not Path(what).is_absolute() else Path(what).name: why for what, why in record["left_out"].items()
    }
    return {**record, "source": shown_name(record["source"]), "corpora": corpora, "left_out": left_out}


def _write(path: Path, waveform: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, waveform, SAMPLE_RATE, subtype="FLOAT")


def _shown(name: str) -> str:
    """Return the last part of an uploaded file's name, without unprintable characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[:80] or "clip"
