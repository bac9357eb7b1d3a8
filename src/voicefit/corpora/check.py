"""Check of a corpus before use: whether every clip loads, is unique, audible and labelled."""

import hashlib
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from voicefit.audio import SAMPLE_RATE, SILENCE_PEAK, AudioError, read_recording
from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo
from voicefit.corpora.left_out import Account
from voicefit.corpora.same_audio import find_same_audio

KINDS = (
    "missing",
    "unreadable",
    "empty",
    "too-short",
    "too-long",
    "read-in-part",
    "near-silent",
    "clipped",
    "duplicate",
    "overlap",
    "unlabelled",
)
"""The kinds of finding, the gravest first. Clips of the first five kinds cannot be loaded."""

CLIPPED_RUN = 3
"""A clip is clipped if so many consecutive samples are at full scale, see :mod:`voicefit.audio.flat_tops`.

One or two are the peak of a recording that was normalised to full scale, as all of EmoDB was.
"""

UNLABELLED = "unlabelled"
"""Clips without a label are counted under this name."""

_EXAMPLES = 3
"""The terminal shows so many examples of each kind of finding."""


@dataclass(frozen=True)
class Finding:
    """A finding about one clip.

    Attributes:
        clip_id: the clip.
        kind: one of :data:`KINDS`.
        detail: the finding in words.
    """

    clip_id: str
    kind: str
    detail: str


@dataclass(frozen=True)
class ClipFacts:
    """Measurements of one clip that loads.

    Attributes:
        clip_id: the clip.
        seconds: its duration.
        rate: samples per second in the file.
        channels: channels in the file.
        peak: the largest distance from the mean of the 16 kHz waveform; 1.0 is full scale.
        digest: hash of the 16 kHz waveform.
    """

    clip_id: str
    seconds: float
    rate: int
    channels: int
    peak: float
    digest: str


@dataclass(frozen=True)
class Difference:
    """A count that differs from the published one.

    Attributes:
        what: ``clips``, ``speakers`` or ``clips of LABEL``.
        expected: the published count.
        found: the count in this copy of the corpus.
    """

    what: str
    expected: int
    found: int


