"""Distillation: a small encoder learns from unlabelled audio to predict several layers of a larger one.

The method is DistilHuBERT's (Chang et al. 2022, "DistilHuBERT: Speech representation learning by layer-wise
distillation of hidden-unit BERT", arXiv 2110.01900, section 3): a linear prediction head per teacher layer reads the
student's last layer and is dropped afterwards. There are three changes. The teacher reads clean speech, the student
often a degraded copy. The teacher's outputs are standardised, and their mean at each position is subtracted. The heads
of a student that begins as its teacher begin at a fit, so that no step follows heads drawn at random.
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
from voicefit.distillation.lessons import WINDOW_S, DistillSettings, Lessons, Window, find_windows
from voicefit.distillation.student import build_student, cut_student
from voicefit.encoders import Encoder, FrontEnd, Reading, load_encoder
from voicefit.encoders.load import HEAD_PREFIXES, quiet_transformers
from voicefit.errors import VoicefitError
from voicefit.system.files import new_directory, require_absent, write_json
from voicefit.system.progress import Progress, silent
from voicefit.training import plot_history, seeded_generator

__all__ = ["DistillSettings", "Distilled", "distill", "distillation_loss"]

FROM_TEACHER = "teacher"
"""The name of the student that begins as its teacher's first layers."""


@dataclass(frozen=True)
class Distilled:
    """The result of a distillation.

    Attributes:
        hours: the hours of audio in training.
        held_out_loss: the loss on held-out recordings after the last epoch.
        silent_loss: the loss on the same recordings of a student that predicts zero.
        left_out: file → the reason why it was not used.
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
    """Distill a teacher into a student and write the student to ``out``.

    The student is written as a plain `transformers` encoder, in half precision. A run that is stopped leaves
    ``OUT.unfinished`` beside ``out``; with ``resume`` it resumes from its last epoch. The teacher's outputs are cached:
    for a teacher of width 512, about 50 kB per second of audio for each layer and view, silence included if the
    student pads with it.

    Args:
        teacher: the hub id or directory of an encoder.
        student: ``teacher``, the teacher itself, cut after the first of ``settings.layers``, which are predicted;
            otherwise see :func:`voicefit.distillation.student.build_student`.
        audio: files and folders of unlabelled speech, in any format that libsndfile reads.
        out: the directory to write.
        settings: ``None`` takes the defaults.
        seed: fixes initial weights, held-out recordings, copies and batches.
        cache_root: the folder of the cache; ``None`` is the user's cache folder.
        resume: continue an unfinished run if there is one.
        device: the device that both run on.
        progress: reports every window and every step.

    Raises:
        VoicefitError: ``out`` exists, an unfinished run exists and ``resume`` is false, teacher or student cannot be
            loaded or lack a layer, or too little of the audio can be used.
    """
    require_absent(out)
    settings = settings or DistillSettings()
    unfinished = out.with_name(out.name + ".unfinished")
    if unfinished.exists() and not resume:
        raise VoicefitError(f"{unfinished}: an unfinished run; continue it with --resume, or remove it")
    teacher_encoder = _load_teacher(teacher, settings).to(device)
    from_teacher = student == FROM_TEACHER
    student_encoder = cut_student(teacher, settings.layers[0]) if from_teacher else build_student(student, seed)
    lessons = Lessons(teacher_encoder, student_encoder.to(device), settings, seed, cache_root)
    windows, left_out = find_windows(audio)
    training, held_out = _split(windows, settings.held_out, seed)
    broken = lessons.prepare([*training, *held_out], progress)
    training, held_out = ([w for w in part if w not in broken] for part in (training, held_out))
    if not training or not held_out:
        raise VoicefitError("too little audio to learn from: at least two recordings of half a second are needed")
    lessons.standardise(training)
    identity = _identity(lessons, training, held_out, student)
    distiller = Distiller(student_encoder, lessons, training, held_out, settings, seed)
    if not distiller.load_state(unfinished, identity) and from_teacher:
        distiller.fit_heads()
    while len(distiller.history) < settings.epochs:
        distiller.run_epoch(progress)
        distiller.save_state(unfinished, identity)
    result = Distilled(
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
        **asdict(result),
    }
    _save(student_encoder, out, record, pd.DataFrame(distiller.history))
    for path in unfinished.iterdir():
        path.unlink()
    unfinished.rmdir()
    return result


def _load_teacher(source: str | Path, settings: DistillSettings) -> Encoder:
    if sorted(set(settings.layers)) != list(settings.layers) or settings.layers[0] < 1:
        raise VoicefitError(f"layers {settings.layers}: give different numbers from 1, rising")
    return load_encoder(source, Reading(depth=settings.layers[-1], front_end=FrontEnd(max_seconds=WINDOW_S)))


def _split(windows: Sequence[Window], share: float, seed: int) -> tuple[list[Window], list[Window]]:
    """Return training and held-out windows; those of one recording stay together."""
    paths = sorted({window.path for window in windows})
    count = max(1, round(share * len(paths)))
    chosen = seeded_generator(seed, "held-out").permutation(len(paths))[:count]
    held_out = {paths[index] for index in chosen}
    return [w for w in windows if w.path not in held_out], [w for w in windows if w.path in held_out]


def _identity(lessons: Lessons, training: Sequence[Window], held_out: Sequence[Window], student: str | Path) -> str:
    parts: list[Any] = [lessons.folder.name, lessons.settings.model_dump_json(), str(student), str(lessons.seed)]
    parts += [f"{window.path.name}:{window.start}:{window.end}" for window in (*training, *held_out)]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def _save(student: Encoder, out: Path, record: dict[str, Any], history: pd.DataFrame) -> None:
    base = student.model.base_model
    headless = {name: weight for name, weight in base.state_dict().items() if not name.startswith(HEAD_PREFIXES)}
    with new_directory(out) as folder:
        with quiet_transformers():
            base.save_pretrained(folder, state_dict=headless)
        student.feature_extractor.save_pretrained(folder)
        checkpoint.halve_weights(folder)
        write_json(folder / "distillation.json", {**record, "voicefit": version("voicefit")})
        history.to_csv(folder / "history.csv", index=False)
        losses = {"train_loss": "training, degraded", "held_out_loss": "held out"}
        plot_history(history, {"distillation loss": losses}, folder / "curves.png")
