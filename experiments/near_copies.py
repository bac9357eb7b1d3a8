"""How often are clips of real corpora copies of each other, as they are, coded again, or cut otherwise?

Pairs of spectral peaks that follow each other alike name candidates; they are copies where the waveforms, shifted to
fit, correlate above 0.7 over half a second. Twenty clips of each corpus, coded as Vorbis and cut, are put among them:
how many are found tells what the search is worth. Clips of less than half a second are compared
sample by sample alone.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from scipy.ndimage import maximum_filter
from scipy.signal import fftconvolve

from benchmarks.common import parse_options, publish
from experiments.real_data import FOLDERS, folder
from voicefit.audio import SAMPLE_RATE, load_waveform
from voicefit.corpora import load_corpus

ALIKE = 0.7
PLANTED = 20


def landmarks(waveform: np.ndarray) -> Iterator[tuple[tuple[int, int, int], int]]:
    """Yield pairs of spectral peaks (two pitches and the frames between), and the frame of the first."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(waveform, (0, 512)), 512)[::160] * np.hanning(512)
    levels = np.log(np.abs(np.fft.rfft(windows))[:, 6:200] + 1e-6)
    peaks = (levels == maximum_filter(levels, (9, 15))) & (levels > np.median(levels) + 1)
    found = np.argwhere(peaks)
    for index, (time, pitch) in enumerate(found):
        later = [(t - time, p) for t, p in found[index + 1 : index + 20] if 0 < t - time <= 40][:4]
        for gap, other in later:
            yield (int(pitch), int(other), int(gap)), int(time)


def candidates(waveforms: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """Pairs of clips with many landmarks at one shift."""
    seen: dict[Any, list[tuple[int, int]]] = defaultdict(list)
    found = []
    for index, waveform in enumerate(waveforms):
        marks, shifts = list(landmarks(waveform)), Counter[tuple[int, int]]()
        for mark, time in marks:
            shifts.update((other, (time - then) // 3) for other, then in seen[mark][-200:])
        least = max(5, 0.08 * len(marks))
        found += [(other, index) for other in {other for (other, _), count in shifts.items() if count >= least}]
        for mark, time in marks:
            seen[mark].append((index, time))
    return found


def alike(one: np.ndarray, other: np.ndarray) -> float:
    """The largest correlation of the two over half a second and more."""
    best = 0.0
    for place in np.argsort(-np.abs(fftconvolve(one, other[::-1])))[:2000:20]:
        shift = int(place) - (len(other) - 1)
        first, second = (one[shift:], other) if shift >= 0 else (one, other[-shift:])
        length = min(len(first), len(second))
        if length >= SAMPLE_RATE // 2:
            x, y = first[:length], second[:length]
            best = max(best, abs(float(x @ y / np.sqrt((x @ x) * (y @ y) + 1e-20))))
    return best


def planted(waveform: np.ndarray) -> np.ndarray:
    """The clip without its first 0.3 s, through Vorbis."""
    content = BytesIO()
    soundfile.write(content, waveform[4_800:], SAMPLE_RATE, format="OGG", subtype="VORBIS")
    content.seek(0)
    return soundfile.read(content, dtype="float32")[0]


def main() -> None:
    """A row per corpus."""
    options = parse_options(__doc__)
    table = []
    for name in ["emodb"] if options.quick else [*FOLDERS, "FSDD"]:
        root = folder("VOICEFIT_DATA") / FOLDERS.get(name, name)
        files: list[Path] = (
            [clip.path for clip in load_corpus(name, root).clips] if name in FOLDERS else sorted(root.glob("*/*"))
        )
        waveforms = [load_waveform(path) for path in files]
        long = [index for index, waveform in enumerate(waveforms) if len(waveform) > 1.2 * SAMPLE_RATE][:PLANTED]
        pairs = candidates([*waveforms, *(planted(waveforms[index]) for index in long)])
        truth = {(index, len(files) + number) for number, index in enumerate(long)}
        own = [pair for pair in pairs if pair[1] < len(files)]
        copies = [(i, j) for i, j in own if alike(waveforms[i], waveforms[j]) > ALIKE]
        equal = len(files) - len({waveform.tobytes() for waveform in waveforms})
        table.append(
            {
                "corpus": name,
                "clips": f"{len(files):,}",
                "pairs of copies": str(len(copies)),
                "of equal samples": str(equal),
                "planted ones found": f"{len(truth & set(pairs))} of {len(long)}",
            }
        )
    publish(table, options, [])


if __name__ == "__main__":
    main()
