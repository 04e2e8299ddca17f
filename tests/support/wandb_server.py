"""A W&B of our own on the loopback: as much of its interface as wandb-core asks of it, kept in memory.

It answers GraphQL by the operation's name, keeps what the file stream brings by its offset (a chunk at an offset
replaces what stood there and after), tells a resumed run how far it had come, and takes every artifact as known.
`mute` has it accept and never answer, `refuse` know nobody.
"""

import gzip
import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENTITY = "tester"
KEY = "f" * 40


class Run:
    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self.files: dict[str, list[str]] = {}
        self.exit_code: int | None = None
        self.used: list[str] = []
        self.made: list[str] = []

    @property
    def history(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.files.get("wandb-history.jsonl", [])]

    @property
    def summary(self) -> dict[str, Any]:
        lines = self.files.get("wandb-summary.json", [])
        return json.loads(lines[-1]) if lines else {}

    def steps(self) -> list[int]:
        return [row["step"] for row in self.history if "step" in row]

    def stream(self, body: dict[str, Any]) -> None:
        for name, chunk in (body.get("files") or {}).items():
            lines = self.files.setdefault(name, [])
            lines[chunk.get("offset", 0) :] = chunk["content"]
        if body.get("complete"):
            self.exit_code = body.get("exitcode")


