"""Make the clips that `voicefit example` writes: one synthetic voice of the demo, as Opus.

    python -m experiments.example_clips [FOLDER]

They were made once, with praat-parselmouth 0.4.7 and libsndfile 1.2.2; other versions encode other bytes.
"""

import sys
import tempfile
from pathlib import Path

import soundfile

from voicefit.demo.synthesis import DEMO_TARGET, SyntheticCorpus, synthesise_corpus

_LABELS = ("anger", "happiness", "neutral", "sadness")
_EXAMPLE = Path(__file__).resolve().parents[1] / "src" / "voicefit" / "example"
_CLIPS, _MORE, _WITHOUT_LABELS = 2, 4, 4


def main(folder: Path) -> None:
    """Write the clips below ``folder``."""
    (ines,) = (speaker for speaker in DEMO_TARGET.speakers if speaker.name == "ines")
    corpus = SyntheticCorpus("example", DEMO_TARGET.language, (ines,), _LABELS)
    with tempfile.TemporaryDirectory() as made:
        synthesise_corpus(corpus, Path(made) / "speech", _CLIPS + _MORE + _WITHOUT_LABELS + 1, 0)
        for place, label in enumerate(_LABELS):
            _write(sorted((Path(made) / "speech" / ines.name / label).glob("*.flac")), label, place, folder)


def _write(files: list[Path], label: str, place: int, folder: Path) -> None:
    """Spread the clips of a label over the folders of the example."""
    names = [f"clips/{label}/{number}" for number in range(1, _CLIPS + 1)]
    names += [f"more-clips/{label}/{number}" for number in range(1, _MORE + 1)]
    # Without labels, their names tell nothing either.
    names += [f"recordings/{1 + place + len(_LABELS) * number:02}" for number in range(_WITHOUT_LABELS)]
    names += ["new-clip"] if label == "sadness" else []
    for file, name in zip(files, names, strict=False):
        samples, rate = soundfile.read(file)
        path = folder / f"{name}.ogg"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, rate, format="OGG", subtype="OPUS")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else _EXAMPLE)
