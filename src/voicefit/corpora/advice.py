"""What is odd about clips, in plain words for whoever recorded them."""

from voicefit.corpora.check import CheckReport, Finding

SHORT_SECONDS = 0.5
"""Clips below this hold hardly a word."""


def advice(report: CheckReport, heard_seconds: float) -> dict[str, str]:
    """Clip id → what is odd about a clip that can be used, as "is 0.2 s long and nearly silent".

    Args:
        report: of the clips.
        heard_seconds: how much of a clip the model hears.
    """
    odd: dict[str, list[str]] = {}
    for clip in report.clips:
        if clip.seconds < SHORT_SECONDS:
            odd.setdefault(clip.clip_id, []).append(f"{clip.seconds:.1f} s long")
        elif clip.seconds > heard_seconds:
            heard = f"{clip.seconds:.1f} s long, of which the first {heard_seconds:g} s are heard,"
            odd.setdefault(clip.clip_id, []).append(heard)
    for finding in report.findings:
        if words := _words(finding):
            odd.setdefault(finding.clip_id, []).append(words)
    return {clip_id: f"is {' and '.join(faults).rstrip(',')}" for clip_id, faults in odd.items()}


def _words(finding: Finding) -> str:
    """A finding about a clip that loads; empty for other kinds."""
    if finding.kind == "near-silent":
        return "nearly silent"
    if finding.kind == "clipped":
        return "overdriven (record it again, further from the microphone)"
    if finding.kind == "duplicate":
        return f"a copy: {finding.detail}"
    return ""
