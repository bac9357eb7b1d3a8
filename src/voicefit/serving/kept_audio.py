"""Clips that people send, kept as files, where whoever starts the server asks for it."""

import hashlib
import threading
from pathlib import Path

import numpy as np
import soundfile

from voicefit.audio import SAMPLE_RATE
from voicefit.encoders.cache_limit import free_bytes
from voicefit.errors import VoicefitError
from voicefit.system.files import new_file
from voicefit.system.progress import Notify

LEAST_FREE = 10**9
"""Bytes: a disk that has less free is left to others."""


class KeptAudio:
    """A folder of clips, FLAC of 16 bits, mono at 16 kHz: ``adapt/<label>/<name>.flac`` and ``predict/<name>.flac``.

    A name is a digest of the samples: nothing of it comes from whoever sent the clip, and a clip that is sent again is
    kept once. Its methods are safe to call from any thread.

    Args:
        folder: is made where there is none, for its owner alone.
        notify: told in a line that clips are not kept any more, and why; once, until one is kept again.

    Raises:
        VoicefitError: ``folder`` cannot be written to, or its disk has less than 1 GB free.
    """

    def __init__(self, folder: Path, notify: Notify):
        self.folder, self._notify = folder, notify
        self._lock, self._failing = threading.Lock(), False
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with new_file(folder / ".try"):
                pass
            (folder / ".try").unlink()
        except OSError as error:
            reason = error.strerror or error
            raise VoicefitError(f"--keep-audio {folder}: cannot be written to ({reason}); choose another") from error
        if fault := self._fault():
            raise VoicefitError(f"--keep-audio {folder}: {fault}; make room, or choose another")

    def keep_labelled(self, label: str, waveform: np.ndarray) -> None:
        """Keep a clip that a model is adapted with.

        Args:
            label: as :func:`voicefit.serving.limits.clean_label` writes it; it is the name of a folder.
            waveform: mono at 16 kHz, ``(samples,)``.
        """
        self._keep(self.folder / "adapt" / label, waveform)

    def keep_tried(self, waveform: np.ndarray) -> None:
        """Keep a clip, mono at 16 kHz, ``(samples,)``, that a model is asked about."""
        self._keep(self.folder / "predict", waveform)

    def _keep(self, place: Path, waveform: np.ndarray) -> None:
        path = place / f"{hashlib.blake2b(waveform.tobytes(), digest_size=16).hexdigest()}.flac"
        try:
            fault = self._fault()
            if not fault and not path.exists():
                with new_file(path) as file:
                    # Samples beyond full scale would be cut off; how loud a clip is says nothing to a model.
                    quieter = waveform / max(1.0, float(np.abs(waveform).max()))
                    soundfile.write(file, quieter, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
        except (OSError, soundfile.SoundFileError) as error:  # an answer is worth more than a copy of the question
            fault = str(error)
        with self._lock:
            told, self._failing = self._failing, bool(fault)
        if fault and not told:
            self._notify(f"clips are not kept for now: {self.folder}: {fault}")

    def _fault(self) -> str:
        """Why nothing may be written, else empty."""
        return f"its disk has less than {LEAST_FREE / 10**9:g} GB free" if free_bytes(self.folder) < LEAST_FREE else ""
