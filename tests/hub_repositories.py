"""A small hub on this machine that takes models: repositories, uploads and commits, as the real client asks for them.

What it does wrong on purpose is named in ``faults``: "METHOD part-of-path" -> a status code, or 0 for a connection that
drops.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "hf_secret_of_the_tests"


class Repository:
    """One model repository: its files by name, and how many commits were made."""

    def __init__(self, *, private: bool) -> None:
        self.private = private
        self.files: dict[str, bytes] = {}
        self.commits = 0

    @property
    def sha(self) -> str:
        return f"{self.commits:040x}"


class Hub:
    """What the server holds: ``repositories`` by name, ``objects`` of LFS, and what was ``asked``."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.faults: dict[str, int] = {}
        self.ignored: set[str] = set()
        self.address = ""

    def fault(self, line: str) -> int | None:
        return next((code for part, code in self.faults.items() if line.startswith(part)), None)

    # --- answers: (status, object)

    def create(self, body: dict[str, Any]) -> tuple[int, Any]:
        name = f"{body['organization']}/{body['name']}"
        if name in self.repositories:
            return 409, {"error": "You already created this model repo"}
        self.repositories[name] = Repository(private=body.get("visibility") == "private" or body.get("private") is True)
        return 200, {"url": f"{self.address}/{name}", "name": name}

    def info(self, name: str) -> tuple[int, Any]:
        found = self.repositories.get(name)
        if found is None:
            return 404, {"error": "Repository not found"}
        siblings = [{"rfilename": file} for file in [".gitattributes", *found.files]]
        return 200, {"id": name, "sha": found.sha, "private": found.private, "siblings": siblings}

    def preupload(self, body: dict[str, Any]) -> tuple[int, Any]:
        return 200, {
            "files": [
                {
                    "path": item["path"],
                    "uploadMode": "lfs" if item["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": item["path"] in self.ignored,
                }
                for item in body["files"]
            ]
        }

    def batch(self, body: dict[str, Any]) -> tuple[int, Any]:
        upload = {"upload": {"href": f"{self.address}/upload/OID", "header": {}}}
        objects = [
            {
                "oid": item["oid"],
                "size": item["size"],
                **(
                    {}
                    if item["oid"] in self.objects
                    else {"actions": json.loads(json.dumps(upload).replace("OID", item["oid"]))}
                ),
            }
            for item in body["objects"]
        ]
        return 200, {"transfer": "basic", "objects": objects}

    def commit(self, name: str, lines: list[dict[str, Any]]) -> tuple[int, Any]:
        repository = self.repositories[name]
        files = {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.objects[value["oid"]]
        repository.files |= files
        repository.commits += 1
        return 200, {"commitOid": repository.sha, "commitUrl": f"{self.address}/{name}/commit/{repository.sha}"}


@contextmanager
def serving() -> Iterator[Hub]:
    """Serve an empty hub until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            path = self.path.partition("?")[0]
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            line = f"{self.command} {path}"
            hub.asked.append(line)
            code = hub.fault(line)
            if code == 0:
                self.close_connection = True
                self.connection.close()
                return
            if code is not None:
                self._send(code, {"error": f"made to fail with {code}"})
            elif path.startswith("/upload/"):
                oid = path.rpartition("/")[2]
                assert hashlib.sha256(content).hexdigest() == oid
                hub.objects[oid] = content
                self._send(200, {})
            elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self._send(401, {"error": "Invalid username or password."})
            else:
                self._send(*self._found(path, content))

        def _found(self, path: str, content: bytes) -> tuple[int, Any]:
            if path == "/api/repos/create":
                return hub.create(json.loads(content))
            if path == "/api/validate-yaml":
                return 200, {"errors": [], "warnings": []}
            if path.endswith(".git/info/lfs/objects/batch"):
                return hub.batch(json.loads(content))
            name = "/".join(path.removeprefix("/api/models/").split("/")[:2])
            if "/preupload/" in path:
                return hub.preupload(json.loads(content))
            if "/commit/" in path:
                return hub.commit(name, [json.loads(line) for line in content.splitlines() if line.strip()])
            return hub.info(name)

        def _send(self, code: int, value: Any) -> None:
            content = json.dumps(value).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _answer

        def log_message(self, *_: object) -> None:
            """Say nothing: the test reads what was asked."""

    return Handler
