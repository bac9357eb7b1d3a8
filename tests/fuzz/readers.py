"""Coverage-guided fuzzing of the readers of foreign files, with atheris: nothing but a `VoicefitError` may come out.

    pip install atheris
    python tests/fuzz/readers.py audio -max_total_time=600

Targets are `audio`, `table`, `manifest`, `parquet`, `arrow`, `plan` and `store`; what follows is for libFuzzer.
Coverage is that of the Python code: libsndfile, FFmpeg, Arrow and SQLite are run as they come. `parquet` changes the
bytes of files; `arrow` writes sound files of columns that make no sense. An input that fails, takes over 10 s or 2 GB
is left as a file in the current folder.
"""

import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris
import pyarrow
import pyarrow.parquet

with atheris.instrument_imports(include=["voicefit", "tomllib"]):
    from voicefit.audio import decode_recording
    from voicefit.corpora import audiofolder, cameo
    from voicefit.corpora.recordings import load_recordings
    from voicefit.corpora.table import INFO
    from voicefit.corpora.table import load as load_table
    from voicefit.errors import VoicefitError
    from voicefit.sweep.plan import read_plan
    from voicefit.sweep.store import TrialStore

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.bad_audio import bad_files, encode
from support.recorders import recordings
from support.tiny_models import make_waveform

SCRATCH = Path(tempfile.mkdtemp(prefix="voicefit-fuzz-"))
KEYS = ["supervisions", "recording", "start", "duration", "channel", "custom", "emotion", "label", "speaker", "offset"]
KEYS += ["audio_filepath", "split", "sources", "source"]
COLUMNS = ["path", "audio", "label", "emotion", "speaker_id", "file_id", "start", "end", "duration", "split", "channel"]
NUMBERS = [pyarrow.int8(), pyarrow.int64(), pyarrow.uint64(), pyarrow.float16(), pyarrow.float64(), pyarrow.bool_()]
TIMES = [
    pyarrow.timestamp("s"),
    pyarrow.timestamp("ns"),
    pyarrow.timestamp("us", "UTC"),
    pyarrow.timestamp("s", "Mars/X"),
]
TIMES += [pyarrow.date32(), pyarrow.date64(), pyarrow.time32("s"), pyarrow.time64("ns"), pyarrow.duration("ns")]
NESTED = [pyarrow.list_(pyarrow.int64()), pyarrow.struct({"bytes": pyarrow.int64(), "path": pyarrow.int64()})]
NESTED += [pyarrow.map_(pyarrow.string(), pyarrow.int64()), pyarrow.dictionary(pyarrow.int32(), pyarrow.string())]
TEXTS = [pyarrow.string(), pyarrow.binary(), pyarrow.large_binary(), pyarrow.decimal128(30, 2)]
TYPES = [*NUMBERS, *TIMES, *NESTED, *TEXTS, "audio", "audio", pyarrow.string()]
"""Types of columns; those that tables have are likelier."""

TABLES = (".csv", ".tsv", ".jsonl")
SET = SCRATCH / "set"
CACHE = SCRATCH / "cache"
os.environ["VOICEFIT_CACHE"] = str(CACHE)
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
    read_in_turn(lambda: load_table("fuzz", path), lambda: load_recordings(path))


def read_in_turn(*readers: Callable[[], Any]) -> None:
    """Read by each, since one may refuse what the other takes; an error is of one line."""
    for read in readers:
        try:
            clips = read().clips
        except VoicefitError as error:
            assert str(error) and len(str(error).splitlines()) == 1, str(error)
            continue
        for clip in clips:
            assert clip.path.is_relative_to(SCRATCH)
            assert clip.id and (clip.end is None or clip.end > clip.start >= 0)


def manifest(data: bytes) -> None:
    """Lines of a manifest of Lhotse or NeMo: JSON that makes no sense, with the keys that they have."""
    given = atheris.FuzzedDataProvider(data)
    lines = [
        json.dumps(json_value(given, 4) if index else cut(given)) for index in range(given.ConsumeIntInRange(1, 3))
    ]
    path = SCRATCH / "cuts.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    read_in_turn(lambda: load_table("fuzz", path), lambda: load_recordings(path))


def cut(given: Any) -> dict[str, Any]:
    """A cut of Lhotse that has anything where something belongs."""
    supervision = {key: json_value(given, 2) for key in KEYS if given.ConsumeBool()}
    recording = {"sources": [{"source": json_value(given, 1)}]} if given.ConsumeBool() else json_value(given, 3)
    more = {key: json_value(given, 2) for key in KEYS if given.ConsumeBool()}
    return {"supervisions": [supervision, json_value(given, 3)], "recording": recording} | more


def json_value(given: Any, depth: int) -> Any:
    """Any JSON value, also numbers that JSON does not have."""
    kind = given.ConsumeIntInRange(0, 9 if depth else 6)
    if kind == 0:
        return given.ConsumeUnicode(12)
    if kind == 1:
        return given.ConsumeFloat()
    if kind == 2:
        return given.ConsumeIntInRange(-(2**70), 2**70)
    if kind == 3:
        return given.ConsumeIntInRange(-2, 3)
    if kind < 7:
        return (None, given.ConsumeBool(), given.PickValueInList(["a.wav", "sad", "1", "0.5", "left", "train", ""]))[
            kind - 4
        ]
    if kind == 7:
        return [json_value(given, depth - 1) for _ in range(given.ConsumeIntInRange(0, 3))]
    names = [given.PickValueInList(KEYS) if given.ConsumeBool() else given.ConsumeUnicode(6) for _ in range(3)]
    return {name: json_value(given, depth - 1) for name in names}


