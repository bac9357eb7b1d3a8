import os
import signal
import socket

import httpx
import pytest

from support.new_process import Started
from support.served import running
from voicefit.errors import VoicefitError
from voicefit.serving.server import check_token, serve

TOKEN = "a-long-secret"


def test_other_machines_are_let_in_with_a_token_alone():
    check_token("127.0.0.1", "")
    check_token("::1", "")
    check_token("0.0.0.0", TOKEN)
    with pytest.raises(VoicefitError, match="give a secret with --token"):
        check_token("0.0.0.0", "")
    with pytest.raises(VoicefitError, match="at least 12 characters"):
        check_token("127.0.0.1", "short")


@pytest.mark.slow(3)
def test_the_page_asks_for_the_token(start):
    with running(start, TOKEN) as (address, _), httpx.Client(base_url=address, timeout=60) as client:
        assert client.get("/config").status_code == 401
        assert client.post("/gradio_api/upload", files={"files": b"x"}).status_code == 401
        assert client.post("/login", data={"username": "me", "password": "wrong"}).status_code == 400
        assert client.post("/login", data={"username": "me", "password": TOKEN}).status_code == 200
        assert client.get("/config").status_code == 200


def test_a_body_that_does_not_arrive_gives_its_place_back(start):
    with running(start, request_seconds=0.3) as (address, service):
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as client:
            head = "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
            client.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n".encode())
            answer = client.recv(1000).decode()
        assert answer.startswith("HTTP/1.1 408")
        assert service.predicting.inside == 0


@pytest.mark.slow(15)
def test_the_command_serves_until_it_is_interrupted_and_removes_what_it_kept(start, tmp_path):
    started = Started(["serve", start, "--port", "0"], tmp_path, {**os.environ, "TMPDIR": str(tmp_path)})
    address = started.first_line().split()[1]
    assert httpx.get(f"{address}/health").json()["adapts"] is True
    assert list(tmp_path.glob("voicefit-serve-*"))
    started.signal(signal.SIGTERM)
    started.end(20)
    assert not list(tmp_path.glob("voicefit-serve-*"))


def test_a_port_that_is_taken_is_told(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(VoicefitError, match=f"cannot listen on 127.0.0.1 port {port}"):
            serve(str(start), "127.0.0.1", port, "", print)
