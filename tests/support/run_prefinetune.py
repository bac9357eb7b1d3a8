"""Pre-finetune in a process of its own that kills itself: MODEL CORPORA OUT CACHE EPOCH STEP SAVE_EVERY."""

import os
import signal
import sys
from pathlib import Path

import torch

from voicefit.corpora import folder
from voicefit.encoders import load_encoder
from voicefit.prefinetuning.prefinetune import Run, prefinetune
from voicefit.prefinetuning.settings import PrefinetuneSettings

SETTINGS = PrefinetuneSettings(lr=3e-3, head_lr=1e-2, batch_size=8, max_epochs=4, patience=4, projector_width=8)


def load_corpora(root):
    return [folder.load(path.name, path) for path in sorted(root.iterdir())]


def kill_at(epoch, step):
    def progress(what, done, total):
        if what.startswith(f"epoch {epoch}/") and done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    return progress


if __name__ == "__main__":
    torch.set_num_threads(1)
    model, corpora, out, cache = (Path(argument) for argument in sys.argv[1:5])
    prefinetune(
        load_encoder(model),
        load_corpora(corpora),
        out,
        source="tiny",
        settings=SETTINGS,
        run=Run(
            seed=5,
            cache_root=cache,
            progress=kill_at(*map(int, sys.argv[5:7])),
            save_every=float(sys.argv[7]),
        ),
    )
