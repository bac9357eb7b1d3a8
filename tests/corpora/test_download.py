import functools
import hashlib
import io
import json
import re
import threading
import zipfile
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from voicefit.corpora import CORPORA
from voicefit.corpora.download import SOURCES, Source, download
from voicefit.errors import VoicefitError


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


CONTENT = zipped({"CaFE_48k/Neutre/01-N-1.wav": b"sound " * 1000, "CaFE_48k/Readme.txt": b"CaFE"})


class Site:
    """A server of files with Zenodo's record and the hub's folder of them.

    Attributes:
        files: name → content.
        breaks_after: an answer ends after so many bytes.
        ranges: whether parts of a file can be had.
        asked: the ``Range`` of every request for a file.
    """

    def __init__(self, server):
        self.address = f"http://127.0.0.1:{server.server_port}"
        self.files = {"CaFE_48k.zip": CONTENT, "CaFE_192k_1.zip": b"another"}
        self.digest = lambda content: f"md5:{hashlib.md5(content).hexdigest()}"
        self.breaks_after = None
        self.ranges = True
        self.asked = []

    def listing(self, path):
        if path == "/api/records/1":
            files = self.files.items()
            return {"files": [{"key": n, "size": len(c), "checksum": self.digest(c)} for n, c in files]}
        return [
            {"path": f"data/{n}", "size": len(c), "lfs": {"oid": hashlib.sha256(c).hexdigest(), "size": len(c)}}
            for n, c in self.files.items()
        ] + [{"path": "data/README.md", "size": 1}]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        site, path = self.server.site, self.path.partition("?")[0]
        if path.startswith("/api/"):
            self.answer(200, json.dumps(site.listing(path)).encode())
            return
        content = site.files.get(path.rpartition("/")[2])
        if content is None or not re.match(r"/records/1/files/|/datasets/a/b/resolve/c/data/", path):
            self.send_error(404)
            return
        site.asked.append(self.headers["Range"])
        start = int(re.match(r"bytes=(\d+)-", self.headers["Range"])[1]) if site.ranges else 0
        self.answer(206 if site.ranges else 200, content[start:], site.breaks_after)

    def answer(self, status, content, breaks_after=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:breaks_after])

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.site = Site(server)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server.site
    server.shutdown()
    server.server_close()


@pytest.fixture
def get(site, tmp_path):
    source = Source(f"{site.address}/api/records/1", "CaFE_48k.zip")
    return functools.partial(download, "cafe", tmp_path / "CaFE", source)


def test_a_record_of_zenodo_is_unpacked(tmp_path, site, get):
    told = []
    assert get(lambda *event: told.append(event)) == tmp_path / "CaFE"
    assert (tmp_path / "CaFE" / "CaFE_48k" / "Neutre" / "01-N-1.wav").read_bytes() == b"sound " * 1000
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("voicefit-cache")] == ["CaFE"]
    assert site.asked == ["bytes=0-"]
    assert told[-1] == ("downloading CaFE_48k.zip, MB", 0, 1)


def test_a_folder_of_the_hub_is_downloaded(tmp_path, site):
    site.files = {"cafe-00000-of-00001.parquet": b"PAR1", "nemo-00000-of-00001.parquet": b"PAR1 too"}
    source = Source(f"{site.address}/api/datasets/a/b/tree/c/data", "*.parquet")
    out = download("cameo", tmp_path / "CAMEO", source)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == site.files


@pytest.mark.parametrize("ranges", [True, False])
def test_the_next_call_goes_on_where_one_broke_off(tmp_path, site, get, ranges):
    site.breaks_after = 100
    with pytest.raises(VoicefitError, match=rf"100 of {len(CONTENT):,} bytes are here; the same command resumes there"):
        get()
    assert not (tmp_path / "CaFE").exists()
    site.breaks_after, site.ranges = None, ranges
    get()
    assert site.asked == ["bytes=0-", "bytes=100-"]
    assert (tmp_path / "CaFE" / "CaFE_48k" / "Readme.txt").read_bytes() == b"CaFE"


