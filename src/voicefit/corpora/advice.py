"""Advice about unusual clips, in plain words for the person who recorded them."""

from voicefit.corpora.check import CheckReport, Finding

SHORT_CLIP_S = 0.5
"""Clips shorter than so many seconds hold hardly a word."""


def advice(report: CheckReport, max_seconds: float) -> dict[str, str]:
    """Return clip id → what is unusual about a clip that can be used, as "is 0.2 s long and nearly silent".

    Args:
        report: the report of a check of the clips.
        max_seconds: the model reads so much of a clip.
    """
    faults: dict[str, list[str]] = {}
    for clip in report.clips:
        if clip.seconds < SHORT_CLIP_S:
            faults.setdefault(clip.clip_id, []).append(f"{clip.seconds:.1f} s long")
        elif clip.seconds > max_seconds:
            fault = f"{clip.seconds:.1f} s long, of which the first {max_seconds:g} s are used,"
            faults.setdefault(clip.clip_id, []).append(fault)
    for finding in report.findings:
        if words := _words(finding):
            faults.setdefault(finding.clip_id, []).append(words)
    return {clip_id: f"is {' and '.join(words).rstrip(',')}" for clip_id, words in faults.items()}


def _words(finding: Finding) -> str:
    """Return a finding about a clip that loads, in words; empty for other kinds."""
    if finding.kind == "near-silent":
        return "nearly silent"
    if finding.kind == "clipped":
        return "overdriven (record it again, further from the microphone)"
    if finding.kind == "read-in-part":
        return f"read in part: {finding.detail}"
    if finding.kind == "duplicate":
        return f"a copy: {finding.detail}"
    return ""
