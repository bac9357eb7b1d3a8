import json
import re
import shutil
import stat

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification, pipeline

import voicefit
from support.layouts import build_folder
from support.tiny_models import (
    BUILDERS,
    REAL_GRAPHS,
    build_real_graph,
    build_wav2vec2_group_norm,
    build_whisper_asr,
    make_prior,
    make_waveform,
)
from voicefit.checkpoints.checkpoint import save_adapted, save_prefinetuned
from voicefit.checkpoints.publish import PUBLISHED
from voicefit.checkpoints.record import read_record
from voicefit.checkpoints.start import open_start
from voicefit.encoders import FrontEnd, Reading, load_encoder
from voicefit.errors import VoicefitError
from voicefit.heads.corpus_heads import CorpusHeads
from voicefit.heads.head import Head
from voicefit.heads.logistic import softmax
from voicefit.system.files import read_metadata

torch.set_num_threads(1)

LABELS = {"ravdess": ["anger", "calm", "fear"], "mine.v2": ["anger", "neutral"]}
ADAPTED_LABELS = ["anger", "rest"]
SAVED = ("model.safetensors", "config.json", "preprocessor_config.json", "voicefit.json", "README.md")
HISTORY = pd.DataFrame(
    [
        {"epoch": epoch, "train_loss": 1 / epoch, "train_loss/ravdess": 1 / epoch,
         "validation_mean_macro_f1": 0.2 * epoch, "validation_macro_f1/ravdess": 0.2 * epoch}
        for epoch in (1, 2)
    ]
)  # fmt: skip


def make_record(encoder):
    terms = {
        "ravdess": ("RAVDESS", "CC BY-NC-SA 4.0", "non-commercial", "https://example.org/ravdess"),
        "mine.v2": ("My own", "all rights reserved", "unknown", ""),
    }
    return {
        "kind": "prefinetuned",
        "source": "some/encoder",
        "protocol": "clean",
        "seed": 3,
        "depth": encoder.depth,
        "frozen_layers": encoder.frozen_layers,
        "weighted_layers": bool(encoder.layer_weights),
        "front_end": encoder.front_end.model_dump(),
        "corpora": [
            {
                "name": name, "title": title, "language": "English", "licence": licence, "usage": usage,
                "homepage": homepage, "labels": LABELS[name], "train_clips": 10, "validation_clips": 4,
            }
            for name, (title, licence, usage, homepage) in terms.items()
        ],
        "best": {"epoch": 2.0, "validation_macro_f1/ravdess": 0.4321, "validation_macro_f1/mine.v2": 0.5},
    }  # fmt: skip


def make_prefinetuned(encoder, out, **more):
    torch.manual_seed(0)
    encoder.set_projector(nn.Linear(encoder.hidden_size, 10))
    heads = CorpusHeads(LABELS, 10)
    save_prefinetuned(encoder, heads, make_prior(encoder.hidden_size), out, make_record(encoder) | more, HISTORY)
    return heads


def make_adapted(encoder, out, **more):
    generator = torch.Generator().manual_seed(0)
    size, shapes = encoder.hidden_size, ((6, encoder.hidden_size), (6,), (2, 6), (2,))
    head = Head(*((torch.randn(shape, generator=generator) / size**0.5).numpy() for shape in shapes))
    front_end = encoder.front_end.model_dump()
    record = {"source": "some/encoder", "method": "head", "shots": {"anger": 2, "rest": 2}, "front_end": front_end}
    record |= more
    save_adapted(encoder, head, ADAPTED_LABELS, out, record)
    return head