def parquet(data: bytes) -> None:
    """A Parquet file that somebody sent: as a table, as a data set of the hub, and as a part of CAMEO."""
    shutil.rmtree(CACHE, ignore_errors=True)
    (SET / "data").mkdir(parents=True, exist_ok=True)
    path = SET / "data" / "cafe-00000-of-00001.parquet"
    path.write_bytes(data)
    read_in_turn(
        lambda: load_table("fuzz", path),
        lambda: load_recordings(path),
        lambda: audiofolder.load("fuzz", SET, audiofolder.find_parquet(SET), INFO),
        lambda: cameo.load("fuzz", SET),
    )


def arrow(data: bytes) -> None:
    """A sound Parquet file whose columns have any type, and values that fit it or say so."""
    given = atheris.FuzzedDataProvider(data)
    count, columns, made = given.ConsumeIntInRange(0, 4), {}, io.BytesIO()
    for _ in range(given.ConsumeIntInRange(1, 6)):
        name = given.PickValueInList(COLUMNS) if given.ConsumeBool() else given.ConsumeUnicodeNoSurrogates(6)
        columns[name] = arrow_column(given, count)
    try:
        pyarrow.parquet.write_table(pyarrow.table(columns), made)
    except (pyarrow.ArrowException, ValueError, OverflowError):
        return  # no such table
    parquet(made.getvalue())


def arrow_column(given: Any, count: int) -> Any:
    """A column of a type, with nulls in it."""
    kind = given.PickValueInList(TYPES)
    if kind == "audio":
        values = [audio_cell(given) for _ in range(count)]
    elif kind == pyarrow.string():
        values = [
            given.PickValueInList(["sad", "", "a.wav", "\0", "0:01", given.ConsumeUnicodeNoSurrogates(8)])
        ] * count
    else:
        numbers = [None if given.ConsumeBool() else given.ConsumeIntInRange(-(2**62), 2**62) for _ in range(count)]
        small = given.ConsumeBool()
        values = [number if number is None or not small else number % 100 for number in numbers]
    try:
        return pyarrow.array(values) if kind == "audio" else to_type(values, kind)
    except (pyarrow.ArrowException, ValueError, OverflowError, TypeError):
        return pyarrow.nulls(count)


def to_type(values: list[Any], kind: Any) -> Any:
    """Numbers or texts as a column of a type; of a nested type, one in each."""
    if pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind):
        return pyarrow.array([[value, value] for value in values], kind)
    if pyarrow.types.is_struct(kind):
        return pyarrow.array([{"bytes": value, "path": value} for value in values], kind)
    if pyarrow.types.is_map(kind):
        return pyarrow.array([[("bytes", value)] for value in values], kind)
    if pyarrow.types.is_dictionary(kind):
        return pyarrow.array([str(value) for value in values]).dictionary_encode()
    if pyarrow.types.is_temporal(kind):
        return pyarrow.array(values, pyarrow.int64() if kind.bit_width == 64 else pyarrow.int32()).view(kind)
    if pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind):
        return pyarrow.array([str(value).encode() for value in values], kind)
    return pyarrow.array(values, kind)


def audio_cell(given: Any) -> Any:
    """Audio as the library `datasets` writes it, or nearly so."""
    content = [None, b"", b"RIFF", given.ConsumeBytes(20)][given.ConsumeIntInRange(0, 3)]
    path = [None, "", "a.wav", "../../b.flac", given.ConsumeUnicodeNoSurrogates(9)][given.ConsumeIntInRange(0, 4)]
    return None if given.ConsumeIntInRange(0, 9) == 0 else {"bytes": content, "path": path}


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


def manifest_seeds() -> dict[str, bytes]:
    """Bytes that choose: none is better than another."""
    return {str(size): bytes(range(size)) for size in (40, 120, 250)}


def parquet_seeds() -> dict[str, bytes]:
    """Small tables, plain and compressed, with audio inside and without."""
    audio = [{"bytes": encode(make_waveform(0.05)), "path": "a.wav"}, {"bytes": None, "path": None}]
    plain = {"path": ["a.wav", "b.wav"], "label": ["sad", None], "start": [0.5, None], "split": ["train", ""]}
    inside = {"audio": audio, "file_id": ["a.wav", "b.wav"], "emotion": ["sad", None], "speaker_id": ["1", None]}
    seeds = {}
    for name, columns in (("plain", plain), ("audio", inside)):
        for compression in ("none", "snappy", "zstd", "gzip"):
            out = io.BytesIO()
            pyarrow.parquet.write_table(pyarrow.table(columns), out, compression=compression)
            seeds[f"{name}-{compression}"] = out.getvalue()
    return seeds


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
    "manifest": (manifest, manifest_seeds),
    "parquet": (parquet, parquet_seeds),
    "arrow": (arrow, manifest_seeds),
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
