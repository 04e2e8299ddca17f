"""The page of a study that is still running, on this machine's loopback: written again when the study's files change.

Nothing is written into the study: the page lies in a temporary folder. Only this machine is served, only files of
the page, only to GET and HEAD, and no other site's page may read them (RFC 9110; Fetch Metadata; CORP).
"""

import html
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseServer
from urllib.parse import unquote, urlsplit

from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs import layout

LOOPBACK = "127.0.0.1"
EVERY_SECONDS = 2.0
# At most this share of the time goes into writing pages: a sweep may need the processor.
SHARE = 0.2
HOSTS = ("127.0.0.1", "localhost", "[::1]")
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".pdf": "application/pdf",
}
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Beside the page's folder, where its links (`../fit.json`) lead.
BESIDE = (layout.LEDGER, layout.FIT)


def watch(studies: Sequence[Path], port: int, every: float = EVERY_SECONDS) -> None:
    """Serves the page until Ctrl-C or SIGTERM.

    Raises:
        ZeroscaleError: a study's directory is not there, or the port is taken.
    """
    with tempfile.TemporaryDirectory(prefix="zeroscale-report-") as folder:
        live = Live(studies, Path(folder), port, every)
        # SIGTERM ends it as Ctrl-C does: a supervisor sends that.
        previous_handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            os.nice(5)  # a sweep beside it goes first
            live.start()
            print(f"watching {', '.join(map(str, studies))}: open {live.address} (Ctrl-C ends)", flush=True)
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            print("", flush=True)
        finally:
            signal.signal(signal.SIGTERM, previous_handler)
            live.close()


class Live:
    """A server of the newest page, and a thread that writes it."""

    def __init__(self, studies: Sequence[Path], folder: Path, port: int = 0, every: float = EVERY_SECONDS) -> None:
        for study in studies:
            if not Path(study).is_dir():
                raise ZeroscaleError(f"{study} is not a directory: give a study's, such as study=outputs/pocket")
        self._studies = [Path(study) for study in studies]
        self._folder = folder
        self._every = every
        self._pages_made = 0
        self._page: Path | None = None
        self._message = "Nothing is there yet."
        self._stopped = threading.Event()
        try:
            self._server = ThreadingHTTPServer((LOOPBACK, port), partial(_Handler, self))
        except OSError as error:
            raise ZeroscaleError(
                f"port {port} of {LOOPBACK} cannot be had ({error.strerror}): choose another, or any with port=0"
            ) from error
        self._server.daemon_threads = True
        self._threads = [
            threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True),
            threading.Thread(target=self._refresh_until_stopped, daemon=True),
        ]

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self._server.server_address[1]}/"

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Ends both threads; a page that is being written is finished first."""
        self._stopped.set()
        if self._threads[0].ident is not None:  # `shutdown` waits for ever for a server that was not started
            self._server.shutdown()
        self._server.server_close()
        if self._threads[1].ident is not None:
            self._threads[1].join()

    def answer(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        """Status, content type and content for a request's path."""
        page = self._page
        name = unquote(urlsplit(path).path).lstrip("/") or "index.html"
        if page is None and name == "index.html":
            return HTTPStatus.OK, TYPES[".html"], _waiting_page(self._message, self._every)
        file = self._studies[0] / name if name in BESIDE else (page / name if page else None)
        if file is None or "\0" in name or (page and name not in BESIDE and not _inside(file, page)):
            return HTTPStatus.NOT_FOUND, "text/plain", b"no such file\n"
        try:
            return HTTPStatus.OK, TYPES.get(file.suffix, "application/octet-stream"), file.read_bytes()
        except OSError:
            return HTTPStatus.NOT_FOUND, "text/plain", b"no such file\n"

    def _refresh_until_stopped(self) -> None:
        previous: list[tuple[str, int, int]] | None = None
        while not self._stopped.is_set():
            started = time.monotonic()
            current = fingerprint(self._studies)
            if current != previous:
                # What changes while the page is written is noticed the next time.
                previous = current
                self._write_page()
            seconds = time.monotonic() - started
            self._stopped.wait(max(self._every, seconds * (1 - SHARE) / SHARE))

    def _write_page(self) -> None:
        from zeroscale.report import dashboard

        self._pages_made += 1
        target = self._folder / str(self._pages_made) / layout.REPORT
        try:
            dashboard.write(self._studies, target, live=self._every)
        except (ZeroscaleError, OSError, ValueError) as error:
            # A file that a run is just writing, or a study without a run yet: the last page stays.
            if str(error) != self._message and self._page is not None:
                print(f"the page cannot be made again: {error}", flush=True)
            self._message = str(error)
            return
        self._page = target
        # Requests that have begun may still read the last page.
        shutil.rmtree(self._folder / str(self._pages_made - 2), ignore_errors=True)


def fingerprint(studies: Sequence[Path]) -> list[tuple[str, int, int]]:
    """Name, size and time of every file that a page is made from."""
    files = []
    for study in studies:
        for pattern in layout.RECORDS:
            for path in study.glob(pattern):
                try:
                    status = path.stat()
                except OSError:
                    continue  # renamed away meanwhile
                files.append((str(path), status.st_size, status.st_mtime_ns))
    return sorted(files)


def _inside(file: Path, folder: Path) -> bool:
    return file.resolve().is_relative_to(folder.resolve())


def _waiting_page(message: str, every: float) -> bytes:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>zeroscale report</title>'
        f'<meta http-equiv="refresh" content="{max(1, every):.0f}">'
        f"<p>Waiting for the study's first run. {html.escape(message)}</p>"
    ).encode()


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD of the page's files."""

    server_version, sys_version = "zeroscale", ""

    def __init__(self, live: Live, request: socket.socket, address: tuple[str, int], server: BaseServer) -> None:
        self._live = live
        super().__init__(request, address, server)

    def do_GET(self) -> None:
        # A page elsewhere that has its name resolve to this machine (DNS rebinding) sends its own name as the host;
        # one that links to a file here as a script says that it is another site.
        host = self.headers.get("Host", "").lower()
        if host.rpartition(":")[0] not in HOSTS and host not in HOSTS:
            return self._send(
                HTTPStatus.MISDIRECTED_REQUEST, "text/plain", b"this serves 127.0.0.1 and localhost only\n"
            )
        if self.headers.get("Sec-Fetch-Site") == "cross-site" and self.headers.get("Sec-Fetch-Mode") != "navigate":
            return self._send(HTTPStatus.FORBIDDEN, "text/plain", b"not for other sites\n")
        return self._send(*self._live.answer(self.path))

    do_HEAD = do_GET

    def _refuse(self) -> None:
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, "text/plain", b"GET and HEAD only\n")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse

    def _send(self, code: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(code)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        if code == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """No line per request: the terminal may show a sweep."""
