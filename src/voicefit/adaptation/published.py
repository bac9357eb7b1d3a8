"""Fine-tuning as published: Chen & Yu (2023), section 4.3, and its code where the text is silent.

The epoch with the best macro F1 on the speaker's validation clips is kept: labelled clips beyond the k shots, which
is why this method runs under the ``paper`` protocol alone.
"""

from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from voicefit.adaptation.fine_tune import head_of
from voicefit.adaptation.method import Method, TrainingSettings
from voicefit.adaptation.shots import Shots
from voicefit.encoders import Encoder, Precision
from voicefit.errors import VoicefitError
from voicefit.heads.head import Head
from voicefit.scores import score
from voicefit.system.machine import move_without_waiting
from voicefit.training import warmup_then_decay

_FEW_SHOTS = 8

CLIPS_AT_ONCE = 8
"""Validation clips between two looks at whether the epoch can still be the best; on a GPU, which is quickest with
many, all of them."""


class Settings(TrainingSettings):
    """How to fine-tune; the defaults are the publication's."""

    lr: float = Field(3e-5, gt=0, description="peak learning rate of encoder, projector and classifier")
    batch_size: int = Field(4, ge=1, description="shots a step: one at a time, gradients of four accumulated")
    epochs: int = Field(200, ge=1, description="at most; linear warm-up over the first tenth, then linear decay")
    patience: int = Field(30, ge=1, description="epochs without a better validation score before stopping")
    shorter_above_8: bool = Field(
        False, description="50 epochs at most and patience 5 for k > 8, as in the published code and not in the text"
    )
    cuda_graphs: bool = Field(
        True, description="on a GPU, replay training passes as CUDA graphs: quicker, and the same within rounding"
    )


def epochs(settings: Settings, k: int) -> tuple[int, int]:
    """Return the number of epochs with ``k`` shots where the first is the best, and at most.

    An epoch with a perfect validation score ends the training too.
    """
    most, patience = _epochs_and_patience(settings, k)
    return min(patience + 1, most), most


def _epochs_and_patience(settings: Settings, k: int) -> tuple[int, int]:
    return (50, 5) if settings.shorter_above_8 and k > _FEW_SHOTS else (settings.epochs, settings.patience)


def fit(encoder: Encoder, shots: Shots, settings: Settings, seed: int) -> Head:
    """Train ``encoder`` in place, with a new classifier; the seed fixes its start, the order of the shots and dropout.

    Raises:
        VoicefitError: there are no validation clips, or a GPU cannot record a pass (see ``cuda_graphs``).
    """
    validation = shots.validation
    if validation is None:
        raise VoicefitError("method published picks its epoch on validation clips, which the paper protocol alone has")
    most, patience = _epochs_and_patience(settings, len(shots.frames))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = nn.Linear(encoder.projector.out_features, shots.classes, device=encoder.device)
        parameters = [p for p in (*encoder.parameters(), *classifier.parameters()) if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=settings.lr, weight_decay=0, fused=True)
        total = most * -(-len(shots.frames) // settings.batch_size)
        warmup = max(1, round(0.1 * total))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warmup_then_decay(step, total, warmup))
        best, best_score, since = [torch.empty_like(p) for p in parameters], -1.0, 0
        generator = np.random.default_rng(seed)
        margins = torch.zeros(len(validation.frames))
        for _ in range(most):
            _run_epoch(encoder, classifier, shots, settings, optimizer, schedule, generator)
            macro_f1 = _macro_f1(encoder, classifier, validation, settings.precision, best_score, margins)
            since += 1
            if macro_f1 > best_score:
                _copy(parameters, best)
                best_score, since = macro_f1, 0
            if since >= patience or best_score == 1:
                break
    _copy(best, parameters)
    return head_of(encoder, classifier)


def _run_epoch(
    encoder: Encoder,
    classifier: nn.Linear,
    shots: Shots,
    settings: Settings,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    generator: np.random.Generator,
) -> None:
    encoder.train()
    order = torch.from_numpy(generator.permutation(len(shots.frames)))
    targets = move_without_waiting(torch.from_numpy(shots.targets)[order], encoder.device)
    for batch, wanted in zip(order.split(settings.batch_size), targets.split(settings.batch_size), strict=True):
        frames = [shots.frames[index] for index in batch.tolist()]
        pooled = encoder(frames, settings.precision, recorded=settings.cuda_graphs)
        loss = nn.functional.cross_entropy(classifier(encoder.projector(pooled)), wanted)
        loss.backward()
        nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)  # before the next forward pass needs the memory
        schedule.step()
    encoder.eval()


@torch.no_grad()
def _copy(source: Sequence[Tensor], target: Sequence[Tensor]) -> None:
    for values, place in zip(source, target, strict=True):
        place.copy_(values)


@torch.no_grad()
def _macro_f1(
    encoder: Encoder, classifier: nn.Linear, clips: Shots, precision: Precision, best: float, margins: Tensor
) -> float:
    """Return macro F1 where it is above ``best``, else a number that is not: a part of the clips often decides that.

    Clips not yet classified count as right. Each that turns out wrong lowers the score, and once it is not above
    ``best`` no later clip can raise it.

    Args:
        encoder: as trained up to this epoch.
        classifier: the same.
        clips: the validation clips.
        precision: of the passes through the encoder.
        best: the best score of earlier epochs.
        margins: logit of the true class less the highest other, when each clip was last classified, ``(clips,)``.
            It is brought up to date. Clips that were wrong, or nearly, come first.
    """
    truth = torch.from_numpy(clips.targets)
    predicted, macro_f1 = truth.clone(), 1.0
    for some in margins.argsort(stable=True).split(CLIPS_AT_ONCE if encoder.device.type == "cpu" else len(margins)):
        pooled = encoder.pool([clips.frames[index] for index in some.tolist()], precision)
        logits = classifier(encoder.projector(pooled)).cpu()
        predicted[some] = logits.argmax(1)
        own = nn.functional.one_hot(truth[some], clips.classes).bool()
        margins[some] = logits[own] - logits.masked_fill(own, -torch.inf).amax(1)
        macro_f1 = score(truth.tolist(), predicted.tolist())["macro_f1"]
        if macro_f1 <= best:
            break
    return macro_f1


METHOD = Method("published", fit, Settings, version=3, trains_encoder=True, needs_validation=True, epochs=epochs)
