import re
import subprocess
import sys
from pathlib import Path

import pytest

from support import layouts
from voicefit.corpora import CORPORA, corpus_infos, load_corpus, parse_corpus_argument
from voicefit.errors import VoicefitError

USAGES = {"unrestricted", "non-commercial", "research", "unknown"}


def test_every_corpus_is_registered_under_its_own_name_with_its_terms():
    assert [info.name for info in corpus_infos()] == list(CORPORA)
    for info in corpus_infos():
        assert info.usage in USAGES
        assert info.title and info.language and info.licence


def test_the_documents_name_every_corpus():
    page = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "corpora.md"
    named = set(re.findall(r"`([a-z0-9-]+)`", page.read_text(encoding="utf-8")))
    assert set(CORPORA) - {"folder", "table"} - named == set()


@pytest.mark.parametrize("name", ["RAVDESS", "Tess", "emodb", "EMOVO", "nEMO", "folder"])
def test_a_registry_name_in_any_case_picks_the_layout(tmp_path, name):
    root = getattr(layouts, f"build_{name.lower()}")(tmp_path)
    corpus = load_corpus(name, str(root))
    assert corpus.name == corpus.info.name == name.lower()


def test_a_name_of_ones_own_takes_a_folder_or_a_table(tmp_path):
    root = layouts.build_folder(tmp_path / "clips", speakers=())
    of_folder = load_corpus("my-voice", root)
    assert (of_folder.name, of_folder.info.name, of_folder.speakers) == ("my-voice", "folder", ["my-voice"])
    (root / "clips.csv").write_text("path,label\nAngry/1.wav,angry\n")
    of_table = load_corpus("my-voice", root / "clips.csv")
    assert (of_table.name, of_table.info.name, len(of_table.clips)) == ("my-voice", "table", 1)


@pytest.mark.parametrize("name", ["english", "german", "italian", "mandarin-calls", "my-esd", "podcast", "improv"])
def test_a_name_of_ones_own_may_hold_a_word_of_the_registry(tmp_path, name):
    assert load_corpus(name, layouts.build_folder(tmp_path)).name == name


@pytest.mark.parametrize(("written", "meant"), [("ravdes", "ravdess"), ("Emo-DB", "emodb"), ("n-emo", "nemo")])
def test_a_near_miss_is_not_taken_for_ones_own_name(tmp_path, written, meant):
    with pytest.raises(VoicefitError, match=f"did you mean '{meant}'"):
        load_corpus(written, tmp_path)


def test_other_paths_are_refused(tmp_path):
    with pytest.raises(VoicefitError, match="no such file or folder"):
        load_corpus("mine", tmp_path / "absent")
    (tmp_path / "clips.xlsx").touch()
    with pytest.raises(VoicefitError, match="neither a folder nor a table"):
        load_corpus("mine", tmp_path / "clips.xlsx")


@pytest.mark.parametrize("name", ["ravdess", "tess", "emodb", "emovo", "nemo"])
def test_a_wrong_root_is_named_with_what_was_expected(tmp_path, name):
    with pytest.raises(VoicefitError, match=rf"{tmp_path}: expected .*\S"):
        load_corpus(name, tmp_path)


def test_arguments_are_split_at_the_first_equals_sign():
    assert parse_corpus_argument("tess=data/TESS") == ("tess", Path("data/TESS"))
    assert parse_corpus_argument("my-voice_2=a=b.csv") == ("my-voice_2", Path("a=b.csv"))
    assert parse_corpus_argument("x=~/clips") == ("x", Path.home() / "clips")


@pytest.mark.parametrize("argument", ["tess", "tess=", "tess= ", "=data", "a b=data", "a/b=data", "a.b=data", ""])
def test_other_arguments_are_refused(argument):
    with pytest.raises(VoicefitError, match=r"NAME=PATH|a corpus name consists of"):
        parse_corpus_argument(argument)


def test_corpora_are_listed_and_folders_read_without_heavy_libraries(tmp_path):
    layouts.build_folder(tmp_path)
    check = f"""
import sys
from voicefit.corpora import corpus_infos, load_corpus
import voicefit.corpora.advice, voicefit.corpora.check
corpus_infos(), load_corpus("mine", {str(tmp_path)!r})
assert not {{"pandas", "pyarrow", "torch", "scipy", "sklearn", "av"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", check], check=True)


def test_published_counts_of_labels_add_up_to_those_of_clips():
    without_label = {"iemocap": 2507, "msp-improv": 555}
    for info in corpus_infos():
        if info.expected_labels and info.expected_clips:
            assert sum(info.expected_labels.values()) <= info.expected_clips, info.name
    for name in ("emodb", "emovo", "esd", "iemocap", "jl-corpus", "msp-improv", "ravdess", "savee", "tess"):
        info = CORPORA[name].info
        assert sum(info.expected_labels.values()) == info.expected_clips - without_label.get(name, 0), name
