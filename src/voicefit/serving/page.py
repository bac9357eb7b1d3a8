"""The page: record or upload clips of a voice, adapt and try a model, without the command line."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from voicefit.serving.handlers import Handlers
from voicefit.serving.rendering import heading, introduction, nothing_yet, pretty, render_clips, render_recordings
from voicefit.serving.service import Service

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
    served, handlers = service.served, Handlers(service)
    with gr.Blocks(
        title="Voicefit", analytics_enabled=False, delete_cache=(60, int(service.limits.idle_seconds))
    ) as page:
        key = gr.State("", time_to_live=service.limits.idle_seconds, delete_callback=service.sessions.close)
        gr.HTML(introduction(service))
        giving = _giving(service) if served.start is not None else None
        trying = _trying(service, 3 if giving else 1)
        shown = [key, trying.recorder, trying.result, trying.correction]
        _listen(
            [trying.recorder.stop_recording, trying.recorder.upload], handlers.predict, [key, trying.recorder], shown
        )
        if giving:
            _connect(handlers, key, giving, trying)
    page.queue(max_size=service.limits.predict_waiting, api_open=False, default_concurrency_limit=None)
    return page


@dataclass(frozen=True)
class _Giving:
    """The steps in which clips are given and a model is adapted."""

    label: gr.Dropdown
    recorder: gr.Audio
    several: gr.UploadButton
    clips: gr.HTML
    undo: gr.Button
    reset: gr.Button
    recordings: gr.File
    held: gr.HTML
    adapt: gr.Button
    status: gr.HTML


@dataclass(frozen=True)
class _Trying:
    """The step in which a clip is tried, and its label corrected."""

    recorder: gr.Audio
    result: gr.HTML
    correction: gr.Column
    label: gr.Dropdown
    correct: gr.Button


def _giving(service: Service) -> _Giving:
    about = "Two or more per label, a few seconds each, all of one voice."
    if service.served.grown is not None:
        about = f"They are added to what {html.escape(service.served.name)} was adapted on."
    with gr.Column(elem_classes="step"):
        gr.HTML(heading(1, "Give clips", about))
        label = _labels(service, "Label of the next clip", "Pick one, or write your own.", "label")
        recorder = _recorder("Record or drop a clip", "give")
        several = gr.UploadButton("Upload several of this label", file_count="multiple", size="md", elem_id="several")
        clips = gr.HTML(render_clips([]), elem_id="clips")
        with gr.Row():
            undo = gr.Button("Remove the last clip", size="sm", min_width=120, elem_id="undo")
            reset = gr.Button("Start over", size="sm", min_width=120, elem_id="reset")
        with gr.Accordion("More recordings of this voice, without labels", open=False, elem_id="more"):
            recordings = gr.File(label="Drop recordings", file_count="multiple", height=160, elem_id="recordings")
            held = gr.HTML(render_recordings([]), elem_id="held")
    with gr.Column(elem_classes="step"):
        gr.HTML(heading(2, "Adapt", "Fits the model to these clips; it takes seconds."))
        adapt = gr.Button("Adapt", variant="primary", interactive=False, elem_id="adapt")
        status = gr.HTML("", elem_id="status")
    return _Giving(label, recorder, several, clips, undo, reset, recordings, held, adapt, status)


def _trying(service: Service, number: int) -> _Trying:
    with gr.Column(elem_classes="step"):
        gr.HTML(heading(number, "Try it", "Record the same voice again, and see the model's prediction."))
        recorder = _recorder("Record or drop a clip to try", "try")
        result = gr.HTML(nothing_yet(service), elem_id="result")
        with gr.Column(visible=False, elem_id="correction") as correction:
            label = _labels(service, "What was it?", "The clip that you just tried becomes one of this label.", "was")
            correct = gr.Button("Teach it this, and adapt again", elem_id="correct")
    return _Trying(recorder, result, correction, label, correct)


def _connect(handlers: Handlers, key: gr.State, giving: _Giving, trying: _Trying) -> None:
    clips = [giving.clips, giving.adapt]
    recorder, several, recordings = giving.recorder, giving.several, giving.recordings
    _listen(
        [recorder.stop_recording, recorder.upload], handlers.add, [key, giving.label, recorder], [key, recorder, *clips]
    )
    _listen([several.upload], handlers.add, [key, giving.label, several], [key, several, *clips])
    _listen([recordings.upload], handlers.add_recordings, [key, recordings], [key, recordings, giving.held])
    _listen([giving.undo.click], handlers.undo, [key], clips)
    after = [giving.status, trying.result]
    _listen([giving.reset.click], handlers.reset, [key], [key, *clips, *after, giving.held, trying.correction])
    _listen([giving.adapt.click], handlers.adapt, [key], [key, *after])
    _listen([trying.correct.click], handlers.correct, [key, trying.label], [key, *clips, *after])


def _listen(events: Sequence[Any], handler: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    gr.on(events, handler, list(inputs), list(outputs), api_visibility="private", show_progress="minimal")


def _recorder(label: str, name: str) -> gr.Audio:
    return gr.Audio(
        sources=["microphone", "upload"], type="filepath", label=label, editable=False, buttons=[], elem_id=name
    )


def _labels(service: Service, label: str, info: str, name: str) -> gr.Dropdown:
    """A list of labels to choose from, or to write another into."""
    offered = [pretty(word) for word in _offered(service)]
    return gr.Dropdown(offered, value=offered[0], label=label, info=info, allow_custom_value=True, elem_id=name)


def _offered(service: Service) -> list[str]:
    """Return the labels to choose from: the model's own first, then the common ones."""
    served = service.served
    own = served.model.labels if served.model and not served.guesses else []
    common = [name for name in _COMMON_LABELS if not served.labels or name in served.labels]
    return list(dict.fromkeys([*own, *common, *served.labels]))
