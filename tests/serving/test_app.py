import io
import json
import shutil
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

import voicefit
from support.bad_audio import encode
from support.served import BASE, clip, shots
from support.tiny_models import build_wav2vec2_group_norm, make_waveform
from voicefit.errors import VoicefitError
from voicefit.serving.app import create_app
from voicefit.serving.limits import Limits
from voicefit.serving.service import Service, open_served

TOKEN = "a-long-secret"


def serve(start, token="", **limits):
    return TestClient(create_app(Service(open_served(str(start)), Limits(**limits)), token), BASE)


def adapt(client, *labels):
    reply = client.post("/adapt", **shots(*labels))
    assert reply.status_code == 200, reply.text
    return reply.json()


def predict(client, model="", **headers):
    headers |= {"Voicefit-Model": model} if model else {}
    return client.post("/predict", files={"file": ("new.wav", clip(9))}, headers=headers)


def test_adapt_predict_and_download_say_the_same(client, tmp_path):
    made = adapt(client, "angry", "angry", "neutral", "my own")
    assert made["shots"] == {"anger": 2, "my_own": 1, "neutral": 1}
    answer = predict(client, made["model"]).json()
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)
    with zipfile.ZipFile(io.BytesIO(client.get(made["download"]).content)) as archive:
        archive.extractall(tmp_path)
    (tmp_path / "new.wav").write_bytes(clip(9))
    local = voicefit.load_model(tmp_path / "voicefit-model").predict(tmp_path / "new.wav")
    assert local.probabilities == pytest.approx(answer["probabilities"], abs=1e-5)


def test_a_download_tells_no_path_of_the_server(start, tmp_path):
    """Neither where the start lies, nor where its corpora do, nor where the server works."""
    shutil.copytree(start, tmp_path / "secret-place" / "my-start")
    path = tmp_path / "secret-place" / "my-start" / "voicefit.json"
    left_out = {"a": f"empty: {tmp_path}/secret-place/a.wav: holds no samples"}
    corpus = {"title": "Mine", "licence": "", "usage": "", "left_out": left_out}
    path.write_text(json.dumps({**json.loads(path.read_text()), "corpora": [corpus]}))
    with serve(path.parent) as client:
        reply = client.get(adapt(client, "calm", "calm", "upset")["download"])
        folder = str(client.app.state.service.uploads.parent)
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    for content in (*files.values(), *map(str.encode, files)):
        assert b"secret-place" not in content and folder.encode() not in content
    assert b"`my-start`" in files["voicefit-model/README.md"]
    assert json.loads(files["voicefit-model/voicefit.json"])["source"] == "my-start"


def test_each_model_belongs_to_whoever_made_it(client):
    first, second = adapt(client, "calm", "upset"), adapt(client, "tired", "awake")
    assert set(predict(client, first["model"]).json()["probabilities"]) == {"calm", "upset"}
    assert set(predict(client, second["model"]).json()["probabilities"]) == {"tired", "awake"}
    for status in (predict(client, "guess").status_code, client.get("/models/guess.zip").status_code):
        assert status == 404


def test_before_any_clip_a_start_that_knows_labels_guesses_and_another_has_no_answer(client, tmp_path):
    guess = predict(client).json()
    assert set(guess["probabilities"]) == {"anger", "fear", "neutral"}
    assert guess["remark"] == "a first guess: the model has heard no clip of this voice"
    assert predict(client, adapt(client, "calm", "upset")["model"]).json()["remark"] == ""
    with serve(build_wav2vec2_group_norm(tmp_path / "encoder")) as plain:
        assert plain.get("/health").json()["predicts"] is False
        no_model = predict(plain)
        assert (no_model.status_code, no_model.json()) == (422, {"error": "there is no model yet; adapt one first"})


def grow(client, model, *labels, first=0, **more):
    files = [("files", (f"{index}.wav", clip(first + index))) for index in range(len(labels))]
    files += [("recordings", (f"{seed}.wav", clip(seed))) for seed in more.pop("recordings", ())]
    fields = {"labels": labels, **more}.items()
    files += [(name, (None, value)) for name, values in fields for value in values]  # as `curl -F name=value` has it
    return client.post("/adapt", files=files, headers={"Voicefit-Model": model})


def test_a_model_grows_by_its_key_and_a_clip_is_corrected(client, service):
    key = adapt(client, "calm", "upset")["model"]
    grown = grow(client, key, "upset", "tired", first=1).json()  # the second clip again, and a new one
    assert grown["model"] == key and grown["shots"] == {"calm": 1, "tired": 1, "upset": 1}
    assert "1 clip given again: the model has them already" in grown["remarks"]
    corrected = grow(client, key, "tired").json()
    assert corrected["shots"] == {"tired": 2, "upset": 1}
    assert any(words.endswith("was calm, and is tired now") for words in corrected["remarks"])
    assert set(predict(client, key).json()["probabilities"]) == {"tired", "upset"}
    refused = grow(client, key, drop=["nothing"])
    assert (refused.status_code, "has no label nothing to drop" in refused.json()["error"]) == (422, True)
    dropped = grow(client, key, "calm", first=5, drop=["tired"]).json()
    assert dropped["shots"] == {"calm": 1, "upset": 1}
    assert grow(client, "guess", "a").status_code == 404
    assert service.sessions.held == 1


