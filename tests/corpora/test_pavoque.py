import numpy as np
import pytest
import soundfile

from voicefit.audio import load_waveform
from voicefit.corpora import pavoque
from voicefit.errors import VoicefitError

LIST = """\
- prompt: {style}_n0010
  text: Sind die Karten auch ordentlich gemischt?
  style: {style}
  start: 0.0
  end: 0.46
  segments:
  - {{lab: H#, end: 0.382042}}
  - {{lab: 'i:', end: 0.8}}
- prompt: {style}_n0011
  text: 'style: alles hat seinen Stil'
  style: {style}
  start: 0.46
  end: 0.9
  segments:
  - {{lab: H#, end: 0.66}}
"""
LABELS = {"angry": "anger", "happy": "happiness", "neutral": "neutral", "poker": "poker", "sad": "sadness"}


def build_pavoque(root, styles=tuple(LABELS), suffix=".flac"):
    """Two clips of each style in one recording, and the outtakes."""
    root.mkdir(parents=True, exist_ok=True)
    for seed, style in enumerate((*styles, "outtakes")):
        (root / f"pavoque-{style}.yaml").write_text(LIST.format(style=style))
        noise = np.random.default_rng(seed).uniform(-0.5, 0.5, 16_000)
        soundfile.write(root / f"pavoque-{style}{suffix}", noise, 16_000)
    return root


@pytest.mark.parametrize("given", ["", "pavoque"])
@pytest.mark.parametrize("suffix", [".flac", ".wav"])
def test_every_clip_of_a_style_is_read(tmp_path, given, suffix):
    build_pavoque(tmp_path / "pavoque", suffix=suffix)
    corpus = pavoque.load("mine", tmp_path / given)
    assert [(clip.id, clip.label, clip.native_label, clip.start, clip.end) for clip in corpus.clips] == [
        (f"pavoque-{style}{suffix}#{start}-{end}", label, style, start, end)
        for style, label in LABELS.items()
        for start, end in ((0.0, 0.46), (0.46, 0.9))
    ]
    assert corpus.speakers == ["Stefan"]
    second = corpus.clips[1]
    assert len(load_waveform(second.path, second.start, second.end)) == 0.44 * 16_000


def test_some_of_the_styles_suffice(tmp_path):
    build_pavoque(tmp_path, ("neutral", "sad"))
    (tmp_path / "pavoque-angry.yaml").write_text(LIST.format(style="angry"))  # its recording is not there
    assert pavoque.load("mine", tmp_path).labels == ["neutral", "sadness"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("style: sad\n", "style: glad\n", "clip 1: style 'glad' from 0.0 to 0.46 s"),
        ("end: 0.46", "end: 0.0", "clip 1: style 'sad' from 0.0 to 0.0 s"),
        ("end: 0.46", "end: nan", "clip 1: 'nan' is no number of seconds"),
        ("end: 0.46", "end: -1", "clip 1: '-1' is no number of seconds"),
        ("  start: 0.0\n  end: 0.46\n", "", "clip 1: no start, end; is this a list of PAVOQUE's release"),
    ],
)
def test_a_damaged_list_is_refused(tmp_path, old, new, message):
    path = build_pavoque(tmp_path) / "pavoque-sad.yaml"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(VoicefitError, match=rf"pavoque-sad\.yaml: {message}"):
        pavoque.load("mine", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "lists no clip"), (b"\xff\xfe", "not readable as a list of PAVOQUE")]
)
def test_another_file_is_refused(tmp_path, content, message):
    (build_pavoque(tmp_path) / "pavoque-sad.yaml").write_bytes(content)
    with pytest.raises(VoicefitError, match=message):
        pavoque.load("mine", tmp_path)


def test_a_wrong_root_is_refused(tmp_path):
    with pytest.raises(VoicefitError, match=r"expected pavoque-neutral\.yaml and pavoque-neutral\.flac here"):
        pavoque.load("mine", tmp_path)
