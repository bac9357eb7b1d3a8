"""Clips that hold the same audio, whatever they are called: links, copies, other encodings, segments that overlap."""

import contextlib
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

from voicefit.audio import AudioError, load_waveform, waveform_length
from voicefit.corpora.corpus import Clip, Corpus
from voicefit.system.digests import Known, combined_digest, file_digest, known_of, learn
from voicefit.system.forks import map_in_forks

Kind = Literal["file", "bytes", "samples", "overlap"]

_WORDS: dict[Kind, str] = {
    "file": "is the same file as",
    "bytes": "has the same bytes as",
    "samples": "has the same samples as",
    "overlap": "overlaps",
}

_GLANCE_S = 0.25
"""Of clips that are equally long, their first so many seconds are compared first; few are then read whole."""


@dataclass(frozen=True)
class SameAudio:
    """Two clips with the same audio, or a part of it.

    Attributes:
        clip: the one.
        other: the other.
        kind: how it is known; ``overlap`` is of segments of one file, or of copies of it.
    """

    clip: Clip
    other: Clip
    kind: Kind

    def __str__(self) -> str:
        """What is the same, as messages say it."""
        return f"{self.clip.id} {_WORDS[self.kind]} {self.other.id}"


class _Unit(NamedTuple):
    """A file, or a segment or channel of one."""

    path: Path
    start: float = 0.0
    end: float | None = None
    channel: int | None = None


_ByBytes = dict[str, list[_Unit]]
"""Digest of bytes → the units that have them."""


def clip_audio(clip: Clip) -> str:
    """Return a digest of a clip's audio: the bytes of its file, and its bounds."""
    return _bytes_digest(_unit(clip))


def corpus_audio(corpus: Corpus) -> str:
    """Return a digest of the ids of a corpus's clips and of their audio, wherever the files are."""
    parts = (part for clip in corpus.clips for part in (clip.id, clip_audio(clip)))
    return combined_digest(part.encode(errors="surrogateescape") for part in parts)


def find_same_audio(
    clips: Sequence[Clip], others: Sequence[Clip] = (), progress: Callable[[], None] | None = None
) -> list[SameAudio]:
    """Return the clips whose audio is in another one, each with the first of these.

    Bytes are compared first. Of clips that are equally long by their headers, the beginning is decoded and compared,
    and of those that are then still alike, all samples. A clip that cannot be read is like its own copies alone.

    Args:
        clips: each is compared with those before it.
        others: each clip is compared with these first; they are not compared with each other.
        progress: called after each clip, the others included.
    """
    audio = _audio_of(clips, others, progress)
    by_audio: dict[Hashable, Clip] = {}
    by_file: dict[Hashable, list[Clip]] = defaultdict(list)
    found: list[SameAudio] = []
    for place, clip in enumerate(chain(others, clips)):
        mine, its_file = audio[_unit(clip)], by_file[audio[_Unit(clip.path, channel=clip.channel)]]
        if place >= len(others):
            same = by_audio.get(mine)
            overlapping = None if same else next((other for other in its_file if _overlap(clip, other)), None)
            if same:
                found.append(SameAudio(clip, same, _kind(clip, same)))
            elif overlapping:
                found.append(SameAudio(clip, overlapping, "overlap"))
        by_audio.setdefault(mine, clip)
        its_file.append(clip)
    return found


def _unit(clip: Clip) -> _Unit:
    return _Unit(clip.path, clip.start, clip.end, clip.channel)


def _overlap(clip: Clip, other: Clip) -> bool:
    infinity = float("inf")
    first_end, second_end = (infinity if c.end is None else c.end for c in (clip, other))
    return clip.start < second_end and other.start < first_end


def _kind(clip: Clip, other: Clip) -> Kind:
    if os.path.realpath(clip.path) == os.path.realpath(other.path):
        return "file"
    return "bytes" if clip_audio(clip) == clip_audio(other) else "samples"


def _audio_of(
    clips: Sequence[Clip], others: Sequence[Clip], progress: Callable[[], None] | None
) -> dict[_Unit, Hashable]:
    """Return for each file and segment what those of the same samples share, and no other has."""
    wanted = {unit for clip in clips for unit in _units(clip)}
    by_length: dict[int, _ByBytes] = defaultdict(lambda: defaultdict(list))
    files = list(dict.fromkeys(clip.path for clip in chain(clips, others)))
    read: set[Path] = set()
    seen: set[_Unit] = set()
    with contextlib.closing(map_in_forks(_read_file, files)) as known:
        for clip in chain(clips, others):
            if clip.path not in read:  # files come in the order of their first clips
                learn(clip.path, next(known))
                read.add(clip.path)
            for unit in _units(clip) - seen:
                length = waveform_length(unit.path, unit.start, unit.end)
                by_length[length][_bytes_digest(unit)].append(unit)
                seen.add(unit)
            if progress:
                progress()
    alike = {
        length: by_bytes
        for length, by_bytes in by_length.items()
        if length and len(by_bytes) > 1 and not wanted.isdisjoint(chain.from_iterable(by_bytes.values()))
    }
    compared = dict(zip(alike, map_in_forks(_same_samples, list(alike.values())), strict=True))
    audio: dict[_Unit, Hashable] = {}
    for length, by_bytes in by_length.items():
        for names in compared.get(length) or [[name] for name in by_bytes]:
            audio.update((unit, (length, names[0])) for name in names for unit in by_bytes[name])
    return audio


def _units(clip: Clip) -> set[_Unit]:
    """Return what of a clip is compared: it, and all of its file."""
    return {_Unit(clip.path, channel=clip.channel), _unit(clip)}


def _read_file(path: Path) -> Known:
    """Read the length and the bytes of a file, and return what is then known of it."""
    waveform_length(path)
    file_digest(path)
    return known_of(path)


def _same_samples(by_bytes: _ByBytes) -> list[list[str]]:
    """Return the digests of bytes in groups that stand for the same samples."""
    glanced = _alike(list(by_bytes), by_bytes, _GLANCE_S)
    return [names for alike in glanced for names in _alike(alike, by_bytes, None)]


def _alike(names: list[str], by_bytes: _ByBytes, seconds: float | None) -> list[list[str]]:
    """Group digests of bytes by the samples that they stand for, or by the first so many seconds of them."""
    if len(names) < 2:
        return [names]
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[_samples_digest(by_bytes[name][0], seconds) or name].append(name)
    return list(groups.values())


def _samples_digest(unit: _Unit, seconds: float | None) -> str:
    """Return a digest of a unit's samples, or of the first of them; empty where it cannot be read."""
    end = unit.end
    if seconds is not None and (end is None or end > unit.start + seconds):
        end = unit.start + seconds
    try:
        return hashlib.sha256(load_waveform(unit.path, unit.start, end, channel=unit.channel).tobytes()).hexdigest()
    except (AudioError, OSError):
        return ""


def _bytes_digest(unit: _Unit) -> str:
    """Return a digest of a unit's bytes and bounds; where they cannot be read, one of its path."""
    content = file_digest(unit.path) or os.path.realpath(unit.path).encode(errors="surrogateescape")
    channel = "" if unit.channel is None else f":{unit.channel}"
    return combined_digest([f"{unit.start}:{unit.end}{channel}".encode(), content])
