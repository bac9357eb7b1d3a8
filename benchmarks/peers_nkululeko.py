"""nkululeko on the clips of `peers`: eGeMAPS by openSMILE and a linear SVM, from a table of files to its report.

It needs an environment of its own, since its pandas is older than ours:

    python -m venv ../nkululeko && ../nkululeko/bin/pip install nkululeko==1.14.1
    python -m benchmarks.peers_nkululeko --python ../nkululeko/bin/python

Seconds are those of its whole command, which also reads and answers the test clips. It reads no Opus without further
programs, so that it is given WAV files.
"""

import argparse
import csv
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import soundfile
from sklearn.metrics import f1_score

from benchmarks.common import Options, publish
from benchmarks.peers import CLIPS_AN_EMOTION, episodes
from voicefit.audio import load_waveform
from voicefit.corpora import Clip
from voicefit.sweep.episodes import Episode

_TABLE = """
{name} = {folder}/{name}.csv
{name}.type = csv
{name}.absolute_path = True
{name}.split_strategy = {name}
"""

_EXPERIMENT = """[EXP]
root = {folder}/
name = out
runs = 1
epochs = 1
[DATA]
databases = ['train', 'test']
{tables}
target = emotion
labels = {labels}
[FEATS]
type = ['os']
scale = standard
[MODEL]
type = svm
kernel = linear
"""


def write_experiment(folder: Path, episode: Episode) -> Path:
    """Write the tables of an episode, its clips as WAV, and nkululeko's settings; return the path of these."""
    _write_table(folder, "train", zip(episode.support, episode.support_targets, strict=True), episode.labels)
    _write_table(folder, "test", zip(episode.test, episode.test_targets, strict=True), episode.labels)
    tables = "".join(_TABLE.format(name=name, folder=folder) for name in ("train", "test"))
    settings = folder / "experiment.ini"
    settings.write_text(_EXPERIMENT.format(folder=folder, tables=tables, labels=sorted(episode.labels)))
    return settings


def _write_table(folder: Path, name: str, clips: Iterable[tuple[Clip, int]], labels: Iterable[str]) -> None:
    names = list(labels)
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "speaker", "emotion"])
        for number, (clip, target) in enumerate(clips):
            path = folder / f"{name}-{number}.wav"
            soundfile.write(path, load_waveform(clip.path), 16000)
            table.writerow([path, name, names[target]])


def run(python: Path, settings: Path) -> tuple[float, float]:
    """Return seconds of the command, and macro F1 of the answers that it has written."""
    began = time.perf_counter()
    command = [str(python), "-m", "nkululeko.nkululeko", "--config", str(settings)]
    subprocess.run(command, check=True, capture_output=True, cwd=settings.parent)
    seconds = time.perf_counter() - began
    (answers,) = settings.parent.glob("out/results/run_0/pred_*.csv")
    with answers.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    score = f1_score([row["truth"] for row in rows], [row["predicted"] for row in rows], average="macro")
    return seconds, float(score)


def main() -> None:
    """One row."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", type=Path, required=True, help="of the environment that has nkululeko")
    parser.add_argument("--quick", action="store_true", help="one speaker and one draw")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")
    options = parser.parse_args()
    scores: dict[int, dict[str, list[float]]] = {count: {} for count in CLIPS_AN_EMOTION}
    seconds = []
    for count, own, episode, draw in episodes("nkululeko", options.quick):
        with tempfile.TemporaryDirectory() as folder:
            took, score = run(options.python.absolute(), write_experiment(Path(folder), episode))
        scores[count].setdefault(own.speaker, []).append(score)
        if (count, draw) == (max(CLIPS_AN_EMOTION), 0):
            seconds.append(took)
    row: dict[str, Any] = {"peer": "nkululeko", "speakers": len(scores[1])}
    for count, by_speaker in scores.items():
        means = [statistics.mean(own) for own in by_speaker.values()]
        row[f"macro F1, {count} an emotion"] = round(statistics.mean(means), 3)
    row["seconds of the command, 8 an emotion"] = round(statistics.median(seconds), 1)
    publish([row], Options(options.quick, options.json))


if __name__ == "__main__":
    main()
