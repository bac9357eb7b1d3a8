"""The page: record or upload clips of a voice, adapt and try a model, without the command line."""

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from voicefit.api import Adapted
from voicefit.audio import SAMPLE_RATE, SILENCE_PEAK
from voicefit.corpora.advice import SHORT_CLIP_S
from voicefit.errors import VoicefitError
from voicefit.serving.limits import clean_label
from voicefit.serving.service import Service
from voicefit.serving.sessions import LabelledClip, Session

CSS = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
"""The style of the page."""

THEME = gr.themes.Default(
    primary_hue=gr.themes.colors.teal,
    neutral_hue=gr.themes.colors.slate,
    font=("system-ui", "sans-serif"),
    font_mono=("ui-monospace", "monospace"),
).set(button_primary_background_fill="*primary_700", button_primary_background_fill_hover="*primary_800")
"""The theme of the page. It uses only fonts of the system: nothing is downloaded."""

_COMMON_LABELS = ("anger", "happiness", "sadness", "neutral", "fear", "surprise", "disgust", "calm")
"""The page offers these labels first."""


def build_page(service: Service) -> gr.Blocks:
    """Return the page as Gradio blocks, to be mounted beside the API."""
    served, handlers = service.served, _Handlers(service)
    with gr.Blocks(
        title="Voicefit", analytics_enabled=False, delete_cache=(60, int(service.limits.idle_seconds))
    ) as page:
        key = gr.State("", time_to_live=service.limits.idle_seconds, delete_callback=service.sessions.close)
        gr.HTML(_introduction(service))
        if served.start is not None:
            with gr.Column(elem_classes="step"):
                gr.HTML(_heading(1, "Give clips", "Two or more per label, a few seconds each, all of one voice."))
                label = gr.Dropdown(
                    [_pretty(name) for name in _offered(served.labels)],
                    value=_pretty(_offered(served.labels)[0]),
                    label="Label of the next clip",
                    info="Pick one, or write your own.",
                    allow_custom_value=True,
                    elem_id="label",
                )
                recorder = _recorder("Record or drop a clip", "give")
                several = gr.UploadButton(
                    "Upload several of this label", file_count="multiple", size="md", elem_id="several"
                )
                clips = gr.HTML(render_clips([]), elem_id="clips")
                with gr.Row():
                    undo = gr.Button("Remove the last clip", size="sm", min_width=120, elem_id="undo")
                    reset = gr.Button("Start over", size="sm", min_width=120, elem_id="reset")
            with gr.Column(elem_classes="step"):
                gr.HTML(_heading(2, "Adapt", "Fits the model to these clips; it takes seconds."))
                adapt = gr.Button("Adapt", variant="primary", interactive=False, elem_id="adapt")
                status = gr.HTML("", elem_id="status")
        with gr.Column(elem_classes="step"):
            last = 3 if served.start is not None else 1
            gr.HTML(_heading(last, "Try it", "Record the same voice again, and see the model's prediction."))
            trial = _recorder("Record or drop a clip to try", "try")
            result = gr.HTML(_nothing_yet(service), elem_id="result")
        _listen([trial.stop_recording, trial.upload], handlers.predict, [key, trial], [key, trial, result])
        if served.start is not None:
            shown = [key, recorder, clips, adapt]
            _listen([recorder.stop_recording, recorder.upload], handlers.add, [key, label, recorder], shown)
            _listen([several.upload], handlers.add, [key, label, several], [key, several, clips, adapt])
            _listen([undo.click], handlers.undo, [key], [clips, adapt])
            _listen([reset.click], handlers.reset, [key], [key, clips, adapt, status, result])
            _listen([adapt.click], handlers.adapt, [key], [key, status, result])
    page.queue(max_size=service.limits.predict_waiting, api_open=False, default_concurrency_limit=None)
    return page


