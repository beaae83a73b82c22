"""A small hub on this machine: one data set's file list and its files, as the real client asks for them."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

COMMIT = "1" * 40
REPOSITORY = "someone/webdev"


class LocalHub:
    """What the server holds, and the paths that were asked for; ``size`` stands for the size of every file."""

    def __init__(self, files: Mapping[str, bytes], size: int | None) -> None:
        self.files = {**files, "README.md": b"# card", "load.py": b"raise SystemExit"}
        self.size = size
        self.asked: list[str] = []
        self.address = ""

    def listing(self, name_key: str) -> list[dict[str, object]]:
        """Return the files as the two listings of the hub name them."""
        return [
            {
                "type": "file",
                name_key: name,
                "size": len(content) if self.size is None else self.size,
                "oid": _hash(content),
                "blobId": _hash(content),
            }
            for name, content in self.files.items()
        ]

    def answer(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        """Return status, content and headers of what is at ``path``."""
        self.asked.append(path)
        if path.startswith(f"/api/datasets/{REPOSITORY}/revision/"):
            return (
                200,
                json.dumps({"id": REPOSITORY, "sha": COMMIT, "siblings": self.listing("rfilename")}).encode(),
                {},
            )
        if path.startswith(f"/api/datasets/{REPOSITORY}/tree/"):
            return 200, json.dumps(self.listing("path")).encode(), {}
        content = self.files.get(path.removeprefix(f"/datasets/{REPOSITORY}/resolve/{COMMIT}/"))
        if content is None:
            return 404, b"{}", {}
        return 200, content, {"ETag": f'"{_hash(content)}"', "X-Repo-Commit": COMMIT}


def _hash(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@contextmanager
def serving(files: Mapping[str, bytes], size: int | None = None) -> Iterator[LocalHub]:
    """Serve ``files`` until the block ends."""
    hub = LocalHub(files, size)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, content, headers = hub.answer(self.path.partition("?")[0])
            self.send_response(code)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """Say nothing: the test reads what was asked."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
