"""Pre-finetune time after time, in each of the processes that were started: MODEL CORPORA FOLDER JOBS.

JOBS is JSON: name of the output in FOLDER → what differs from SETTINGS. What is unfinished there goes on.
"""

import json
import shutil
import sys
from pathlib import Path

import torch

from support.run_prefinetune import SETTINGS
from voicefit.api import prefinetune
from voicefit.prefinetuning.prefinetune import Run


def keep_state(out, epoch, step):
    """Copy what a kill after that step would leave to OUT.stopped."""

    def progress(what, done, total):
        if what.startswith(f"epoch {epoch}/") and done == step:
            shutil.copytree(f"{out}.unfinished", f"{out}.stopped")

    return progress


if __name__ == "__main__":
    torch.set_num_threads(1)
    model, corpora, folder = (Path(argument) for argument in sys.argv[1:4])
    for name, changes in json.loads(sys.argv[4]).items():
        prefinetune(
            model,
            {path.name: path for path in sorted(corpora.iterdir())},
            folder / name,
            settings=SETTINGS.model_copy(update=changes),
            run=Run(seed=5, resume=True, save_every=0, progress=keep_state(folder / name, 2, 3)),
        )