def test_recordings_without_labels_take_part(client):
    made = grow(client, "", "anger", "fear", recordings=range(10, 16)).json()
    assert made["method"] == "joint"
    assert any("6 recordings without labels took part" in words for words in made["remarks"])
    more = grow(client, made["model"], recordings=range(20, 22)).json()
    assert any("8 recordings without labels took part" in words for words in more["remarks"])
    content = client.get(more["download"]).content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert json.loads(archive.read("voicefit-model/voicefit.json"))["unlabelled"] == 8
        assert b"/recordings/" not in b"".join(archive.read(name) for name in archive.namelist())


def test_a_model_grows_no_further_than_the_limits(start):
    with serve(start, clips=3, recordings=2) as client:
        key = adapt(client, "a", "b")["model"]
        assert "4 clips; at most 3" in grow(client, key, "a", "b", first=5).json()["error"]
        assert "3 recordings without labels; at most 2" in grow(client, key, recordings=range(3)).json()["error"]


def test_a_model_can_be_removed_at_once(client, service):
    made = adapt(client, "calm", "upset")
    folder = service.sessions.get(made["model"]).folder
    assert client.delete(f"/models/{made['model']}").status_code == 204
    assert not folder.exists()
    assert predict(client, made["model"]).status_code == 404


def test_no_audio_is_left_on_disk(client, service):
    made = adapt(client, "calm", "upset")
    predict(client, made["model"])
    folder = service.sessions.get(made["model"]).folder
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".json", ".md", ".safetensors"}


def test_a_second_model_of_a_session_replaces_the_first(service):
    session = service.sessions.get(service.sessions.open())
    clips = [(label, service.read_clip(clip(seed), "a.wav")) for seed, label in enumerate(("calm", "upset"))]
    service.adapt(session, clips)
    first = service.zip_model(session)
    service.adapt(session, clips)
    assert not first.exists()
    assert list(session.folder.iterdir()) == [session.model_folder]


def test_a_session_that_is_closed_while_its_model_is_made_leaves_nothing(service, monkeypatch):
    key = service.sessions.open()
    session = service.sessions.get(key)
    clips = [(label, service.read_clip(clip(seed), "a.wav")) for seed, label in enumerate(("calm", "upset"))]
    real = voicefit.adapt

    def leave_first(*arguments, **options):
        service.sessions.close(key)
        return real(*arguments, **options)

    monkeypatch.setattr("voicefit.serving.service.adapt", leave_first)
    with pytest.raises(VoicefitError):
        service.adapt(session, clips)
    assert not session.folder.exists()


def test_an_adapted_model_predicts_at_once_and_adapts_where_its_start_is_here(start, tmp_path):
    for seed, label in enumerate(("calm", "upset")):
        place = tmp_path / "clips" / label
        place.mkdir(parents=True)
        (place / "a.wav").write_bytes(clip(seed))
    voicefit.adapt(start, tmp_path / "clips", out=tmp_path / "model")
    with serve(tmp_path / "model") as client:
        assert {"predicts": True, "adapts": True}.items() <= client.get("/health").json().items()
        assert set(predict(client).json()["probabilities"]) == {"calm", "upset"}
        assert set(predict(client, adapt(client, "a", "b")["model"]).json()["probabilities"]) == {"a", "b"}
    record = tmp_path / "model" / "voicefit.json"
    record.write_text(record.read_text().replace(str(start), str(tmp_path / "gone")))
    with serve(tmp_path / "model") as client:
        assert client.get("/health").json()["adapts"] is False
        assert "only predicts" in client.post("/adapt", **shots("a", "b")).json()["error"]


def test_a_token_is_asked_of_all_but_health(start):
    with serve(start, TOKEN) as client:
        assert client.get("/health").status_code == 200
        for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
            assert predict(client, **header).status_code == 401
            assert client.post("/adapt", **shots("a", "b"), headers=header).status_code == 401
            assert client.get("/metrics", headers=header).status_code == 401
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        assert predict(client, adapt(client, "a", "b")["model"]).status_code == 200