@dataclass(frozen=True)
class CheckReport:
    """The result of :func:`check_corpus`.

    Attributes:
        name: the user's name for the corpus.
        root: its folder.
        info: its terms of use and published counts.
        counts: speaker → label → number of clips, broken ones included; :data:`UNLABELLED` for no label.
        clips: the clips that load, in the corpus's order.
        findings: the findings, in the corpus's order.
        differences: the differences from the published counts.
        account: what was given beside the clips, and is not used.
    """

    name: str
    root: Path
    info: CorpusInfo
    counts: dict[str, dict[str, int]]
    clips: tuple[ClipFacts, ...]
    findings: tuple[Finding, ...]
    differences: tuple[Difference, ...]
    account: Account = field(default_factory=Account)

    @property
    def totals(self) -> dict[str, Any]:
        """Clips, speakers, labels, hours, extreme and median seconds, and clips per rate and per channels.

        Durations, rates and channels are those of the clips that load; ``None`` if there are none.
        """
        seconds = [clip.seconds for clip in self.clips]
        return {
            "clips": sum(sum(row.values()) for row in self.counts.values()),
            "speakers": len(self.counts),
            "labels": len(self.labels),
            "hours": sum(seconds) / 3600,
            "min_seconds": min(seconds, default=None),
            "median_seconds": statistics.median(seconds) if seconds else None,
            "max_seconds": max(seconds, default=None),
            "rates": dict(sorted(Counter(clip.rate for clip in self.clips).items())),
            "channels": dict(sorted(Counter(clip.channels for clip in self.clips).items())),
        }

    @property
    def labels(self) -> list[str]:
        """The labels that occur, sorted; not :data:`UNLABELLED`."""
        return sorted({label for row in self.counts.values() for label in row} - {UNLABELLED})

    def of_kind(self, kind: str) -> list[Finding]:
        """Return the findings of one kind."""
        return [finding for finding in self.findings if finding.kind == kind]

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain data for ``json``, with text for the keys of ``rates`` and ``channels``."""
        totals = self.totals
        for key in ("rates", "channels"):
            totals[key] = {str(value): count for value, count in totals[key].items()}
        return {
            "name": self.name,
            "root": str(self.root),
            "info": asdict(self.info),
            "totals": totals,
            "counts": self.counts,
            "differences": [asdict(difference) for difference in self.differences],
            "findings": [asdict(finding) for finding in self.findings],
            "clips": [asdict(clip) for clip in self.clips],
            "account": asdict(self.account),
        }


def check_corpus(
    corpus: Corpus, progress: Callable[[int, int], None] | None = None, heard: float | None = None
) -> CheckReport:
    """Decode every clip of a corpus and report what is wrong. A broken clip is a finding, never an error.

    Args:
        corpus: the corpus to check.
        progress: called after each clip with the number done and the number of all.
        heard: a model reads so many seconds of a clip, from its start; only these are looked at. All, if left out.
    """
    facts: list[ClipFacts] = []
    findings: list[Finding] = []
    first_with: dict[str, Clip] = {}
    for done, clip in enumerate(corpus.clips, start=1):
        measured, clip_findings = _check_clip(clip, heard)
        if measured is not None:
            facts.append(measured)
            clip_findings += _duplicate(clip, first_with.setdefault(measured.digest, clip))
        if clip.label is None:
            clip_findings.append(Finding(clip.id, "unlabelled", "has no label"))
        findings += clip_findings
        if progress is not None:
            progress(done, len(corpus.clips))
    overlaps = [pair for pair in find_same_audio(corpus.clips) if pair.kind == "overlap"]
    findings += [Finding(pair.clip.id, "overlap", str(pair).removeprefix(f"{pair.clip.id} ")) for pair in overlaps]
    return CheckReport(
        name=corpus.name,
        root=corpus.root,
        info=corpus.info,
        counts=_count(corpus),
        clips=tuple(facts),
        findings=tuple(findings),
        differences=_differences(corpus),
        account=corpus.account,
    )


def _check_clip(clip: Clip, heard: float | None) -> tuple[ClipFacts | None, list[Finding]]:
    """Return facts about a clip, ``None`` if it does not load, and the findings that concern it alone."""
    try:
        recording = read_recording(clip.path, clip.start, clip.end, channel=clip.channel)
        seconds, remarks = len(recording.waveform) / SAMPLE_RATE, recording.remarks
        is_cut = heard is not None and seconds > heard
        if is_cut and heard is not None:  # what is not read says nothing about what is
            recording = read_recording(clip.path, clip.start, clip.start + heard, channel=clip.channel)
    except AudioError as error:
        return None, [Finding(clip.id, error.kind, str(error))]
    except OSError as error:  # for instance, no permission to read the folder
        return None, [Finding(clip.id, "unreadable", str(error))]
    waveform, part = recording.waveform, f"of its first {heard:g} s, " if is_cut else ""
    # The distance from the mean: a recording with a constant offset may still be silent.
    peak = float(np.abs(waveform - waveform.mean()).max())
    digest = hashlib.sha256(waveform.tobytes()).hexdigest()
    facts = ClipFacts(clip.id, seconds, recording.rate, recording.channels, peak, digest)
    findings = [Finding(clip.id, "read-in-part", words) for words in remarks]
    if peak < SILENCE_PEAK:
        level = f"{20 * np.log10(peak):.0f} dBFS" if peak > 0 else "zero"
        findings.append(Finding(clip.id, "near-silent", f"{part}its loudest sample is {level}"))
    if recording.flat >= CLIPPED_RUN:
        findings.append(Finding(clip.id, "clipped", f"{part}up to {recording.flat} consecutive samples at full scale"))
    return facts, findings


def _duplicate(clip: Clip, first: Clip) -> list[Finding]:
    if first is clip:
        return []
    detail = f"same samples as {first.id}"
    if first.label != clip.label:
        detail += f", which is labelled {first.label or 'not at all'}, this one {clip.label or 'not at all'}"
    if first.speaker != clip.speaker:
        detail += f"; that is of speaker {first.speaker}, this one of {clip.speaker}; held out, either is known"
    return [Finding(clip.id, "duplicate", detail)]


def _count(corpus: Corpus) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {speaker: Counter() for speaker in corpus.speakers}
    for clip in corpus.clips:
        counts[clip.speaker][UNLABELLED if clip.label is None else clip.label] += 1
    return {speaker: dict(sorted(row.items())) for speaker, row in counts.items()}


def _differences(corpus: Corpus) -> tuple[Difference, ...]:
    labels = Counter(clip.label for clip in corpus.clips)
    compared = (
        ("clips", corpus.info.expected_clips, len(corpus.clips)),
        ("speakers", corpus.info.expected_speakers, len(corpus.speakers)),
        *((f"clips of {label}", count, labels[label]) for label, count in corpus.info.expected_labels.items()),
    )
    return tuple(
        Difference(what, expected, actual)
        for what, expected, actual in compared
        if expected is not None and expected != actual
    )


def render(report: CheckReport) -> RenderableType:
    """Return the report for the terminal: terms of use, totals, speakers × labels, findings with a few examples."""
    # Clip ids and labels are Text, since rich would read square brackets in strings as markup.
    return Group(Text(_heading(report)), _counts_table(report), _findings_table(report))


def _heading(report: CheckReport) -> str:
    info, totals = report.info, report.totals
    lines = [
        f"{report.name}: {info.title}, {report.root}",
        f"licence: {info.licence}; permitted use: {info.usage}" + (f"; {info.homepage}" if info.homepage else ""),
        f"{totals['clips']} clips, {totals['speakers']} speakers, {totals['labels']} labels, {totals['hours']:.2f} h",
    ]
    if report.clips:
        rates = ", ".join(f"{rate} Hz ({count})" for rate, count in totals["rates"].items())
        channels = ", ".join(f"{number} ({count})" for number, count in totals["channels"].items())
        shortest, median, longest = (totals[f"{key}_seconds"] for key in ("min", "median", "max"))
        lines.append(f"{shortest:.2f} to {longest:.2f} s, median {median:.2f} s; {rates}; channels {channels}")
    lines += [f"{item.found} {item.what} found, {item.expected} published" for item in report.differences]
    lines += report.account.lines()
    if not info.homepage and len(report.labels) == 1:  # data of a user's own, or a known corpus under another name
        lines.append("One label alone: if `voicefit corpora list` knows this corpus, give it as NAME=PATH by that name")
    return "\n".join(lines)


def _counts_table(report: CheckReport) -> Table:
    columns = list(report.labels)
    if any(UNLABELLED in row for row in report.counts.values()):
        columns.append(UNLABELLED)
    table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
    table.add_column("speaker")
    for column in [*columns, "all"]:
        table.add_column(Text(column), justify="right")
    for speaker, row in report.counts.items():
        numbers = [row.get(column, 0) for column in columns]
        table.add_row(Text(speaker), *(str(number) for number in [*numbers, sum(numbers)]))
    table.add_section()
    sums = [sum(row.get(column, 0) for row in report.counts.values()) for column in columns]
    table.add_row("all", *(str(number) for number in [*sums, sum(sums)]))
    return table


_REMEDIES = {
    "missing": "fetch these again, or correct the table",
    "unreadable": "fetch these again, or convert them to WAV or FLAC",
    "near-silent": "listen to these",
    "clipped": "listen to these; they were recorded too loud",
    "duplicate": "leave all but one out; one may be among the shots and another be tested",
    "overlap": "shorten the segments; what two share may be among the shots and be tested too",
}
"""What to do about findings of a kind, where there is something to do. None of them stops a sweep."""


def _findings_table(report: CheckReport) -> RenderableType:
    if not report.findings:
        return Text("Nothing to report." if not report.account.lines() else "Nothing else to report.")
    table = Table("finding", "clips", "for instance")
    for kind in KINDS:
        findings = report.of_kind(kind)
        if findings:
            lines = [f"{finding.clip_id}: {finding.detail}" for finding in findings[:_EXAMPLES]]
            if len(findings) > _EXAMPLES:
                lines.append(f"… and {len(findings) - _EXAMPLES} more")
            if kind in _REMEDIES:
                lines.append(f"→ {_REMEDIES[kind]}")
            table.add_row(kind, str(len(findings)), Text("\n".join(lines)))
    return table