class Server:
    """`url` is what WANDB_BASE_URL should say."""

    def __init__(self, port: int = 0) -> None:
        self.runs: dict[str, Run] = {}
        self.views: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.mute = threading.Event()
        self.refuse = threading.Event()
        self.let_go = threading.Event()
        self._server = _Quiet(("127.0.0.1", port), lambda *given: _Handler(self, *given))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Dies: the port is closed and nothing that waits is answered."""
        self._server.shutdown()
        self._server.server_close()
        self.let_go.set()

    def environment(self) -> dict[str, str]:
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": KEY, "WANDB_MODE": "online"}

    def graphql(self, query: str, given: dict[str, Any]) -> dict[str, Any]:
        name = re.search(r"(?:query|mutation)\s+(\w+)", query)
        operation = name[1] if name else query[:80]
        self.asked.append(operation)
        answer = getattr(self, f"_{operation}", None)
        return answer(given) if answer else {}

    def _Viewer(self, given: dict[str, Any]) -> dict[str, Any]:
        viewer = {"id": "VXNlcjox", "entity": ENTITY, "username": ENTITY, "email": "t@example.org", "flags": "{}"}
        return {"viewer": {**viewer, "teams": {"edges": []}}}

    def _ServerFeaturesQuery(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"serverInfo": {"features": []}}

    def _RunResumeStatus(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(given["name"])
        model = {"id": "UA==", "name": given["project"], "entity": {"id": "RQ==", "name": ENTITY}}
        return {"model": {**model, "bucket": self._resumed(given["name"], run) if run else None}}

    def _resumed(self, name: str, run: Run) -> dict[str, Any]:
        def lines(file: str) -> list[str]:
            return run.files.get(file, [])

        return {
            **{"id": name, "name": name, "displayName": run.facts.get("displayName"), "tags": [], "notes": ""},
            "summaryMetrics": json.dumps(run.summary),
            "logLineCount": len(lines("output.log")),
            "historyLineCount": len(lines("wandb-history.jsonl")),
            "eventsLineCount": len(lines("wandb-events.jsonl")),
            "historyTail": json.dumps(lines("wandb-history.jsonl")[-1:]),
            "eventsTail": json.dumps(lines("wandb-events.jsonl")[-1:]),
            "config": run.facts.get("config") or "{}",
            "wandbConfig": json.dumps({"t": 1}),
        }

    def _UpsertBucket(self, given: dict[str, Any]) -> dict[str, Any]:
        new = given["name"] not in self.runs
        run = self.runs.setdefault(given["name"], Run())
        run.facts |= {key: value for key, value in given.items() if value is not None}
        project = {"id": "UA==", "name": given["project"], "entity": {"id": "RQ==", "name": ENTITY}}
        bucket = {"id": given["name"], "name": given["name"], "displayName": given.get("displayName")}
        bucket |= {"project": project, "config": given.get("config"), "historyLineCount": len(run.history)}
        return {"upsertBucket": {"bucket": bucket, "inserted": new}}

    def _CreateRunFiles(self, given: dict[str, Any]) -> dict[str, Any]:
        files = [{"name": name, "uploadUrl": f"{self.url}/upload/{given['run']}/{name}"} for name in given["files"]]
        return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}

    def _UpsertView2(self, given: dict[str, Any]) -> dict[str, Any]:
        """Workspace views and reports; each is replaced under its id, or, a new one, gets one."""
        identity = given.get("id") or f"Vmlldzo{len(self.views) + 1}"
        self.views[identity] = given
        view = {"id": identity, "type": given.get("type"), "name": given["name"], "displayName": given["displayName"]}
        view |= {"description": given.get("description") or "", "spec": given["spec"], "updatedAt": None}
        view["project"] = {"id": "UA==", "name": given["projectName"], "entityName": given["entityName"]}
        return {"upsertView": {"view": view, "inserted": True}}

    _upsertView = _UpsertView2

    def _ProjectInternalId(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"id": "UA==", "internalId": "UA=="}}

    def _GetProjects(self, given: dict[str, Any]) -> dict[str, Any]:
        project = {"__typename": "Project", "id": "UA==", "name": "laws", "entityName": ENTITY, "isBenchmark": False}
        node = {**project, "createdAt": "2026-01-01T00:00:00Z", "user": None}
        end = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
        return {"models": {"pageInfo": end, "edges": [{"node": node}]}}

    def _ArtifactType(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"artifact": None}}

    def _CreateArtifact(self, given: dict[str, Any]) -> dict[str, Any]:
        wanted = given["input"]
        name = next(str(value) for key, value in wanted.items() if key.startswith("artifactCollectionName") and value)
        digest = wanted["digest"]
        if wanted.get("runName"):  # of an artifact that a run only uses, no run is the maker
            self.runs[wanted["runName"]].made.append(f"{name}:{digest}")
        artifact = {"id": f"{name}:{digest}", "digest": digest, "state": "COMMITTED", "aliases": []}
        return {"createArtifact": {"artifact": {**artifact, "artifactSequence": {"id": name, "latestArtifact": None}}}}

    def _UseArtifact(self, given: dict[str, Any]) -> dict[str, Any]:
        wanted = given["input"]
        self.runs[wanted["runName"]].used.append(wanted["artifactID"])
        return {"useArtifact": {"artifact": {"id": wanted["artifactID"]}}}


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed says no goodbye; anything else is a fault of this server."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, server: Server, *given: Any) -> None:
        self._owner = server
        super().__init__(*given)

    def _body(self) -> Any:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        try:
            return json.loads(content)
        except ValueError:
            return content

    def do_POST(self) -> None:
        body = self._body()
        if self._owner.mute.is_set():
            self._owner.let_go.wait()
            return
        if self._owner.refuse.is_set():
            self._answer({"errors": [{"message": "user is not logged in"}]}, 401)
        elif self.path.startswith("/graphql"):
            data = self._owner.graphql(body["query"], body.get("variables") or {})
            self._answer({"data": data})
        elif self.path.endswith("/file_stream"):
            name = self.path.split("/")[-2]
            self._owner.runs.setdefault(name, Run()).stream(body)
            self._answer({})
        else:
            self._owner.asked.append(self.path)
            self._answer({})

    def do_PUT(self) -> None:
        self.do_POST() if self._owner.mute.is_set() else (self._body(), self._answer({}))

    def do_GET(self) -> None:
        self._owner.asked.append(self.path)
        self._answer({})

    def _answer(self, value: Any, code: int = 200) -> None:
        content = json.dumps(value).encode()
        try:
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            pass

    def log_message(self, format: str, *arguments: Any) -> None:
        pass
