"""Miniature corpora in each native layout, with real audio: short noise, different in every file.

Each ``build_…`` function fills an empty or absent folder and returns the path to give to the loader.
"""

from collections.abc import Iterable
from itertools import count
from pathlib import Path

import numpy as np
import soundfile

RAVDESS_EMOTIONS = ("01", "02", "03", "04", "05", "06", "07", "08")
TESS_FOLDERS = ("angry", "disgust", "fear", "happy", "neutral", "pleasant_surprised", "sad")
EMODB_LETTERS = "WLEAFTN"
EMOVO_CODES = ("dis", "gio", "neu", "pau", "rab", "sor", "tri")
NEMO_EMOTIONS = ("anger", "fear", "happiness", "neutral", "sadness", "surprised")


def write_noise(path: Path, seed: int, seconds: float = 0.05, rate: int = 16_000, peak: float = 0.5) -> None:
    """Write mono noise that ``seed`` determines in the format that the suffix names; create the folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).uniform(-peak, peak, round(seconds * rate))
    if path.suffix == ".opus":
        soundfile.write(path, samples, rate, format="OGG", subtype="OPUS")
    else:
        soundfile.write(path, samples, rate)


def write_files(root: Path, names: Iterable[str]) -> Path:
    """Each name as a path below ``root``, with noise of its own."""
    for seed, name in enumerate(names):
        write_noise(root / name, seed)
    return root


def build_ravdess(root: Path, actors: tuple[str, ...] = ("01", "02"), suffix: str = ".wav") -> Path:
    """Every emotion once per actor, and one song by each."""
    seeds = count()
    for actor in actors:
        folder = root / f"Actor_{actor}"
        for emotion in RAVDESS_EMOTIONS:
            write_noise(folder / f"03-01-{emotion}-01-01-01-{actor}{suffix}", next(seeds))
        write_noise(folder / f"03-02-05-01-01-01-{actor}{suffix}", next(seeds))
    return root


def build_tess(root: Path, suffix: str = ".wav") -> Path:
    """Two words per folder, with the corpus's own oddities of spelling."""
    seeds = count()
    oddities = {
        "OAF_fear": "OAF_Fear",
        "OAF_pleasant_surprised": "OAF_Pleasant_surprise",
        "OAF_sad": "OAF_Sad",
    }
    for speaker in ("OAF", "YAF"):
        for emotion in TESS_FOLDERS:
            folder = root / oddities.get(f"{speaker}_{emotion}", f"{speaker}_{emotion}")
            code = "ps" if emotion == "pleasant_surprised" else emotion
            for word in ("back", "bite"):
                misspelt = (speaker, word, code) == ("OAF", "bite", "neutral")
                stem = f"{'OA' if misspelt else speaker}_{word}_{code}"
                write_noise(folder / f"{stem}{suffix}", next(seeds))
    return root


def build_fsdd(root: Path, speakers: tuple[str, ...] = ("jackson", "theo"), takes: int = 7) -> Path:
    """Every digit several times per speaker, at 8 kHz."""
    seeds = count()
    for speaker in speakers:
        for digit in range(10):
            for take in range(takes):
                write_noise(root / "recordings" / f"{digit}_{speaker}_{take}.wav", next(seeds), rate=8000)
    return root


def build_emodb(root: Path, speakers: tuple[str, ...] = ("03", "16"), suffix: str = ".wav") -> Path:
    """Every emotion once per speaker, and the corpus's text file."""
    seeds = count()
    for speaker in speakers:
        for letter in EMODB_LETTERS:
            write_noise(root / "wav" / f"{speaker}a01{letter}a{suffix}", next(seeds))
    (root / "erkennung.txt").write_text("Nr.\tSatz\terkannt\tnatuerlich\n", encoding="latin-1")
    return root


def build_emovo(root: Path, speakers: tuple[str, ...] = ("f1", "m1"), suffix: str = ".wav") -> Path:
    """Every emotion once per speaker, and the corpus's folder of documents."""
    seeds = count()
    for speaker in speakers:
        for code in EMOVO_CODES:
            write_noise(root / speaker / f"{code}-{speaker}-b1{suffix}", next(seeds))
    (root / "documents").mkdir()
    return root


def build_nemo(root: Path, speakers: tuple[str, ...] = ("EB0", "KS0"), suffix: str = ".wav") -> Path:
    """Every emotion once per speaker; the table names .wav whatever ``suffix`` is and has stray spaces."""
    seeds = count()
    rows = ["file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage"]
    for speaker in speakers:
        for emotion in NEMO_EMOTIONS:
            write_noise(root / "samples" / f"{speaker}_{emotion}_1{suffix}", next(seeds))
            rows.append(f'{speaker}_{emotion}_1.wav\t{emotion}\t„Tak" \ttak\t        {speaker}\tfemale\t27')
    (root / "data.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def build_folder(root: Path, speakers: tuple[str, ...] = ("anna", "ben"), suffix: str = ".wav") -> Path:
    """``<speaker>/<label>/<audio>``, ``<label>/<audio>`` without speakers; labels Angry and neutral."""
    seeds = count()
    for speaker in speakers or ("",):
        for label in ("Angry", "neutral"):
            for take in ("1", "2"):
                write_noise(root / speaker / label / f"{take}{suffix}", next(seeds))
    return root


def other_clips(folder):
    """Clips of the labels of `build_folder`, and no copies of its."""
    for seed, name in enumerate(("Angry/5.wav", "Angry/6.wav", "neutral/5.wav")):
        write_noise(folder / name, 100 + seed, seconds=0.3)
    return folder
