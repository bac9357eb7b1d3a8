"""One trial by the published recipe on the Trainer of `transformers`: what Voicefit's speed is measured against.

Chen & Yu (2023), section 4.3, and their code where the text is silent: the whole model trained, batches of one clip
with gradients of four accumulated, a split padded to its longest clip (5 s at most) before anything else, no attention
mask; after every epoch the validation clips go through the model one by one and model and optimiser go to disk.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import f1_score
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification, Trainer, TrainingArguments

from voicefit.audio import SAMPLE_RATE, load_waveform
from voicefit.corpora import Clip

MAX_SECONDS = 5


def reference_trial(
    model: Path, splits: dict[str, tuple[Sequence[Clip], Sequence[int]]], epochs: int, out: Path
) -> dict[str, float]:
    """Fine-tune and test; ``splits`` holds clips and targets of ``train``, ``validation`` and ``test``."""
    extractor = AutoFeatureExtractor.from_pretrained(model)
    examples = {name: _examples(extractor, clips, targets) for name, (clips, targets) in splits.items()}
    arguments = TrainingArguments(
        output_dir=str(out),
        num_train_epochs=epochs,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=4,
        per_device_eval_batch_size=1,
        learning_rate=3e-5,
        warmup_steps=0.1,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="macro_f1",
        report_to="none",
        disable_tqdm=True,
        logging_strategy="no",
    )
    trainer = Trainer(
        model=AutoModelForAudioClassification.from_pretrained(model),
        args=arguments,
        train_dataset=examples["train"],
        eval_dataset=examples["validation"],
        compute_metrics=_macro_f1,
    )
    trainer.train()
    return trainer.predict(examples["test"]).metrics


def _examples(extractor: Any, clips: Sequence[Clip], targets: Sequence[int]) -> list[dict[str, Any]]:
    waveforms = [load_waveform(clip.path)[: MAX_SECONDS * SAMPLE_RATE] for clip in clips]
    padded = extractor(waveforms, sampling_rate=SAMPLE_RATE, padding="longest").input_values
    return [{"input_values": values, "labels": target} for values, target in zip(padded, targets, strict=True)]


def _macro_f1(prediction: Any) -> dict[str, float]:
    predicted = np.argmax(prediction.predictions, axis=-1)
    return {"macro_f1": f1_score(prediction.label_ids, predicted, average="macro")}
