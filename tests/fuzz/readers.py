"""Coverage-guided fuzzing of the readers of foreign files, with atheris: nothing but a `VoicefitError` may come out.

    pip install atheris
    python tests/fuzz/readers.py audio -max_total_time=600

Targets are `audio`, `table`, `plan` and `store`; what follows is for libFuzzer. Coverage is that of the Python code:
libsndfile, FFmpeg and SQLite are run as they come. An input that fails, or takes over 10 s, is left as a file in the
current folder.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["voicefit", "tomllib"]):
    from voicefit.audio import decode_recording
    from voicefit.corpora.recordings import load_recordings
    from voicefit.corpora.table import load as load_table
    from voicefit.errors import VoicefitError
    from voicefit.sweep.plan import read_plan
    from voicefit.sweep.store import TrialStore

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.bad_audio import bad_files, encode
from support.recorders import recordings
from support.tiny_models import make_waveform

SCRATCH = Path(tempfile.mkdtemp(prefix="voicefit-fuzz-"))
TABLES = (".csv", ".tsv", ".jsonl")
PRESETS = Path(sys.modules["voicefit"].__file__ or "").parent / "presets"


def audio(data: bytes) -> None:
    """An upload."""
    waveform = decode_recording(data, "fuzz", 5.0).waveform
    assert 400 <= len(waveform) <= 5 * 16_000 + 1


def table(data: bytes) -> None:
    """A table that somebody sent: the first byte says which kind."""
    suffix = TABLES[data[0] % len(TABLES)] if data else TABLES[0]
    path = SCRATCH / f"clips{suffix}"
    path.write_bytes(data[1:])
    for read in (lambda: load_table("fuzz", path).clips, lambda: load_recordings(path).clips):
        try:
            clips = read()
        except VoicefitError as error:  # one may refuse what the other takes
            assert str(error)
            continue
        for clip in clips:
            assert clip.path.is_relative_to(SCRATCH)


def plan(data: bytes) -> None:
    """A plan that somebody wrote."""
    path = SCRATCH / "plan.toml"
    path.write_bytes(data)
    read_plan(path)


def store(data: bytes) -> None:
    """A trial store that was damaged."""
    path = SCRATCH / "trials.sqlite"
    path.write_bytes(data)
    with TrialStore(path, read_only=True) as found:
        found.trials()


def audio_seeds() -> dict[str, bytes]:
    """Short clips of every common format, and broken ones."""
    clip = make_waveform(0.1)
    kinds = (("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "IMA_ADPCM"), ("FLAC", None), ("OGG", "VORBIS"))
    kinds += (("OGG", "OPUS"), ("AIFF", None), ("MP3", None), ("AU", None), ("CAF", None), ("W64", None))
    good = {f"{kind}-{subtype}": encode(clip, kind=kind, subtype=subtype) for kind, subtype in kinds}
    good |= {name: content for name, content, _ in recordings() if len(content) < 60_000}
    return good | {name: content for name, content in bad_files().items() if len(content) < 30_000}


def table_seeds() -> dict[str, bytes]:
    """A table of each kind."""
    rows = "path,label,start,end,split,channel\na.wav,sad,0,1.5,train,1\n'b.wav',calm,0 days 00:00:01,,test,left\n"
    lines = '{"audio_filepath": "a.wav", "offset": 0.1, "duration": 1, "label": "sad"}\n'
    cut = '{"start": 1, "recording": {"sources": [{"source": "a"}]}, "supervisions": [{"custom": {"emotion": "x"}}]}\n'
    texts = (rows.replace("'", '"'), rows.replace(",", "\t"), lines + cut)
    return {
        suffix: bytes([index]) + text.encode() for index, (suffix, text) in enumerate(zip(TABLES, texts, strict=True))
    }


def plan_seeds() -> dict[str, bytes]:
    """The plans that come with Voicefit."""
    return {path.name: path.read_bytes() for path in PRESETS.glob("*.toml")}


def store_seeds() -> dict[str, bytes]:
    """An empty store."""
    path = SCRATCH / "seed.sqlite"
    TrialStore(path).close()
    return {"empty": path.read_bytes()}


TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], dict[str, bytes]]]] = {
    "audio": (audio, audio_seeds),
    "table": (table, table_seeds),
    "plan": (plan, plan_seeds),
    "store": (store, store_seeds),
}


def main() -> None:
    """Fuzz one target."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: readers.py {'|'.join(TARGETS)} [-max_total_time=SECONDS]")
    read, seeds = TARGETS[sys.argv[1]]
    corpus = SCRATCH / "corpus"
    corpus.mkdir()
    for index, content in enumerate(seeds().values()):
        (corpus / str(index)).write_bytes(content)

    def one_input(data: bytes) -> None:
        try:
            read(data)
        except VoicefitError as error:
            assert str(error)

    atheris.Setup([sys.argv[0], str(corpus), "-timeout=10", "-rss_limit_mb=2048", *sys.argv[2:]], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
