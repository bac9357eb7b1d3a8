"""Distillation: a small wav2vec 2.0 learns from unlabelled audio what several layers of a larger encoder say.

As DistilHuBERT (Chang et al. 2022, "DistilHuBERT: Speech representation learning by layer-wise distillation of
hidden-unit BERT", arXiv 2110.01900, section 3): the student's last layer, and a linear prediction head per teacher
layer that is dropped afterwards. Departures: the teacher hears clean speech and the student now and then a degraded
copy; what the teacher says is standardised, and freed of what it says of a position whatever is spoken there.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from voicefit.checkpoints import checkpoint
from voicefit.distillation.distiller import Distiller, distillation_loss
from voicefit.distillation.inherit import inherit, make_heir
from voicefit.distillation.lessons import WINDOW, DistillSettings, Lessons, Window, find_windows
from voicefit.distillation.student import build_student
from voicefit.encoders import Encoder, FrontEnd, load_encoder
from voicefit.encoders.load import quiet_transformers
from voicefit.errors import VoicefitError
from voicefit.system.files import new_directory, require_absent, write_json
from voicefit.system.progress import Progress, silent
from voicefit.training import seeded_generator

__all__ = ["DistillSettings", "Distilled", "distill", "distillation_loss"]

HEIR = "teacher"
"""The name of the student that begins at its teacher's weights."""

_HEARD = 150
"""Windows on which its filter bank is mapped to what the teacher hears."""


@dataclass(frozen=True)
class Distilled:
    """What a distillation came to.

    Attributes:
        hours: of audio that were learnt from.
        held_out_loss: on recordings that were not, after the last epoch.
        silent_loss: on the same, of a student that says zero.
        left_out: file → why it was not used.
    """

    hours: float
    held_out_loss: float
    silent_loss: float
    left_out: dict[str, str]


def distill(
    teacher: str | Path,
    student: str | Path,
    audio: Sequence[Path],
    out: Path,
    *,
    settings: DistillSettings | None = None,
    seed: int = 0,
    cache_root: Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    progress: Progress = silent,
) -> Distilled:
    """Distil a teacher into a student and write the student to ``out``.

    What is written is a plain `transformers` encoder, in half precision. A run that is stopped leaves
    ``OUT.unfinished`` beside ``out``; with ``resume`` it goes on from its last epoch. What the teacher says is cached:
    about 50 kB a second of audio for each layer and view, where the teacher is 512 wide.

    Args:
        teacher: hub id or directory of an encoder.
        student: ``teacher``, which begins at a Whisper teacher's own first layers
            (:mod:`voicefit.distillation.inherit`), or see :func:`voicefit.distillation.student.build_student`.
        audio: files and folders of unlabelled speech, in any format that libsndfile reads.
        out: the directory to write.
        settings: ``None`` takes the defaults.
        seed: fixes initial weights, held-out recordings, copies and batches.
        cache_root: where the teacher's outputs are kept; ``None`` is the user's cache folder.
        resume: continue an unfinished run if there is one.
        device: where both run.
        progress: told of every window and every step.

    Raises:
        VoicefitError: ``out`` exists, an unfinished run exists and ``resume`` is false, teacher or student cannot be
            loaded or lack a layer, or too little of the audio can be used.
    """
    require_absent(out)
    settings = settings or DistillSettings()
    unfinished = out.with_name(out.name + ".unfinished")
    if unfinished.exists() and not resume:
        raise VoicefitError(f"{unfinished}: an unfinished run; continue it with --resume, or remove it")
    master = _load_teacher(teacher, settings).to(device)
    pupil = (make_heir(master, seed) if student == HEIR else build_student(student, seed)).to(device)
    lessons = Lessons(master, pupil, settings, seed, cache_root)
    windows, left_out = find_windows(audio)
    training, held_out = _split(windows, settings.held_out, seed)
    broken = lessons.prepare([*training, *held_out], progress)
    training, held_out = ([w for w in part if w not in broken] for part in (training, held_out))
    if not training or not held_out:
        raise VoicefitError("too little audio to learn from: two recordings of half a second at least are needed")
    if student == HEIR:
        some = training[:: max(1, len(training) // _HEARD)]
        inherit(pupil, master, [lessons.read(window, 0)[0] for window in some])
    lessons.standardise(training)
    identity = _identity(lessons, training, held_out, student)
    distiller = Distiller(pupil, lessons, training, held_out, settings, seed)
    distiller.load_state(unfinished, identity)
    while len(distiller.history) < settings.epochs:
        distiller.run_epoch(progress)
        distiller.save_state(unfinished, identity)
    found = Distilled(
        hours=sum(window.end - window.start for window in training) / 3600,
        held_out_loss=distiller.history[-1]["held_out_loss"],
        silent_loss=distiller.silent_loss(),
        left_out=left_out | {str(window.path): reason for window, reason in broken.items()},
    )
    record = {
        "kind": "distilled",
        "teacher": str(teacher),
        "student": str(student),
        "seed": seed,
        "settings": settings.model_dump(),
        "windows": len(training),
        "held_out_windows": len(held_out),
        **asdict(found),
    }
    _save(pupil, out, record, pd.DataFrame(distiller.history))
    for path in unfinished.iterdir():
        path.unlink()
    unfinished.rmdir()
    return found


def _load_teacher(source: str | Path, settings: DistillSettings) -> Encoder:
    if sorted(set(settings.layers)) != list(settings.layers) or settings.layers[0] < 1:
        raise VoicefitError(f"layers {settings.layers}: give different numbers from 1, rising")
    return load_encoder(source, depth=settings.layers[-1], front_end=FrontEnd(max_seconds=WINDOW))


def _split(windows: Sequence[Window], share: float, seed: int) -> tuple[list[Window], list[Window]]:
    """Training and held-out windows; those of one recording stay together."""
    paths = sorted({window.path for window in windows})
    count = max(1, round(share * len(paths)))
    chosen = seeded_generator(seed, "held-out").permutation(len(paths))[:count]
    out = {paths[index] for index in chosen}
    return [w for w in windows if w.path not in out], [w for w in windows if w.path in out]


def _identity(lessons: Lessons, training: Sequence[Window], held_out: Sequence[Window], student: str | Path) -> str:
    parts: list[Any] = [lessons.folder.name, lessons.settings.model_dump_json(), str(student), str(lessons.seed)]
    parts += [f"{window.path.name}:{window.start}:{window.end}" for window in (*training, *held_out)]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def _save(student: Encoder, out: Path, record: dict[str, Any], history: pd.DataFrame) -> None:
    with new_directory(out) as folder:
        with quiet_transformers():
            student.model.base_model.save_pretrained(folder)
        student.feature_extractor.save_pretrained(folder)
        checkpoint.halve_weights(folder)
        write_json(folder / "distillation.json", {**record, "voicefit": version("voicefit")})
        history.to_csv(folder / "history.csv", index=False)
        _plot(history, folder / "curves.png")


def _plot(history: pd.DataFrame, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5, 3.2), layout="constrained")
    axes = figure.subplots()
    for column, label in (("train_loss", "training, degraded"), ("held_out_loss", "held out")):
        axes.plot(history["epoch"], history[column], label=label, marker=".")
    axes.set(title="distillation loss", xlabel="epoch")
    axes.legend(frameon=False, fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
