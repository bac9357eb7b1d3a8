"""Broken uploads against server and command line: a clear line each, and the next request is answered."""

import json
import time

import httpx
import pytest
from fastapi.testclient import TestClient

import voicefit
from support import SUPPORT
from support.bad_audio import bad_files, odd_files, silence
from support.new_process import Started
from support.served import BASE, clip, running
from voicefit.serving.app import create_app
from voicefit.serving.limits import Limits
from voicefit.serving.service import Service, open_served

SECONDS = 10.0
GIBIBYTE = 2**30


@pytest.fixture(scope="module")
def model(start, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    for seed, label in enumerate(("calm", "upset")):
        place = folder / "clips" / label
        place.mkdir(parents=True)
        (place / "a.wav").write_bytes(clip(seed))
    voicefit.adapt(start, folder / "clips", out=folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def client(model):
    with TestClient(create_app(Service(open_served(str(model)), Limits())), BASE) as found:
        yield found


BAD = bad_files()


def test_there_are_sixty_and_more():
    assert len(BAD) + len(odd_files()) >= 60


@pytest.mark.parametrize("name", BAD)
def test_the_server_refuses_each_in_one_line(client, name):
    began = time.monotonic()
    alone = client.post("/predict", files={"file": (name, BAD[name])})
    files = [("files", (name, BAD[name])), ("files", ("good.wav", clip(3)))]
    among = client.post("/adapt", files=files, data={"labels": ["a", "b"]})
    assert time.monotonic() - began < SECONDS
    for reply in (alone, among):
        assert reply.status_code == 422
        (text,) = reply.json().values()
        assert text.startswith(f"{name}: ")
        assert len(text.splitlines()) == 1 and "0x" not in text and "/tmp" not in text
    assert client.post("/predict", files={"file": clip(4)}).status_code == 200


@pytest.mark.parametrize("name", odd_files(), ids=ascii)
def test_the_server_takes_no_notice_of_a_name(client, name):
    content = odd_files()[name]
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode(errors="replace")
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    reply = client.post("/predict", content=head + content + b"\r\n--x--\r\n", headers=headers)
    assert reply.status_code in (200, 400)  # 400: a line break or a zero ends the header of a part
    if reply.status_code == 200:
        assert set(reply.json()["probabilities"]) == {"calm", "upset"}


def test_hours_of_silence_in_a_small_file_are_refused_without_hearing_them(client):
    hours = silence(hours=1)
    assert len(hours) < 300_000
    reply = client.post("/predict", files={"file": ("hours.flac", hours)})
    assert (reply.status_code, reply.json()["error"]) == (
        422,
        "hours.flac: longer than 30 s, the longest that is read; cut it",
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x",
        b"--x--\r\n",
        b"--x\r\nContent-Disposition: form-data\r\n\r\n\r\n--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nnot a file\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n'
        + b"A: b\r\n" * 5000
        + b"\r\n\r\n--x--\r\n",
        b"\xff" * 1000,
    ],
)
def test_bodies_that_are_no_forms_are_refused(client, body):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for path in ("/predict", "/adapt"):
        assert client.post(path, content=body, headers=headers).status_code in (400, 422)


def run_measured(folder, *arguments):
    """Exit code, output, messages, and peak memory in bytes of the command line in its own process."""
    code, printed, errors = Started([SUPPORT / "measured.py", *arguments], folder).end(120)
    lines = errors.splitlines()
    return code, printed, "\n".join(lines[:-1]), int(lines[-1])


@pytest.mark.slow(11)
def test_the_command_line_says_what_is_wrong_with_each(model, start, tmp_path):
    folder = tmp_path / "bad"
    folder.mkdir()
    for name, content in BAD.items():
        (folder / name).write_bytes(content)
    code, printed, messages, memory = run_measured(tmp_path, "predict", model, folder, "--json")
    assert code == 2 and "Traceback" not in messages
    assert memory < 2 * GIBIBYTE
    found = json.loads(printed)
    assert {item["file"].rpartition("/")[2] for item in found} == set(BAD)
    assert all(item["error"] and len(item["error"].splitlines()) == 1 for item in found)


@pytest.mark.slow(12)
def test_adapting_leaves_broken_clips_out_and_names_them(start, tmp_path):
    for index, (name, content) in enumerate(BAD.items()):
        place = tmp_path / "clips" / ("calm", "upset")[index % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
        (place / "good.wav").write_bytes(clip(index % 2))
    code, printed, messages, memory = run_measured(
        tmp_path, "adapt", start, tmp_path / "clips", "--out", tmp_path / "model"
    )
    assert code == 0, messages
    assert "Traceback" not in messages and memory < 2 * GIBIBYTE
    assert "1 calm, 1 upset" in " ".join(printed.split())
    left_out = json.loads((tmp_path / "model" / "voicefit.json").read_text(encoding="utf-8"))["left_out"]
    assert {what.rpartition("/")[2] for what in left_out} == set(BAD)
    assert "all that is left out: " in messages and "model/voicefit.json" in messages.replace("\n", "")


@pytest.mark.slow(4)
def test_a_real_server_survives_all_of_them(model):
    with running(model) as (address, service), httpx.Client(base_url=address, timeout=30) as http:
        for name, content in BAD.items():
            assert http.post("/predict", files={"file": (name, content)}).status_code == 422
        assert http.post("/predict", files={"file": clip(4)}).status_code == 200
        assert service.predicting.inside == 0
