"""Model cards: the README.md of a model, in Markdown with the front matter of the hub."""

from collections.abc import Iterable, Mapping
from typing import Any

from voicefit.corpora import VOCABULARY
from voicefit.heads.head import Head
from voicefit.system.hub import shown_name


def _front_matter(emotions: bool) -> str:
    tags = ["speech-emotion-recognition"] * emotions + ["few-shot", "voicefit"]
    return f"""---
library_name: transformers
pipeline_tag: audio-classification
tags: [{", ".join(tags)}]
---
"""


def _are_emotions(labels: Iterable[str]) -> bool:
    """Whether labels are of emotions: one of them is a word of the vocabulary."""
    return not set(VOCABULARY).isdisjoint(labels)


def _link(text: str, address: str) -> str:
    return f"[{text}]({address})" if address else text


def prefinetuned_card(record: Mapping[str, Any]) -> str:
    """The card of a pre-finetuned checkpoint, from its record."""
    corpora = "\n".join(
        f"| {_link(c['title'], c['homepage'])} | {c['language']} "
        f"| {c['train_clips']} + {c['validation_clips']} | {', '.join(c['labels'])} "
        f"| {c['licence']} ({c['usage']}) |"
        for c in record["corpora"]
    )
    scores = "\n".join(
        f"| {key.partition('/')[2]} | {value:.3f} |"
        for key, value in record["best"].items()
        if key.startswith("validation_macro_f1/")
    )
    leaking = record.get("settings", {}).get("validation") == "clips"
    held_out = "clips of speakers that were trained on" if leaking else "speakers that were not trained on"
    emotions = _are_emotions(label for c in record["corpora"] for label in c["labels"])
    return f"""{_front_matter(emotions)}
# Pre-finetuned speech encoder

`{shown_name(record["source"])}`, {record["depth"]} layers, the first {record["frozen_layers"]} frozen, fine-tuned on
{len(record["corpora"])} corpora at once with Voicefit (protocol `{record["protocol"]}`, seed
{record["seed"]}). It is a starting point for `voicefit adapt`; its classifier holds one head per corpus, with
labels written `corpus/label`.

## Corpora and their licences

| corpus | language | clips (training + validation) | labels | licence |
|---|---|---|---|---|
{corpora}

The weights derive from these recordings: the strictest of their terms apply to what you do with the model.

## Validation

Macro F1 on {held_out}, at the best epoch ({record["best"]["epoch"]:.0f}):

| corpus | macro F1 |
|---|---|
{scores}

## Intended and unintended use

{_USE_OF_EMOTIONS if emotions else _USE_OF_LABELS}
"""


_USE_OF_EMOTIONS = """\
Research on, and adaptation of, emotion recognition from *acted* speech. Acted emotion is not felt emotion:
the output says how a voice sounds, not what a person feels. Do not use it to judge, rank, monitor or diagnose
people."""

_USE_OF_LABELS = """\
Research on, and adaptation of, the classification of speech by labels like these. Do not use it to judge, rank,
monitor or diagnose people."""


def adapted_card(record: Mapping[str, Any], head: Head) -> str:
    """The card of an adapted model, from its record and its head."""
    shots = "\n".join(f"| {label} | {count} |" for label, count in record["shots"].items())
    corpora = (
        "".join(f"- {c['title']}: {c['licence']} ({c['usage']})\n" for c in record.get("corpora", ()))
        or "- none: the encoder was not pre-finetuned by Voicefit\n"
    )
    emotions = _are_emotions(record["shots"])
    return f"""{_front_matter(emotions)}
# Speech classifier adapted to one voice

Adapted from `{shown_name(record["source"])}` by Voicefit with method `{record["method"]}`.

{_usage(record)}

| label | clips |
|---|---|
{shots}
{_adapter_alone(record, head) if head.adapter else ""}
## How sure it is

{_how_sure(record)}

## Corpora behind it, and their licences

{corpora}
The weights derive from these recordings: the strictest of their terms apply to what you do with the model. The
clips of the voice are the speaker's own; pass the model on only if the speaker agrees.

## Intended use

{_ADAPTED_TO_EMOTIONS if emotions else _ADAPTED_TO_LABELS}

## Unintended use

How a voice sounds is not what a person feels. Do not use it to judge, rank, hire, monitor or diagnose people, on
other people than the one whose voice it was fitted to, or on anybody who does not know of it.

## Limits

Voicefit reads the first {record["front_end"]["max_seconds"]:g} s of a clip; cut longer clips before you give them to
the pipeline, which may read all of them.

A few clips of one voice and one microphone made this model. Expect it to be worse on other voices, rooms and
languages, and to answer with one of its labels whatever the clip.
"""


_ADAPTED_TO_EMOTIONS = """\
Research on emotion in speech, and tools for the one person whose voice it was fitted to, with that person's
knowledge: notes to a diary, cues in a game, practice in acting."""

_ADAPTED_TO_LABELS = """\
Research on speech, and tools for the one person whose voice it was fitted to, with that person's knowledge."""


def _usage(record: Mapping[str, Any]) -> str:
    if "encoder" in record:
        encoder = shown_name(record["encoder"]["source"])
        return f"""It holds the head alone; `voicefit predict` finds its encoder, `{encoder}`. A directory that needs no
Voicefit is written by `voicefit export this-directory --format transformers --out whole`."""
    return """```python
from transformers import pipeline
pipeline("audio-classification", model="this directory")("clip.wav")  # transformers reads files by ffmpeg
```"""


def _adapter_alone(record: Mapping[str, Any], head: Head) -> str:
    return f"""
## The adapter alone

The folder `adapter` holds what turns the start into this model, the head included, as the library `peft` loads it:

```python
from peft import PeftModel
from transformers import AutoModelForAudioClassification
start = AutoModelForAudioClassification.from_pretrained(
    "{shown_name(record["source"])}", num_labels={len(head.classifier_bias)}, \
classifier_proj_size={len(head.projector_bias)}, ignore_mismatched_sizes=True
)
model = PeftModel.from_pretrained(start, "this directory/adapter")
```

It reads what the feature extractor of this directory makes of a clip. A Whisper that was not pre-finetuned by
Voicefit takes 30 s of audio and cannot be changed in this way: take this directory as it is.
"""


def _how_sure(record: Mapping[str, Any]) -> str:
    found = record.get("leave_one_out")
    if not found:
        return (
            "Not measured. Leaving each clip out in turn takes two different clips of every label, a method that\n"
            "leaves the encoder as it is, and no more than 200 clips."
        )
    copies = found.get("copies", 0)
    note = (
        f"Of these clips {copies} {'has' if copies == 1 else 'have'} the samples of another: a clip was left out with\n"
        "its copies, and copies count double in what the model has learnt.\n\n"
    )
    return (
        f"On {found['clips']} clips: {found['right']} right when each was left out; chance {found['chance']:.3g}.\n"
        f"Macro F1 {found['macro_f1']:.2f}.\n\n{note if copies else ''}"
        "Each clip was classified by a model that lacks it, so with two clips of a label it errs on the low side. It\n"
        "says nothing of other days, rooms and microphones."
    )