def load_plain(folder):
    """The model in `transformers`, which must find exactly the weights that it looks for."""
    model, info = AutoModelForAudioClassification.from_pretrained(folder, output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return model.eval()


def plain_logits(folder, waveform):
    inputs = AutoFeatureExtractor.from_pretrained(folder)(waveform, sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        return load_plain(folder)(**inputs).logits


def frames_and_logits(model, inputs):
    """The encoder's last hidden states, as the head reads them, and what the head says."""
    frames = []
    projector = next(part for name, part in model.named_modules() if name.endswith("projector"))
    projector.register_forward_pre_hook(lambda _, given: frames.append(given[0]))
    with torch.no_grad():
        logits = model.eval()(**inputs).logits
    return frames[0], logits


def encoder_state(encoder):
    config = encoder.model.config.to_dict()
    return (
        {name: tensor.clone() for name, tensor in encoder.state_dict().items()},
        [id(parameter) for parameter in encoder.parameters()],
        {key: config[key] for key in config if key not in ("architectures", "dtype")},
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return build_wav2vec2_group_norm(tmp_path_factory.mktemp("model"))


@pytest.mark.usefixtures("without_curves")
@pytest.mark.parametrize("frozen_layers", [0, 1])
@pytest.mark.parametrize("family", list(BUILDERS))
def test_a_prefinetuned_checkpoint_is_a_plain_model(tmp_path, family, frozen_layers):
    encoder = load_encoder(BUILDERS[family](tmp_path / "model"), Reading(depth=2, frozen_layers=frozen_layers))
    heads = make_prefinetuned(encoder, tmp_path / "out")
    waveform = make_waveform(0.5)
    projected = encoder.projector(encoder.pool([encoder.front(waveform)]))
    with torch.no_grad():
        expected = torch.cat([heads(projected, corpus) for corpus in LABELS], 1)
    torch.testing.assert_close(plain_logits(tmp_path / "out", waveform), expected, atol=1e-5, rtol=1e-5)
    names = load_plain(tmp_path / "out").config.id2label
    assert list(names.values()) == [f"{corpus}/{label}" for corpus in LABELS for label in LABELS[corpus]]


@pytest.mark.usefixtures("without_curves")
@pytest.mark.parametrize("name", list(REAL_GRAPHS))
def test_weights_of_layers_are_kept_by_checkpoints_and_adapted_models(tmp_path, name):
    encoder = load_encoder(build_real_graph(tmp_path / "model", name), Reading(depth=2, weighted_layers=True))
    with torch.no_grad():
        encoder.layer_weights[0].copy_(torch.tensor([-1.0, 0.5, 1.0]))
    make_prefinetuned(encoder, tmp_path / "start")
    start = open_start(tmp_path / "start").encoder
    assert torch.equal(start.layer_weights[0], encoder.layer_weights[0])
    head = make_adapted(start, tmp_path / "out")
    waveform = make_waveform(0.5)
    expected = torch.from_numpy(head(encoder.embed(waveform)[None]))
    torch.testing.assert_close(plain_logits(tmp_path / "out", waveform), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", list(BUILDERS))
def test_an_adapted_model_is_a_plain_model(tmp_path, family):
    encoder = load_encoder(BUILDERS[family](tmp_path / "model"), Reading(depth=2, frozen_layers=1))
    head = make_adapted(encoder, tmp_path / "out")
    waveform = make_waveform(0.5)
    expected = torch.from_numpy(head(encoder.embed(waveform)[None]))
    torch.testing.assert_close(plain_logits(tmp_path / "out", waveform), expected, atol=1e-5, rtol=1e-5)
    config = load_plain(tmp_path / "out").config
    assert config.id2label == dict(enumerate(ADAPTED_LABELS))
    assert config.label2id == {"anger": 0, "rest": 1}
    assert config.num_hidden_layers == 2


@pytest.mark.parametrize("family", list(BUILDERS))
def test_the_pipeline_of_transformers_answers_with_the_labels(tmp_path, family):
    encoder = load_encoder(BUILDERS[family](tmp_path / "model"))
    head = make_adapted(encoder, tmp_path / "out")
    waveform = make_waveform(0.5)
    chances = softmax(head(encoder.embed(waveform)[None]))[0].tolist()
    classify = pipeline("audio-classification", model=str(tmp_path / "out"), device="cpu")
    for answer in (classify(waveform), classify({"raw": waveform, "sampling_rate": 16_000})):
        assert {row["label"]: row["score"] for row in answer} == pytest.approx(
            dict(zip(ADAPTED_LABELS, chances, strict=True)), abs=1e-5
        )


@pytest.mark.usefixtures("without_curves")
@pytest.mark.slow(3)
@pytest.mark.parametrize("name", list(REAL_GRAPHS))
@pytest.mark.parametrize("begin", ["prefinetuned", "weighted layers", "plain"])
def test_peft_makes_the_adapted_model_of_the_start_and_the_adapter_as_the_card_says(tmp_path, name, begin):
    start, out = tmp_path / "start", tmp_path / "out"
    if begin == "plain":
        build_real_graph(start, name, **({"max_source_positions": 250} if name == "whisper" else {}))
    else:
        weighted = begin == "weighted layers"  # all of which are trained
        reading = Reading(depth=2, frozen_layers=0 if weighted else 1, weighted_layers=weighted)
        make_prefinetuned(load_encoder(build_real_graph(tmp_path / "model", name), reading), start)
    clips = build_folder(tmp_path / "clips", speakers=())
    voicefit.adapt(start, clips, out=out, method="lora", settings={"lr": 0.05, "steps": 5})
    card = (out / "README.md").read_text(encoding="utf-8")
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", card, re.DOTALL) if "PeftModel" in block]
    made = {}
    exec(code.replace("this directory", str(out)).replace('"start"', repr(str(start))), made)
    inputs = AutoFeatureExtractor.from_pretrained(out)(make_waveform(0.5), sampling_rate=16_000, return_tensors="pt")
    (expected, logits), (found, found_logits) = (frames_and_logits(m, inputs) for m in (load_plain(out), made["model"]))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(found_logits, logits, atol=1e-4, rtol=0)
    before, _ = frames_and_logits(AutoModelForAudioClassification.from_pretrained(start), inputs)
    assert (before - expected).abs().max() > 1e-2  # the adapter does something


@pytest.mark.slow(3)
def test_the_adapter_lies_beside_the_model_and_tells_no_path(model, tmp_path):
    clips = build_folder(tmp_path / "clips", speakers=())
    voicefit.adapt(model, clips, out=tmp_path / "out", method="lora", settings={"steps": 1})
    files = {path.name: path for path in (tmp_path / "out" / "adapter").iterdir()}
    assert sorted(files) == ["adapter_config.json", "adapter_model.safetensors"]
    assert {f"adapter/{name}" for name in files} | {*SAVED} == set(PUBLISHED) & {
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")
    }
    assert json.loads(files["adapter_config.json"].read_text())["base_model_name_or_path"] == model.name
    assert files["adapter_model.safetensors"].stat().st_mode == files["adapter_config.json"].stat().st_mode
    voicefit.adapt(model, clips, out=tmp_path / "head", method="head")
    assert not (tmp_path / "head" / "adapter").exists()
    assert "peft" not in (tmp_path / "head" / "README.md").read_text(encoding="utf-8")


def test_a_whisper_of_the_hub_becomes_a_plain_short_model(tmp_path):
    encoder = load_encoder(build_whisper_asr(tmp_path / "model"), Reading(depth=2))
    head = make_adapted(encoder, tmp_path / "out")
    for seconds in (0.5, 8.0):
        waveform = make_waveform(seconds)
        expected = torch.from_numpy(head(encoder.embed(waveform)[None]))
        torch.testing.assert_close(plain_logits(tmp_path / "out", waveform), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("save", [make_prefinetuned, make_adapted])
def test_everything_is_written_and_nothing_needs_unpickling(model, tmp_path, save):
    save(load_encoder(model), tmp_path / "out")
    written = {path.name: path for path in (tmp_path / "out").iterdir()}
    extra = {"history.csv", "curves.png", "prior.safetensors"} if save is make_prefinetuned else set()
    assert set(written) == {*SAVED, *extra}
    modes = {name: stat.S_IMODE(path.stat().st_mode) for name, path in written.items()}
    assert len(set(modes.values())) == 1, modes
    with safe_open(written["model.safetensors"], framework="pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_saving_leaves_the_encoder_as_it_was(model, tmp_path):
    encoder = load_encoder(model)
    for name, save in (("adapted", make_adapted), ("again", make_adapted)):
        before = encoder_state(encoder)
        torch.manual_seed(1)
        random_state = torch.get_rng_state()
        save(encoder, tmp_path / name)
        after = encoder_state(encoder)
        assert all(torch.equal(after[0][key], tensor) for key, tensor in before[0].items())
        assert after[1:] == before[1:]
        assert torch.equal(torch.get_rng_state(), random_state)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("adapted", "again")]
    assert weights[0] == weights[1]


def test_a_failed_save_leaves_no_folder_and_the_encoder_as_it_was(model, tmp_path):
    encoder = load_encoder(model)
    before = encoder_state(encoder)
    head = Head(np.ones((6, 16)), np.ones(6), np.ones((2, 6)), np.ones(2))
    with pytest.raises(KeyError):
        save_adapted(encoder, head, ADAPTED_LABELS, tmp_path / "out", {"source": "x"})
    assert list(tmp_path.iterdir()) == []
    assert encoder_state(encoder)[1:] == before[1:]


def test_an_output_that_exists_is_refused(model, tmp_path):
    encoder = load_encoder(model)
    make_adapted(encoder, tmp_path / "out")
    with pytest.raises(VoicefitError, match="exists already"):
        make_adapted(encoder, tmp_path / "out")


# Reading back


def test_a_checkpoint_brings_its_settings_along(model, tmp_path):
    encoder = load_encoder(model, Reading(depth=2, frozen_layers=1, front_end=FrontEnd(max_seconds=0.4)))
    make_prefinetuned(encoder, tmp_path / "out")
    start = open_start(tmp_path / "out").encoder
    assert (start.depth, start.frozen_layers, start.front_end.max_seconds) == (2, 1, 0.4)
    assert torch.equal(start.projector.weight, encoder.projector.weight)
    assert torch.equal(start.projector.bias, encoder.projector.bias)
    waveform = make_waveform(0.9)
    frames = encoder.front(waveform)
    assert torch.equal(start.front(waveform), frames)
    assert torch.equal(start.pool([frames]), encoder.pool([frames]))
    assert start.front_key() == encoder.front_key()


@pytest.mark.usefixtures("without_curves")
@pytest.mark.parametrize("family", list(BUILDERS))
def test_a_checkpoint_shares_the_cache_of_its_encoder(tmp_path, family):
    encoder = load_encoder(BUILDERS[family](tmp_path / "model"), Reading(frozen_layers=1))
    make_prefinetuned(encoder, tmp_path / "out")
    assert open_start(tmp_path / "out").encoder.front_key() == encoder.front_key()


def test_what_is_asked_for_goes_before_what_was_recorded(model, tmp_path):
    make_prefinetuned(load_encoder(model, Reading(depth=2, frozen_layers=1)), tmp_path / "out")
    start = open_start(tmp_path / "out", Reading(depth=1, frozen_layers=0)).encoder
    assert (start.depth, start.frozen_layers) == (1, 0)
    with pytest.raises(VoicefitError, match="depth 3"):
        _ = open_start(tmp_path / "out", Reading(depth=3)).encoder


def test_a_plain_encoder_takes_what_is_given(model):
    assert read_record(model) == {}
    start = open_start(model, Reading(depth=2, frozen_layers=1)).encoder
    assert (start.depth, start.frozen_layers, start.front_end.max_seconds) == (2, 1, 5.0)
    assert open_start(model).encoder.frozen_layers == 0
    assert read_record("facebook/wav2vec2-base") == {}


def test_an_adapted_model_is_no_starting_point(model, tmp_path):
    make_adapted(load_encoder(model), tmp_path / "out")
    with pytest.raises(VoicefitError, match="has been adapted to a voice already"):
        open_start(tmp_path / "out")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[1]",
        '"text"',
        "\udcff",
        '{"kind": "prefinetuned"}',
        '{"frozen_layers": "one", "front_end": {}}',
        '{"frozen_layers": 1, "front_end": {"max_seconds": -5}}',
    ],
)
def test_a_damaged_record_is_named(model, tmp_path, content):
    folder = shutil.copytree(model, tmp_path / "model")
    (folder / "voicefit.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(VoicefitError, match=r"voicefit\.json") as caught:
        open_start(folder)
    assert "\n" not in str(caught.value)


def test_metadata_of_a_file_that_is_no_safetensors_file(tmp_path):
    save_file({"x": torch.ones(1)}, tmp_path / "good", metadata={"a": "b"})
    assert read_metadata(tmp_path / "good") == {"a": "b"}
    (tmp_path / "bad").write_bytes(b"\xff" * 50)
    for name in ("bad", "absent"):
        with pytest.raises(VoicefitError, match=name):
            read_metadata(tmp_path / name)


# The card


def test_the_card_of_a_prefinetuned_checkpoint_states_every_licence(model, tmp_path):
    make_prefinetuned(load_encoder(model), tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: transformers\n")
    rows = {name: next(line for line in card.splitlines() if name in line) for name in ("RAVDESS", "My own")}
    assert rows == {
        "RAVDESS": "| [RAVDESS](https://example.org/ravdess) | English | 10 + 4 | anger, calm, fear "
        "| CC BY-NC-SA 4.0 (non-commercial) |",
        "My own": "| My own | English | 10 + 4 | anger, neutral | all rights reserved (unknown) |",
    }
    assert "| ravdess | 0.432 |" in card
    assert "epoch (2)" in card


def test_the_card_of_an_adapted_model_states_every_licence(model, tmp_path):
    encoder = load_encoder(model)
    make_adapted(encoder, tmp_path / "out", corpora=make_record(encoder)["corpora"])
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "- RAVDESS: CC BY-NC-SA 4.0 (non-commercial)" in card
    assert "- My own: all rights reserved (unknown)" in card
    assert "| anger | 2 |" in card
    assert "the first 5 s of a clip" in card
    make_adapted(encoder, tmp_path / "bare")
    assert "none: the encoder was not pre-finetuned" in (tmp_path / "bare" / "README.md").read_text(encoding="utf-8")


def test_cards_speak_of_emotions_where_labels_are_emotions(model, tmp_path):
    encoder = load_encoder(model)
    record = make_record(encoder)
    digits = [corpus | {"labels": ["one", "two"]} for corpus in record["corpora"]]
    make_prefinetuned(encoder, tmp_path / "emotions")
    make_prefinetuned(encoder, tmp_path / "digits", corpora=digits)
    make_adapted(encoder, tmp_path / "anger")
    make_adapted(encoder, tmp_path / "one", shots={"one": 2, "two": 2})
    cards = {path.parent.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*/README.md")}
    assert "the classification of speech by labels like these" in cards["digits"]
    assert "Research on speech, and tools" in cards["one"]
    for name, speaks in (("emotions", True), ("anger", True), ("digits", False), ("one", False)):
        assert ("speech-emotion-recognition" in cards[name], "emotion" in cards[name]) == (speaks, speaks), name


@pytest.mark.usefixtures("without_curves")
@pytest.mark.parametrize(
    ("source", "shown"),
    [("facebook/wav2vec2-base", "facebook/wav2vec2-base"), ("{here}/start", "start"), ("/gone/start", "start"),
     ("../start/", "start"), ("mini", "mini")],
)  # fmt: skip
def test_cards_name_the_start_and_not_its_folder(model, tmp_path, source, shown):
    (tmp_path / "start").mkdir()
    source = source.format(here=tmp_path)
    make_adapted(load_encoder(model), tmp_path / "out", source=source)
    assert f"Adapted from `{shown}` by" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert read_record(tmp_path / "out")["source"] == source
    make_prefinetuned(load_encoder(model), tmp_path / "prefinetuned", source=source)
    assert f"\n`{shown}`, " in (tmp_path / "prefinetuned" / "README.md").read_text(encoding="utf-8")


def test_the_record_is_kept_with_the_version(model, tmp_path):
    encoder = load_encoder(model)
    make_prefinetuned(encoder, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "voicefit.json").read_text(encoding="utf-8"))
    assert record.pop("voicefit")
    assert record == make_record(encoder)
    make_adapted(encoder, tmp_path / "adapted", note="ä")
    assert read_record(tmp_path / "adapted")["kind"] == "adapted"
    assert read_record(tmp_path / "adapted")["note"] == "ä"


def test_weights_are_saved_in_single_precision(model, tmp_path):
    make_adapted(load_encoder(model), tmp_path / "out")
    stored = load_file(tmp_path / "out" / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float32}
    assert np.isfinite(sum(float(tensor.sum()) for tensor in stored.values()))
