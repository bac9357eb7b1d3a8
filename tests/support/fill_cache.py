"""Fill a front-end cache in a process of its own: MODEL CORPUS CACHE GO [ENTRIES_BEFORE_KILL].

Waits for the file GO, so that two can begin together. Two threads fill it. With a fifth argument it kills itself when
that many entries are written, of which the last may not have its name yet, and the next is half written.
"""

import io
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch

from voicefit.corpora import folder
from voicefit.encoders import FrontCache, load_encoder


def kill_when_half_written(after):
    save, entries = np.save, 0

    def half(file, array, **options):
        nonlocal entries
        entries += 1
        if entries <= after:
            return save(file, array, **options)
        whole = io.BytesIO()
        save(whole, array, **options)
        file.write(whole.getvalue()[: len(whole.getvalue()) // 2])
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    np.save = half


if __name__ == "__main__":
    model, corpus, cache, go = (Path(argument) for argument in sys.argv[1:5])
    if len(sys.argv) > 5:
        kill_when_half_written(int(sys.argv[5]))
    clips = folder.load("corpus", corpus).clips
    front_cache = FrontCache(load_encoder(model), cache)
    torch.set_num_threads(1)
    print("ready", flush=True)
    while not go.exists():
        time.sleep(0.001)
    print(front_cache.fill(clips))
