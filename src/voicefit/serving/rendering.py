"""What the page shows, as HTML: clips, answers, and what there is to know of a model."""

import html
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from voicefit.api import Adapted
from voicefit.audio import SAMPLE_RATE, SILENCE_PEAK
from voicefit.corpora.advice import SHORT_CLIP_S
from voicefit.serving.service import Service
from voicefit.serving.sessions import LabelledClip

_FILE = re.compile(r"^\S+/\d{3}\.wav")
"""A clip is a file of this name while a model is adapted; nobody knows it by that."""


def heading(number: int, title: str, about: str) -> str:
    """Return the heading of a step, and a line about it."""
    return f"<h2><span class='number'>{number}</span> {title}</h2><p class='about'>{about}</p>"


def introduction(service: Service) -> str:
    """Return what the page is for, what it keeps, and what it must not be used for."""
    served = service.served
    purpose = (
        "Teach it one voice from a few clips; it then tells which of your labels a new clip sounds like."
        if served.start is not None
        else f"The model <b>{html.escape(served.name)}</b> tells which of its labels a clip sounds like."
    )
    minutes = service.limits.idle_seconds / 60
    kept_note, removal = (
        "",
        f"Clips stay in this server's memory; they and the model are removed after {minutes:.0f} minutes",
    )
    if service.kept:
        kept_note = (
            "<p class='kept'>This server keeps your voice: clips that you adapt with or try are stored as files, with "
            "their labels, until the person who runs it deletes them.</p>"
        )
        removal = f"The model is removed after {minutes:.0f} minutes"
    return (
        f"<h1>Voicefit</h1><p class='lead'>{purpose}</p>{kept_note}<details><summary>Before you rely on it</summary><p>"
        "The model learnt from acted emotion, and acted emotion is not felt emotion: it tells how a voice sounds, not "
        "what a person feels. Do not use it to judge, rank, monitor or diagnose people. It always answers with one of "
        f"its labels, whatever the clip, and uses the first {served.max_seconds:g} seconds of a clip. {removal} "
        "without use.</p></details>"
    )


def pretty(label: str) -> str:
    """Return a label as people write it."""
    return label.replace("_", " ")


def nothing_yet(service: Service, adapted: bool = False) -> str:
    """Return what stands where an answer will be."""
    if adapted or not service.served.guesses:
        words = "Ready: record a clip."
    elif service.served.model is None:
        words = "There is no model yet: adapt one first."
    else:
        words = "Before it has heard the voice, it makes a first guess: record a clip."
    return f"<p class='about'>{words}</p>"


def render_fault(error: Exception) -> str:
    """Return what is wrong, in a line."""
    return f"<p class='fault'>{html.escape(str(error))}</p>"


def render_recordings(recordings: Sequence[np.ndarray]) -> str:
    """Return how many recordings without labels there are, and how long they are together."""
    if not recordings:
        return "<p class='about'>None yet. They are worth most where few clips have a label.</p>"
    seconds = sum(map(len, recordings)) / SAMPLE_RATE
    count = "1 recording" if len(recordings) == 1 else f"{len(recordings)} recordings"
    return f"<p class='about'>{count} without a label, {seconds:.0f} s in all. They take part when you adapt.</p>"


def render_clips(clips: Sequence[LabelledClip], *, grows: bool = False) -> str:
    """Return the clips by label, each with its length and a fault if it has one.

    Args:
        clips: with their labels.
        grows: they are added to those of a model, which has labels already.
    """
    if not clips:
        return "<p class='about'>No clips yet.</p>"
    counts = Counter(label for label, _ in clips)
    rows = []
    for label, count in counts.items():
        chips = "".join(_chip(waveform) for other, waveform in clips if other == label)
        rows.append(f"<li><b>{html.escape(pretty(label))}</b> <span class='count'>{count}</span> {chips}</li>")
    hint = "" if len(counts) > 1 or grows else "<p class='about'>Give clips of a second label too.</p>"
    return f"<ul class='clips'>{''.join(rows)}</ul>{hint}"


def _chip(waveform: np.ndarray) -> str:
    seconds = len(waveform) / SAMPLE_RATE
    fault = ""
    if np.abs(waveform - waveform.mean()).max() < SILENCE_PEAK:
        fault = "nearly silent"
    elif seconds < SHORT_CLIP_S:
        fault = "very short"
    text = f"{seconds:.1f} s" + (f", {fault}" if fault else "")
    return f"<span class='chip{' fault' if fault else ''}'>{text}</span>"


def render_adapted(adapted: Adapted, address: str) -> str:
    """Return the clips of a model, its leave-one-out result, a link to it, and its unusual clips.

    Args:
        adapted: the adapted model.
        address: the address from which to download it.
    """
    clips = sum(adapted.shots.values())
    link = f"<a href='{html.escape(address)}' download='voicefit-model.zip' id='download'>Download the model</a>"
    lines = [f"<p class='done'>Adapted on {clips} clips of {len(adapted.shots)} labels. {link}</p>"]
    if adapted.leave_one_out is not None:
        right, chance = adapted.leave_one_out.right, adapted.leave_one_out.chance
        tested = len(adapted.leave_one_out.targets)
        left_out = "left out with their copies" if adapted.leave_one_out.copies else "left out"
        few = "From so few clips this is mostly far too low. " if adapted.leave_one_out.is_rough else ""
        lines.append(
            f"<p class='about'>{right} of these {tested} clips were classified correctly when {left_out}; guessing "
            f"gets {chance:.3g}. {few}More clips make it better.</p>"
        )
    for clip_id, words in adapted.advice.items():
        # File names, in the id and after a colon, are not shown: the page gave its files names of its own.
        label, fault = clip_id.rpartition("/")[0], words.partition(":")[0]
        lines.append(f"<p class='fault'>A clip of {html.escape(pretty(label))} {html.escape(fault)}.</p>")
    lines += [f"<p class='about'>{html.escape(_FILE.sub('A clip', words))}.</p>" for words in adapted.remarks]
    return "".join(lines)


def render_answer(probabilities: Mapping[str, float], before: Mapping[str, float], *, guess: bool = False) -> str:
    """Return a bar per label, the likeliest first.

    Args:
        probabilities: label → probability.
        before: the answer before; the change since then is shown, if it has the same labels.
        guess: the model has heard no clip of the voice.
    """
    rows = []
    comparable = set(before) == set(probabilities)
    for label, value in sorted(probabilities.items(), key=lambda item: -item[1]):
        change = round(100 * value) - round(100 * before[label]) if comparable else 0
        moved = f"<span class='change'>{'▲' if change > 0 else '▼'} {abs(change)}</span>" if change else ""
        rows.append(
            f"<li><span class='name'>{html.escape(pretty(label))}</span><span class='track'><span class='bar' "
            f"style='width:{100 * value:.1f}%'></span></span><span class='value'>{round(100 * value)} %</span>"
            f"<span class='moved'>{moved}</span></li>"
        )
    note = "<p class='about'>▲▼ against the answer before, in points.</p>" if comparable else ""
    first = "<p class='about'>A first guess: the model has heard no clip of this voice.</p>" if guess else ""
    return f"{first}<ul class='answer'>{''.join(rows)}</ul>{note}"
