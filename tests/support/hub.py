"""A Hugging Face hub on this machine: the few addresses that its client asks of a repository, and a count of them."""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """A server of one repository.

    Attributes:
        address: for ``HF_ENDPOINT``.
        requests: ``METHOD path`` → how often it was asked for.
    """

    def __init__(self, repository: str, folder: Path):
        self.requests: Counter[str] = Counter()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, repository, folder))
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def looks(self) -> int:
        """How often the client asked which commit the repository has."""
        return sum(count for path, count in self.requests.items() if "/api/models/" in path and "/tree/" not in path)


@contextmanager
def serve(repository: str, folder: Path) -> Iterator[Hub]:
    """Serve ``folder`` as ``repository`` while the block lasts."""
    hub = Hub(repository, folder)
    threading.Thread(target=hub.server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield hub
    finally:
        hub.server.shutdown()
        hub.server.server_close()


def _entry(path: Path) -> dict:
    content = path.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return {"type": "file", "path": path.name, "size": len(content), "oid": blob}


def _handler(hub: Hub, repository: str, folder: Path) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            path = self.path.partition("?")[0]
            hub.requests[f"{self.command} {path}"] += 1
            files = sorted(file for file in folder.iterdir() if file.is_file())
            if path in (f"/api/models/{repository}", f"/api/models/{repository}/revision/main"):
                siblings = [{"rfilename": file.name} for file in files]
                self._send(json.dumps({"id": repository, "sha": COMMIT, "siblings": siblings}).encode())
            elif path == f"/api/models/{repository}/tree/{COMMIT}":
                self._send(json.dumps([_entry(file) for file in files]).encode())
            else:
                name = path.removeprefix(f"/{repository}/resolve/{COMMIT}/")
                file = next((file for file in files if file.name == name), None)
                if file is None:
                    self.send_response(404)
                    self.send_header("X-Error-Code", "EntryNotFound")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                else:
                    self._send(file.read_bytes(), {"ETag": f'"{_entry(file)["oid"]}"', "X-Repo-Commit": COMMIT})

        def _send(self, content: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(200)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
