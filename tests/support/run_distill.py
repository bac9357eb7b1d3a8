"""Distil in a process of its own that kills itself: TEACHER STUDENT AUDIO OUT CACHE EPOCH STEP."""

import sys
from pathlib import Path

import torch

from support.run_prefinetune import kill_at
from voicefit.distillation import DistillSettings, distill

SETTINGS = DistillSettings(layers=(1, 3), epochs=12, batch_size=4, lr=1e-2, held_out=0.2)

if __name__ == "__main__":
    torch.set_num_threads(1)
    teacher, student, audio, out, cache = (Path(argument) for argument in sys.argv[1:6])
    distill(
        teacher,
        student,
        [audio],
        out,
        settings=SETTINGS,
        seed=3,
        cache_root=cache,
        progress=kill_at(*map(int, sys.argv[6:8])),
    )
