"""The calls that a notebook needs: strings and paths in, models and predictions out."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from voicefit.corpora import load_corpus
from voicefit.encoders.front_end import Reading
from voicefit.enrolment.adapt import adapt
from voicefit.enrolment.each import Speaker, adapt_each
from voicefit.enrolment.example import write_example
from voicefit.enrolment.fitting import Adapted
from voicefit.enrolment.grow import grow
from voicefit.enrolment.suggest import Suggestion, suggest
from voicefit.system.extras import require
from voicefit.system.files import require_absent
from voicefit.system.progress import silent

if TYPE_CHECKING:
    from voicefit.prefinetuning.prefinetune import Run
    from voicefit.prefinetuning.settings import PrefinetuneSettings

__all__ = ["Adapted", "Speaker", "Suggestion", "adapt", "adapt_each", "grow", "prefinetune", "suggest", "write_example"]


def prefinetune(
    encoder: str | Path,
    corpora: Mapping[str, str | Path],
    out: str | Path,
    *,
    protocol: str = "clean",
    reading: Reading | None = None,
    settings: "PrefinetuneSettings | None" = None,
    run: "Run | None" = None,
) -> Path:
    """Pre-finetune an encoder on corpora and write a checkpoint; see :mod:`voicefit.prefinetuning`.

    Each process that `torchrun` has started takes a share of the work (:mod:`voicefit.system.distributed`).

    Args:
        encoder: hub id or directory of a pretrained encoder.
        corpora: name → path; a name that the registry knows stands for that layout.
        out: the checkpoint directory to write.
        protocol: ``clean`` or ``paper``.
        reading: how much of the encoder is run; ``None`` runs all of it.
        settings: ``None`` takes the protocol's.
        run: seed, resuming and callbacks; its ``processes`` are found here.

    Raises:
        VoicefitError: whatever is wrong with the encoder, a corpus or ``out``.
    """
    require("train", "pre-finetuning trains an encoder")
    from voicefit.encoders.load import load_encoder
    from voicefit.export.encoder import complete_with_graph
    from voicefit.prefinetuning.prefinetune import Run
    from voicefit.prefinetuning.prefinetune import prefinetune as run_prefinetuning
    from voicefit.system.distributed import joined

    with joined() as processes:
        require_absent(Path(out))
        loaded = [load_corpus(name, path) for name, path in corpora.items()]
        path = run_prefinetuning(
            load_encoder(encoder, reading).to(processes.device),
            loaded,
            Path(out),
            source=str(encoder),
            protocol=protocol,
            settings=settings,
            run=replace(run or Run(), processes=processes),
        )
        if processes.rank == 0:
            complete_with_graph(path, run.notify if run else silent)
        return path