def test_what_is_whole_already_is_not_asked_for_again(tmp_path, site, get):
    (tmp_path / "CaFE.download").mkdir()
    (tmp_path / "CaFE.download" / "CaFE_48k.zip").write_bytes(CONTENT)
    get()
    assert site.asked == []


@pytest.mark.parametrize("longer", [b"", b"and more"])
def test_another_file_than_published_is_refused_and_fetched_again(tmp_path, site, get, longer):
    (tmp_path / "CaFE.download").mkdir()
    (tmp_path / "CaFE.download" / "CaFE_48k.zip").write_bytes(b"x" * len(CONTENT) + longer)
    if not longer:
        with pytest.raises(VoicefitError, match=r"its md5 is \w{32}, \w{32} is published; try again"):
            get()
        assert not (tmp_path / "CaFE").exists()
    get()
    assert site.asked == ["bytes=0-"]


@pytest.mark.parametrize("name", ["../secret.wav", "/etc/secret.wav", "a/../../secret.wav", "..\\secret.wav"])
def test_an_archive_cannot_write_outside_its_folder(tmp_path, site, get, name):
    site.files = {"CaFE_48k.zip": zipped({name: b"x", "fine.wav": b"x"})}
    with pytest.raises(VoicefitError, match=r"CaFE_48k\.zip: .*secret\.wav' in it would lie outside its folder"):
        get()
    assert not (tmp_path / "CaFE").exists()
    assert list(tmp_path.rglob("*.wav")) == []


def test_what_the_address_says_is_checked(tmp_path, site, get):
    site.files = {"../CaFE_48k.zip": CONTENT}
    with pytest.raises(VoicefitError, match=r"'\.\./CaFE_48k\.zip' is no name of a file"):
        download("cafe", tmp_path / "CaFE", Source(f"{site.address}/api/records/1", "*.zip"))
    site.files = {"other.zip": CONTENT}
    with pytest.raises(VoicefitError, match=r"no file of cafe there \(CaFE_48k\.zip\)"):
        get()
    site.files = {"CaFE_48k.zip": b"no archive"}
    with pytest.raises(VoicefitError, match=r"CaFE_48k\.zip: it cannot be unpacked"):
        get()
    site.digest = lambda content: "crc32:0"
    with pytest.raises(VoicefitError, match="not every file has an MD5 or SHA-256 digest there"):
        get()
    site.listing = lambda path: {"message": "busy"}
    with pytest.raises(VoicefitError, match=r"records/1: this is no list of files \(KeyError\('files'\)\)"):
        get()


def test_a_file_that_is_gone_is_told(tmp_path, site):
    site.listing = lambda path: Site.listing(site, "/api/records/1")  # whatever record is asked for
    with pytest.raises(VoicefitError, match=r"files/CaFE_48k\.zip\?download=1: Not Found; 0 of"):
        download("cafe", tmp_path / "CaFE", Source(f"{site.address}/api/records/2", "CaFE_48k.zip"))


def test_no_connection_is_told(tmp_path):
    with pytest.raises(VoicefitError, match="refused; is there a connection"):
        download("cafe", tmp_path / "CaFE", Source("http://127.0.0.1:9/api/records/1", "*.zip"))


def test_a_folder_that_holds_something_is_left_alone(tmp_path, site, get):
    (tmp_path / "CaFE").mkdir()
    (tmp_path / "CaFE" / "mine.wav").touch()
    with pytest.raises(VoicefitError, match="exists already"):
        get()
    assert site.asked == []


def test_a_disk_too_small_is_told_before(tmp_path, site, get, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(100, 90, 10))
    with pytest.raises(VoicefitError, match=r"CaFE\.download: 0\.0 GB are needed here, 0\.0 GB are free"):
        get()
    assert site.asked == []


def test_what_is_downloaded_is_registered_and_licensed():
    for name, source in SOURCES.items():
        assert CORPORA[name].info.licence.startswith("CC BY")
        assert re.match(
            r"https://zenodo\.org/api/records/[0-9]+$|https://huggingface\.co/api/datasets/", source.listing
        )
