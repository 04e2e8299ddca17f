"""As much of the Hugging Face hub as `huggingface_hub` and `datasets` ask for, on the loopback: their code downloads.

What it answers follows https://huggingface.co/docs/hub/api and the clients' sources: the listing of a repository
(`/api/models/NAME/revision/REV`, `…/tree/REV`, `…/paths-info/REV`) and its files (`/NAME/resolve/REV/FILE`), with the
commit in `X-Repo-Commit`, refusals in `X-Error-Code`, and ranges.
"""

import hashlib
import http.server
import json
import re
import threading
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

API = re.compile(r"/api/(models|datasets)/(.+?)(?:/(revision|tree|paths-info)/([^/]+)(?:/(.*))?)?$")
FILE = re.compile(r"/(datasets/)?(.+?)/resolve/([^/]+)/(.+)$")


class Repository:
    """Files at one commit, under `main` and the commit's own name."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        listed = "".join(f"{name}:{hashlib.sha1(files[name]).hexdigest()}" for name in sorted(files))
        self.commit = hashlib.sha1(listed.encode()).hexdigest()
        self.revisions = {"main", self.commit}
        self.gated = False

    @classmethod
    def of(cls, directory: Path) -> "Repository":
        return cls({path.name: path.read_bytes() for path in sorted(directory.iterdir())})


class HubServer(http.server.ThreadingHTTPServer):
    """`repositories`: name (of a dataset: datasets/NAME) → Repository; what was asked is in `log`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.log: list[tuple[str, str, str | None]] = []
        """Method, path, Range."""
        self.busy: list[dict[str, str]] = []
        """Headers of the 429s that the next requests get, one each (the client's first knock at / is let in)."""
        self.breaks: dict[str, int] = {}
        """File → after how many bytes its next download breaks off, once."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def client(self, home: Path, **changes: str) -> dict[str, str]:
        """The environment of a process that knows this hub and no other."""
        return client(self.url, home, **changes)


def client(url: str, home: Path, **changes: str) -> dict[str, str]:
    """The environment of a process that knows one hub and no other; its cache is in `home`."""
    return {
        "HF_ENDPOINT": url,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "*",
        **changes,
    }


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        self.server.log.append((self.command, path, self.headers.get("Range")))
        if path == "/":
            return self.answer(200, b"a hub")
        if self.server.busy:
            return self.answer(429, b"slow down", self.server.busy.pop(0))
        if match := API.fullmatch(path):
            kind, name, what, revision, folder = match.groups()
            return self.api("datasets/" * (kind == "datasets") + name, what, revision or "main", folder or "")
        if match := FILE.fullmatch(path):
            kind, name, revision, file = match.groups()
            return self.file((kind or "") + name, revision, file)
        return self.answer(404, b"no such page")

    def repository(self, name: str, revision: str) -> Repository | None:
        found = self.server.repositories.get(name)
        if found is None:
            # What the hub says of a repository that is not there, or not for you to know of.
            self.answer(401, b"Invalid username or password.", {"X-Error-Code": "RepoNotFound"})
        elif found.gated:
            self.answer(403, b"restricted", {"X-Error-Code": "GatedRepo"})
        elif revision not in found.revisions:
            self.answer(404, b"Invalid rev id", {"X-Error-Code": "RevisionNotFound"})
        else:
            return found
        return None

    def api(self, name: str, what: str | None, revision: str, folder: str) -> None:
        found = self.repository(name, revision)
        if found is None:
            return
        if what == "tree":
            return self.tree(found, folder)
        if what == "paths-info":
            asked = json.loads(self.body) if self.body[:1] == b"{" else parse_qs(self.body.decode())
            return self.json([self.entry(found, path) for path in found.files if path in asked["paths"]])
        siblings = [{"rfilename": file} for file in found.files]
        about = {"id": name.removeprefix("datasets/"), "sha": found.commit, "siblings": siblings, "private": False}
        self.json({**about, "tags": [], "downloads": 0, "likes": 0, "gated": False, "disabled": False})

    def tree(self, found: Repository, folder: str) -> None:
        """The files under a folder; without `recursive` the folders in it instead of what they hold."""
        prefix = f"{folder}/" if folder else ""
        paths = [path for path in found.files if path.startswith(prefix)]
        if not paths:
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        if parse_qs(urlsplit(self.path).query).get("recursive", [""])[0].lower() not in ("true", "1"):
            paths = list(dict.fromkeys(prefix + path.removeprefix(prefix).partition("/")[0] for path in paths))
        self.json([self.entry(found, path) for path in paths])

    def entry(self, found: Repository, path: str) -> dict[str, object]:
        if path not in found.files:
            return {"type": "directory", "path": path, "oid": hashlib.sha1(path.encode()).hexdigest()}
        content = found.files[path]
        return {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}

    def file(self, name: str, revision: str, file: str) -> None:
        found = self.repository(name, revision)
        if found is None:
            return
        if file not in found.files:
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": found.commit})
        content = found.files[file]
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": found.commit,
            "Accept-Ranges": "bytes",
        }
        status = 200
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            first, last = int(asked[1]), int(asked[2] or len(content) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            status, content = 206, content[first : last + 1]
        self.answer(status, content, headers, file)

    def json(self, content: object) -> None:
        self.answer(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def answer(self, status: int, content: bytes, headers: dict[str, str] | None = None, file: str = "") -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if file in self.server.breaks:
            self.wfile.write(content[: self.server.breaks.pop(file)])
            self.close_connection = True
            return
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def start() -> HubServer:
    """A hub that answers until its `shutdown`."""
    server = HubServer()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