def _listen(events: Sequence[Any], handler: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    gr.on(events, handler, list(inputs), list(outputs), api_visibility="private", show_progress="minimal")


def _recorder(label: str, name: str) -> gr.Audio:
    return gr.Audio(
        sources=["microphone", "upload"], type="filepath", label=label, editable=False, buttons=[], elem_id=name
    )


class _Handlers:
    """The handlers of the page's events; each takes the key of the browser's session, empty before its first clip."""

    def __init__(self, service: Service):
        self._service = service

    async def add(self, key: str, label: str, sent: str | list[str] | None) -> tuple[Any, ...]:
        """Add one clip or several, all of ``label``."""
        paths = [Path(path) for path in ([sent] if isinstance(sent, str) else sent or [])]
        try:
            key, session = self._open(key)
            word = clean_label(label or "")
            most = self._service.limits.clips
            for path in paths:
                if len(session.clips) >= most:
                    raise VoicefitError(f"there are {most} clips already, the most that this page takes")
                session.clips.append((word, await self._read(path)))
        except VoicefitError as error:
            gr.Warning(html.escape(str(error)))
        finally:
            _remove(paths)
        return key, None, *self._clips(key)

    def undo(self, key: str) -> tuple[Any, ...]:
        """Remove the last clip."""
        session = self._session(key)
        if session and session.clips:
            session.clips.pop()
        return self._clips(key)

    def reset(self, key: str) -> tuple[Any, ...]:
        """Forget clips and model."""
        self._service.sessions.close(key)
        return "", *self._clips(""), "", _nothing_yet(self._service)

    async def adapt(self, key: str) -> tuple[str, str, str]:
        """Fit a model to the clips, and classify the last tried clip again."""
        service = self._service
        try:
            key, session = self._open(key)
            with service.adapting.place():
                adapted = await service.adapting.run(lambda: service.adapt(session, list(session.clips)))
            result = _nothing_yet(service, adapted=True)
            if session.trial is not None:
                result = await self._answer(session, session.trial)
        except VoicefitError as error:
            return key, f"<p class='fault'>{html.escape(str(error))}</p>", gr.skip()
        return key, render_adapted(adapted, f"models/{key}.zip"), result

    async def predict(self, key: str, sent: str | None) -> tuple[Any, ...]:
        """Classify a clip."""
        if not sent:
            return key, None, gr.skip()
        try:
            key, session = self._open(key)
            return key, None, await self._answer(session, await self._read(Path(sent)))
        except VoicefitError as error:
            return key, None, f"<p class='fault'>{html.escape(str(error))}</p>"
        finally:
            _remove([Path(sent)])

    async def _answer(self, session: Session, waveform: np.ndarray) -> str:
        service = self._service
        session.trial = waveform
        with service.predicting.place():
            probabilities = await service.predicting.run(lambda: service.predict(waveform, session))
        before, session.probabilities = session.probabilities, probabilities
        return render_answer(probabilities, before)

    async def _read(self, path: Path) -> np.ndarray:
        service = self._service
        with service.predicting.place():
            return await service.predicting.run(lambda: service.read_clip(path.read_bytes(), path.name))

    def _open(self, key: str) -> tuple[str, Session]:
        """Return the browser's session, a new one if it has none or its session was idle for too long."""
        sessions = self._service.sessions
        if key and self._session(key) is None:
            gr.Info("Your clips and model were removed after a long time without use. Please start over.")
            key = ""
        key = key or sessions.open()
        return key, sessions.get(key)

    def _session(self, key: str) -> Session | None:
        try:
            return self._service.sessions.get(key) if key else None
        except VoicefitError:
            return None

    def _clips(self, key: str) -> tuple[str, dict[str, Any]]:
        session = self._session(key)
        clips = session.clips if session else []
        return render_clips(clips), gr.update(interactive=len({label for label, _ in clips}) > 1)


def _remove(paths: Sequence[Path]) -> None:
    """Remove uploaded files, which Gradio would keep."""
    for path in paths:
        path.unlink(missing_ok=True)


def _offered(labels: Sequence[str]) -> list[str]:
    """Return the labels to choose from, the common ones first."""
    return [name for name in _COMMON_LABELS if not labels or name in labels] + [
        name for name in labels if name not in _COMMON_LABELS
    ]


def _pretty(label: str) -> str:
    return label.replace("_", " ")


def _heading(number: int, title: str, about: str) -> str:
    return f"<h2><span class='number'>{number}</span> {title}</h2><p class='about'>{about}</p>"


def _introduction(service: Service) -> str:
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


def _nothing_yet(service: Service, adapted: bool = False) -> str:
    ready = adapted or service.served.model is not None
    return f"<p class='about'>{'Ready: record a clip.' if ready else 'There is no model yet: adapt one first.'}</p>"


def render_clips(clips: Sequence[LabelledClip]) -> str:
    """Return the clips by label, each with its length and a fault if it has one."""
    if not clips:
        return "<p class='about'>No clips yet.</p>"
    counts = Counter(label for label, _ in clips)
    rows = []
    for label, count in counts.items():
        chips = "".join(_chip(waveform) for other, waveform in clips if other == label)
        rows.append(f"<li><b>{html.escape(_pretty(label))}</b> <span class='count'>{count}</span> {chips}</li>")
    hint = "" if len(counts) > 1 else "<p class='about'>Give clips of a second label too.</p>"
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
        lines.append(
            f"<p class='about'>{right} of these {tested} clips were classified correctly when {left_out}; guessing "
            f"gets {chance:.3g}. More clips make it better.</p>"
        )
    for clip_id, words in adapted.advice.items():
        # File names, in the id and after a colon, are not shown: the page gave its files names of its own.
        label, fault = clip_id.rpartition("/")[0], words.partition(":")[0]
        lines.append(f"<p class='fault'>A clip of {html.escape(_pretty(label))} {html.escape(fault)}.</p>")
    return "".join(lines)


def render_answer(probabilities: Mapping[str, float], before: Mapping[str, float]) -> str:
    """Return a bar per label, the likeliest first, with the change since ``before`` if it has the same labels."""
    rows = []
    comparable = set(before) == set(probabilities)
    for label, value in sorted(probabilities.items(), key=lambda item: -item[1]):
        change = round(100 * value) - round(100 * before[label]) if comparable else 0
        moved = f"<span class='change'>{'▲' if change > 0 else '▼'} {abs(change)}</span>" if change else ""
        rows.append(
            f"<li><span class='name'>{html.escape(_pretty(label))}</span><span class='track'><span class='bar' "
            f"style='width:{100 * value:.1f}%'></span></span><span class='value'>{round(100 * value)} %</span>"
            f"<span class='moved'>{moved}</span></li>"
        )
    note = "<p class='about'>▲▼ against the answer before, in points.</p>" if comparable else ""
    return f"<ul class='answer'>{''.join(rows)}</ul>{note}"