def test_another_site_cannot_pose_as_this_server(client):
    assert client.get("/health", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/health", headers={"Host": "localhost:8000"}).status_code == 200
    assert client.get("/health", headers={"Host": "[::1]:8000"}).status_code == 200


def test_adaptation_does_not_block_prediction_and_a_full_queue_is_told(start, monkeypatch):
    """One adaptation works, one waits, the third is refused; predictions go on meanwhile."""
    began, go = threading.Semaphore(0), threading.Event()
    real = voicefit.adapt

    def slow(*arguments, **options):
        began.release()
        assert go.wait(30)
        return real(*arguments, **options)

    with serve(start, adapt_waiting=1) as client, ThreadPoolExecutor(2) as pool:
        model = adapt(client, "calm", "upset")["model"]
        monkeypatch.setattr("voicefit.serving.service.adapt", slow)
        working = pool.submit(client.post, "/adapt", **shots("a", "b"))
        assert began.acquire(timeout=30)
        waiting = pool.submit(client.post, "/adapt", **shots("a", "b"))
        deadline = time.monotonic() + 30
        while client.app.state.service.adapting.inside < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        refused = client.post("/adapt", **shots("a", "b"))
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "2")
        assert "2 requests to adapt are waiting" in refused.json()["error"]
        assert predict(client, model).status_code == 200
        go.set()
        assert [reply.result().status_code for reply in (working, waiting)] == [200, 200]
        assert client.app.state.service.adapting.inside == 0


def test_more_voices_than_fit_are_refused(start):
    with serve(start, sessions=1) as client:
        adapt(client, "a", "b")
        reply = client.post("/adapt", **shots("a", "b"))
        assert (reply.status_code, reply.json()["error"]) == (
            429,
            "this server holds 1 sessions already; try again in a while",
        )


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        ({"content": b"x"}, 400, "multipart"),
        ({"data": {"labels": "a"}, "files": {"other": b"x"}}, 400, "as many labels"),
        ({"data": {"labels": ["a"]}, "files": [("files", clip(0)), ("files", clip(1))]}, 400, "as many labels"),
        (shots("a"), 422, "at least two labels"),
        (shots("a", "../b"), 422, "write 1 to 40 letters"),
        (shots("a", "A"), 422, "at least two labels"),
        (shots(*"abcdefgh"), 400, "Too many fields"),
        ({"data": {"labels": ["a", "b"]}, "files": [("files", b"x")] * 2}, 422, "is text, not readable as audio"),
        ({"headers": {"content-type": "multipart/form-data"}, "content": b"x"}, 400, "boundary"),
    ],
)
def test_a_request_that_is_wrong_is_told_why_and_leaves_nothing(start, request_, status, words):
    with serve(start, clips=6) as client:
        reply = client.post("/adapt", **request_)
        assert (reply.status_code, list(reply.json())) == (status, ["error"])
        assert words in reply.json()["error"]
        assert client.app.state.service.sessions.held == 0
        assert client.app.state.service.adapting.inside == 0


def test_sizes_are_bounded(start):
    with serve(start, clip_bytes=20_000, request_bytes=60_000) as client:
        large = client.post("/predict", files={"file": clip(0, seconds=1)})
        assert (large.status_code, "over" in large.json()["error"]) == (422, True)
        declared = client.post("/predict", files={"file": bytes(100_000)})
        assert (declared.status_code, "over" in declared.json()["error"]) == (413, True)
        unknown = client.post(
            "/predict",
            content=(part for part in [b"--x\r\n"] + [bytes(10_000)] * 10),
            headers={"content-type": "multipart/form-data; boundary=x"},
        )
        assert unknown.status_code in (400, 413)


def test_metrics_count_what_happened(client):
    client.post("/predict", files={"file": b"no audio"})
    predict(client, "guess")
    client.get("/nothing/here")
    text = client.get("/metrics").text
    assert 'voicefit_requests_total{path="/predict",status="422"} 1' in text
    assert 'voicefit_requests_total{path="/predict",status="404"} 1' in text
    assert 'voicefit_request_seconds_bucket{path="/predict",le="+Inf"} 2' in text
    assert 'voicefit_requests_total{path="page",status="404"} 1' in text
    assert "nothing" not in text


def test_the_api_describes_itself_without_fetching_anything(client):
    schema = client.get("/openapi.json").json()
    body = schema["paths"]["/adapt"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert body["required"] == ["files", "labels"]
    page = client.get("/docs")
    assert "POST /adapt" in page.text and "<script" not in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]


def test_every_fault_is_json_with_one_line(start):
    with serve(start) as client:
        for reply in (
            client.get("/nothing"),
            client.put("/predict"),
            client.get("/health", headers={"Host": "voice.example.org"}),
        ):
            assert reply.status_code in (400, 404, 405)
            assert list(reply.json()) == ["error"] and "\n" not in reply.json()["error"]
            assert reply.headers["content-type"] == "application/json"
        assert "has to send one of these as Host" in reply.json()["error"]
        for host in ("localhost:8123", "127.0.0.1", "[::1]:80"):
            assert client.get("/health", headers={"Host": host}).status_code == 200


def test_a_long_clip_is_answered_with_what_was_heard(start):
    with serve(start) as client:
        model = adapt(client, "calm", "upset")["model"]
        assert predict(client, model).json()["remark"] == ""
        file = {"file": ("a.wav", encode(make_waveform(8.0)))}
        long = client.post("/predict", files=file, headers={"Voicefit-Model": model}).json()
        assert "the first 5 of 8.0 s were read; send it in parts" in long["remark"]
