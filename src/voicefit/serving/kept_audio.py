"""Clips that users send, kept as files if the server was started with that option."""

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

MIN_FREE_BYTES = 10**9
"""Clips are kept only while so many bytes of the disk are free."""


class KeptAudio:
    """A folder of clips, FLAC of 16 bits, mono at 16 kHz.

    There are ``adapt/<label>/<name>.flac``, ``recordings/<name>.flac`` without labels, and ``predict/<name>.flac``.
    A name is a digest of the samples: nothing of it comes from the sender, and a clip that is sent twice is kept once.
    The methods may be called from any thread.

    Args:
        folder: the folder; if it is made, only its owner may read it.
        notify: reports once that clips are no longer kept, and why; again after a clip was kept.

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
        """Keep a clip of an adaptation.

        Args:
            label: the result of :func:`voicefit.serving.limits.clean_label`; it is the name of a folder.
            waveform: mono at 16 kHz, ``(samples,)``.
        """
        self._keep(self.folder / "adapt" / label, waveform)

    def keep_recording(self, waveform: np.ndarray) -> None:
        """Keep a recording without a label that an adaptation gets, mono at 16 kHz, ``(samples,)``."""
        self._keep(self.folder / "recordings", waveform)

    def keep_tried(self, waveform: np.ndarray) -> None:
        """Keep a clip of a prediction, mono at 16 kHz, ``(samples,)``."""
        self._keep(self.folder / "predict", waveform)

    def _keep(self, folder: Path, waveform: np.ndarray) -> None:
        path = folder / f"{hashlib.blake2b(waveform.tobytes(), digest_size=16).hexdigest()}.flac"
        try:
            fault = self._fault()
            if not fault and not path.exists():
                with new_file(path) as file:
                    # Samples beyond full scale would be clipped; the level of a clip does not matter to a model.
                    quieter = waveform / max(1.0, float(np.abs(waveform).max()))
                    soundfile.write(file, quieter, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
        except (OSError, soundfile.SoundFileError) as error:  # the request is answered even if its clip cannot be kept
            fault = str(error)
        with self._lock:
            was_failing, self._failing = self._failing, bool(fault)
        if fault and not was_failing:
            self._notify(f"clips are not kept for now: {self.folder}: {fault}")

    def _fault(self) -> str:
        """Return the reason why nothing may be written, or an empty string."""
        return (
            f"its disk has less than {MIN_FREE_BYTES / 10**9:g} GB free"
            if free_bytes(self.folder) < MIN_FREE_BYTES
            else ""
        )
