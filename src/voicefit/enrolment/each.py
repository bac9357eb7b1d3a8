"""A model for each of several speakers, in one call."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from voicefit.audio.find import look_into, printable
from voicefit.checkpoints.start import Start
from voicefit.corpora import Corpus, audiofolder
from voicefit.corpora.labels import settle_labels
from voicefit.corpora.left_out import Account
from voicefit.corpora.recordings import Recordings, load_recordings, same_name
from voicefit.corpora.table import is_table
from voicefit.enrolment.adapt import adapt_to
from voicefit.enrolment.beginning import open_repeatable
from voicefit.enrolment.clips import load_labelled, load_voice
from voicefit.enrolment.fitting import Adapted
from voicefit.enrolment.request import Request, check_output
from voicefit.errors import VoicefitError
from voicefit.system.progress import Progress, silent


@dataclass(frozen=True)
class Speaker:
    """One of several speakers, and the model of this voice.

    Attributes:
        name: of the speaker.
        out: the model's directory.
        adapted: the model and what it was made of; ``None`` where there is none.
        error: why there is none, else empty.
    """

    name: str
    out: Path
    adapted: Adapted | None = None
    error: str = ""


def adapt_each(
    start: str | Path,
    clips: str | Path,
    *,
    out: str | Path,
    method: str | None = None,
    settings: Mapping[str, Any] | None = None,
    unlabelled: str | Path | None = None,
    channel: int | None = None,
    speech: bool = False,
    small: bool = False,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress = silent,
) -> tuple[list[Speaker], dict[str, str]]:
    """Fit a model to each of several speakers, and write it to ``out/SPEAKER``.

    What goes wrong with one speaker does not stop the others. The start is opened once.

    Args:
        start: directory or hub id of a pre-finetuned checkpoint or a plain encoder.
        clips: a folder with a folder per speaker, each with a folder of audio files per label; or a table with a
            column of speakers.
        out: the directory to write the models into.
        method: as in :func:`voicefit.adapt`.
        settings: what differs from the method's default settings.
        unlabelled: a folder with a folder per speaker, of more recordings, or a table with a column of speakers; a
            speaker may have none.
        channel: the number of the one channel to take of each recording, from 1; left out, all are mixed.
        speech: leave out clips in which nobody speaks, and name them; needs the extra ``speech``.
        small: write the heads alone.
        seed: fixes what the method draws at random.
        overwrite: take the place of adapted models that are there.
        progress: reports every clip.

    Returns:
        the speakers, in the order of their names; and what else was given → why it is not used.

    Raises:
        VoicefitError: the start or the clips cannot be loaded, the clips are of one voice, a model's directory is
            taken, or the method or a setting of it is unknown.
    """
    request = Request(
        clips,
        Path(out),
        method=method,
        settings=settings or {},
        unlabelled=None if unlabelled is None else Path(unlabelled),
        channel=channel,
        speech=speech,
        small=small,
        seed=seed,
        overwrite=overwrite,
        progress=progress,
    )
    request.check_method()
    voices, left_out = _voices(Path(clips).expanduser(), channel)
    recordings, more = ({}, {}) if unlabelled is None else speakers_recordings(Path(unlabelled), set(voices), channel)
    for name in voices:
        check_output(request.out / name, overwrite=overwrite)
    begin = open_repeatable(start)
    request.chosen(begin)
    found = [_adapted(begin, name, voice, request, recordings.get(name)) for name, voice in voices.items()]
    return found, left_out | more


def _adapted(
    begin: Start, name: str, voice: Corpus | Path, request: Request, recordings: Path | Recordings | None
) -> Speaker:
    """Adapt to one speaker; what is wrong with the clips is said, and goes no further."""
    mine = replace(request, clips=f"{request.clips}/{name}", out=request.out / name, unlabelled=recordings)
    lacks = request.unlabelled is not None and recordings is None
    remarks = (f"{request.unlabelled} has no recordings of this speaker",) if lacks else ()
    try:
        corpus = load_voice(voice, request.channel) if isinstance(voice, Path) else voice
        trains = mine.chosen(begin).method.trains_encoder
        with begin.encoder.restored() if trains else nullcontext():
            adapted = adapt_to(begin, corpus, mine)
    except (VoicefitError, OSError) as error:
        return Speaker(name, mine.out, error=str(error))
    return Speaker(name, mine.out, replace(adapted, remarks=(*remarks, *adapted.remarks)))


def _voices(clips: Path, channel: int | None) -> tuple[dict[str, Corpus | Path], dict[str, str]]:
    """Return speaker → folder or clips, in the order of their names, and what else is there → why it is not used.

    Raises:
        VoicefitError: there are no clips, or those of one voice.
    """
    if not clips.is_dir() or audiofolder.find_metadata(clips):
        return _in_table(clips, channel)
    found = look_into(clips)
    depths = {len(path.relative_to(clips).parts) for path in found.recordings}
    if not depths and audiofolder.find_parquet(clips):
        return _in_table(clips, channel)
    if not depths or max(depths) < _DEPTH:
        raise VoicefitError(f"{clips}: holds no <speaker>/<label>/<audio file>; leave --each out for one voice")
    folders = sorted(folder for folder in found.folders if folder.parent == clips)
    above = {
        path: "lies in no folder of a speaker" for path in (*found.recordings, *found.others) if path.parent == clips
    }
    above |= {path: why for path, why in found.left_out.items() if path.parent == clips}
    return {printable(folder.name): folder for folder in folders}, {
        printable(path.name): why for path, why in above.items()
    }


def speakers_recordings(
    unlabelled: Path, speakers: set[str], channel: int | None
) -> tuple[dict[str, Path | Recordings], dict[str, str]]:
    """Return speaker → recordings without labels, and what else is there → why it is not used.

    Args:
        unlabelled: a folder with a folder per speaker, or a table with a column of speakers.
        speakers: those who have labelled clips.
        channel: the number of the one channel to take, unless a table names one.

    Raises:
        VoicefitError: it is neither, the table is wrong, or it has recordings of none of the speakers.
    """
    unlabelled = unlabelled.expanduser()
    by_name: dict[str, Path | Recordings] = {}
    if unlabelled.is_dir():
        found = look_into(unlabelled, depth=2)
        by_name |= {
            same_name(printable(folder.name)): folder for folder in found.folders if folder.parent == unlabelled
        }
        stray = [path for path in (*found.recordings, *found.left_out) if path.parent == unlabelled]
        left_out = {printable(path): "lies in no folder of a speaker" for path in stray}
    elif is_table(unlabelled):
        recordings = load_recordings(unlabelled, channel)
        by_name |= recordings.by_speaker()
        left_out = recordings.account.left_out
    else:
        raise VoicefitError(
            f"{unlabelled}: neither a folder with a folder of recordings per speaker nor a table with a column speaker"
        )
    for name in sorted(by_name.keys() - {same_name(speaker) for speaker in speakers}):
        left_out[f"{unlabelled}, {name}"] = "no labelled clip is of this speaker"
    recordings_of = {name: by_name[same_name(name)] for name in speakers if same_name(name) in by_name}
    if not recordings_of:
        raise VoicefitError(
            f"{unlabelled}: has recordings of none of the speakers ({', '.join(sorted(speakers))}); name its folders, "
            "or the values of its column speaker, after them"
        )
    return recordings_of, left_out


_DEPTH = 3
"""A path like ``<speaker>/<label>/<audio>`` has so many parts."""


def _in_table(clips: Path, channel: int | None) -> tuple[dict[str, Corpus | Path], dict[str, str]]:
    corpus = load_labelled(clips, channel)
    if corpus.speakers == [corpus.name]:
        raise VoicefitError(f"{clips}: names no speakers, in a column speaker; leave --each out for one voice")
    for name in corpus.speakers:
        if Path(name).name != name or name in (".", ".."):
            raise VoicefitError(f"{clips}: speaker {name!r} cannot be the name of a folder; write it without slashes")
    return {name: voice for name, voice in _by_speaker(corpus)}, corpus.account.left_out


def _by_speaker(corpus: Corpus) -> Iterator[tuple[str, Corpus]]:
    """Each speaker's clips; what words their labels become does not depend on how others call theirs."""
    for name in corpus.speakers:
        account = Account()
        clips = [clip for clip in corpus.clips if clip.speaker == name]
        labels = settle_labels({clip.native_label for clip in clips}, account)
        own = tuple(replace(clip, label=labels[clip.native_label]) for clip in clips)
        yield name, replace(corpus, clips=own, account=account)
