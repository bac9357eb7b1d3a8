import sys

import pandas as pd
import pytest

from support.layouts import build_folder
from support.tiny_models import build_wav2vec2_group_norm, make_prior
from voicefit.checkpoints.checkpoint import save_prefinetuned
from voicefit.cli import app as cli
from voicefit.encoders import load_encoder
from voicefit.heads.corpus_heads import CorpusHeads


def voicefit(monkeypatch, capsys, *arguments):
    """Exit code, standard output and standard error of the command line."""
    monkeypatch.setattr(sys, "argv", ["voicefit", *map(str, arguments)])
    code = 0
    try:
        cli.main()
    except SystemExit as end:
        code = end.code or 0
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def run(monkeypatch, capsys):
    return lambda *arguments: voicefit(monkeypatch, capsys, *arguments)


@pytest.fixture
def model(run, tmp_path):
    encoder = build_wav2vec2_group_norm(tmp_path / "encoder")
    clips = build_folder(tmp_path / "clips", speakers=())
    code, _, err = run("adapt", encoder, clips, "--out", tmp_path / "model", "--method", "prototype")
    assert code == 0, err
    return tmp_path / "model"


@pytest.fixture
def pretrained(tmp_path):
    """A pre-finetuned checkpoint and clips of a voice, made without training."""
    encoder = load_encoder(build_wav2vec2_group_norm(tmp_path / "encoder"))
    heads = CorpusHeads({"c": ["anger", "neutral"]}, encoder.projector.out_features)
    record = {"source": "encoder", "protocol": "clean", "seed": 0, "depth": encoder.depth, "frozen_layers": 0}
    record |= {"front_end": encoder.front_end.model_dump(), "corpora": [], "best": {"epoch": 1.0}}
    history = pd.DataFrame([{"epoch": 1, "train_loss": 1.0, "validation_mean_macro_f1": 0.5}])
    save_prefinetuned(encoder, heads, make_prior(encoder.hidden_size), tmp_path / "checkpoint", record, history)
    return tmp_path / "checkpoint", build_folder(tmp_path / "clips", speakers=())
