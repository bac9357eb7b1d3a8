import os
import signal
import stat

import httpx
import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

import voicefit
from support.bad_audio import encode, odd_files
from support.new_process import Started
from support.served import BASE, clip, running, shots
from support.tiny_models import make_waveform
from voicefit.errors import VoicefitError
from voicefit.serving import kept_audio
from voicefit.serving.app import create_app
from voicefit.serving.kept_audio import KeptAudio
from voicefit.serving.limits import Limits
from voicefit.serving.service import Service, open_served


@pytest.fixture
def remarks():
    return []


@pytest.fixture
def kept(tmp_path, remarks):
    return KeptAudio(tmp_path / "kept", remarks.append)


@pytest.fixture
def client(start, kept):
    with TestClient(create_app(Service(open_served(str(start)), Limits(), kept)), BASE) as found:
        yield found


def files(kept):
    return sorted(str(path.relative_to(kept.folder)) for path in kept.folder.rglob("*") if path.is_file())


def folders(kept):
    return sorted(os.path.dirname(name) for name in files(kept))


def test_clips_of_the_api_are_kept_by_label_and_adapt_a_model_again(client, kept, start, tmp_path):
    made = client.post("/adapt", **shots("angry", "angry", "my own")).json()
    answer = client.post("/predict", files={"file": clip(9)}, headers={"Voicefit-Model": made["model"]})
    assert answer.status_code == 200
    assert folders(kept) == ["adapt/anger", "adapt/anger", "adapt/my_own", "predict"]
    (tried,) = (kept.folder / "predict").iterdir()
    about = soundfile.info(tried)
    assert (about.format, about.subtype, about.samplerate, about.channels) == ("FLAC", "PCM_16", 16_000, 1)
    np.testing.assert_allclose(soundfile.read(tried)[0], make_waveform(0.3, 9), atol=2**-15)
    again = voicefit.adapt(start, kept.folder / "adapt", out=tmp_path / "again")
    assert again.shots == {"anger": 2, "my_own": 1}


def test_a_clip_that_is_sent_again_is_kept_once(client, kept):
    for _ in range(2):
        client.post("/adapt", **shots("a", "b"))
    assert folders(kept) == ["adapt/a", "adapt/b"]


def test_what_is_refused_is_not_kept(client, kept):
    assert client.post("/predict", files={"file": b"no audio"}).status_code == 422
    assert client.post("/adapt", **shots("a", "../b")).status_code == 422
    assert client.post("/adapt", **shots("a")).status_code == 422
    assert files(kept) == []


def test_no_name_that_is_sent_becomes_a_path(client, kept, tmp_path):
    before = {path for path in tmp_path.rglob("*") if kept.folder not in path.parents}
    model = client.post("/adapt", **shots("a", "b")).json()["model"]
    for name in odd_files():
        headers = {"Voicefit-Model": model}
        assert client.post("/predict", files={"file": (name, clip(3))}, headers=headers).status_code in (200, 400)
        client.post("/adapt", files=[("files", (name, clip(seed))) for seed in (4, 5)], data={"labels": ["a", name]})
    assert all(len(os.path.basename(name)) == len("0123456789abcdef" * 2 + ".flac") for name in files(kept))
    assert {path for path in tmp_path.rglob("*") if kept.folder not in path.parents} == before


def test_a_clip_louder_than_full_scale_keeps_its_shape(client, kept):
    wave = 3 * make_waveform(0.3, 1) / np.abs(make_waveform(0.3, 1)).max()
    content = encode(wave, subtype="FLOAT")
    client.post("/adapt", files=[("files", content), ("files", clip(2))], data={"labels": ["loud", "soft"]})
    (path,) = (kept.folder / "adapt" / "loud").iterdir()
    np.testing.assert_allclose(soundfile.read(path)[0], wave / 3, atol=2**-14)


def test_a_disk_that_fills_stops_it_with_one_remark_and_the_server_goes_on(client, kept, remarks, monkeypatch):
    monkeypatch.setattr(kept_audio, "MIN_FREE_BYTES", 10**18)
    model = client.post("/adapt", **shots("a", "b")).json()["model"]
    ask = {"files": {"file": clip(9)}, "headers": {"Voicefit-Model": model}}
    assert client.post("/predict", **ask).status_code == 200
    assert files(kept) == [] and len(remarks) == 1
    assert "clips are not kept for now" in remarks[0] and "GB free" in remarks[0]
    monkeypatch.undo()
    client.post("/predict", **ask)
    assert folders(kept) == ["predict"] and len(remarks) == 1


def test_a_folder_that_is_gone_is_made_again(client, kept, remarks):
    kept.folder.rmdir()
    client.post("/adapt", **shots("a", "b"))
    assert folders(kept) == ["adapt/a", "adapt/b"] and remarks == []


def test_a_folder_that_cannot_be_used_is_told_at_the_start(tmp_path, monkeypatch, remarks):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(VoicefitError, match=r"--keep-audio .*file: cannot be written to \(.*\); choose another"):
        KeptAudio(tmp_path / "file", remarks.append)
    monkeypatch.setattr(kept_audio, "MIN_FREE_BYTES", 10**18)
    with pytest.raises(VoicefitError, match="GB free; make room"):
        KeptAudio(tmp_path / "new", remarks.append)


@pytest.mark.slow(8)
def test_the_page_and_the_api_say_that_clips_are_kept(start, kept):
    from voicefit.serving.page import build_page  # Gradio takes seconds, in every process that collects the tests

    words = "This server keeps your voice"
    with running(start, kept=kept) as (address, service):
        assert words in httpx.get(f"{address}/config", timeout=60).text
        assert "stay in this server's memory" not in httpx.get(f"{address}/config", timeout=60).text
        assert httpx.get(f"{address}/health").json()["keeps_audio"] is True
    service = Service(open_served(str(start)), Limits())
    assert words not in str(build_page(service).get_config_file())
    service.close()


@pytest.mark.slow(16)
def test_the_command_says_where_clips_are_kept(start, tmp_path):
    started = Started(["serve", start, "--port", "0", "--keep-audio", tmp_path / "kept"], tmp_path / "printed")
    address = started.first_line().split()[1]
    assert httpx.post(f"{address}/adapt", **shots("a", "b"), timeout=60).status_code == 200
    started.signal(signal.SIGTERM)
    _, _, told = started.end(30)
    assert f"clips that users send are kept in {tmp_path / 'kept'}" in told
    assert len(list((tmp_path / "kept" / "adapt").glob("*/*.flac"))) == 2
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700
