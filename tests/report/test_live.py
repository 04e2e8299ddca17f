"""The live page: on loopback, to this machine only, made again when the study changes, and never in the study."""

import http.client
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import study_fixture

from zeroscale.core.errors import ZeroscaleError
from zeroscale.report import live


@pytest.fixture
def study(tmp_path) -> Path:
    return study_fixture.write_study(tmp_path / "pocket", n_steps=10, scored=False, failed=False)


@pytest.fixture
def server(study, tmp_path):
    (tmp_path / "made").mkdir()
    running = live.Live([study], tmp_path / "made", every=0.1)
    running.start()
    yield running
    running.close()


def ask(server: live.Live, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    host, _, port = server.address.removeprefix("http://").rstrip("/").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), content


def wait(probe, seconds: float = 120.0):
    deadline = time.monotonic() + seconds
    while not (result := probe()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return result


def page(server: live.Live) -> bytes:
    status, _, content = ask(server, "/data.js")
    return content if status == 200 else b""


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


def test_the_page_is_served_and_follows_the_study(server, study):
    before = wait(lambda: page(server))
    assert b"pocket-xs" in before and b"pocket-xxl" not in before
    status, headers, content = ask(server, "/")
    assert status == 200 and headers["Content-Type"].startswith("text/html") and b"<main" in content
    stamp = ask(server, "/stamp.js")[2]
    study_fixture.write_cell(study / "pocket-xxl", "pocket-xxl", 6_000_000, 4, 10, False)
    wait(lambda: b"pocket-xxl" in page(server))
    assert wait(lambda: ask(server, "/stamp.js")[2] != stamp)


def test_nothing_is_written_into_the_study(study, tmp_path):
    before = state(study)
    (tmp_path / "made").mkdir()
    running = live.Live([study], tmp_path / "made", every=0.1)
    running.start()
    try:
        wait(lambda: page(running))
    finally:
        running.close()
    assert state(study) == before
    assert not (study / "results.csv").exists() and not (study / "report").exists()


def test_it_listens_on_loopback_alone_and_takes_no_other_method(server):
    assert server.address.startswith("http://127.0.0.1:")
    assert server._server.server_address[0] == "127.0.0.1"
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        status, headers, _ = ask(server, "/", method)
        assert status == 405 and headers["Allow"] == "GET, HEAD"
    wait(lambda: page(server))
    status, headers, content = ask(server, "/", "HEAD")
    assert status == 200 and content == b"" and int(headers["Content-Length"]) > 1000


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "localhost.:1"])
def test_a_name_that_was_made_to_point_here_is_refused(server, host):
    assert ask(server, "/", Host=host)[0] == 421


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1", "[::1]:80", "LOCALHOST:80"])
def test_a_tunnel_s_own_port_is_no_obstacle(server, host):
    assert ask(server, "/", Host=host)[0] == 200


def test_another_site_cannot_read_the_study_as_a_script(server):
    wait(lambda: page(server))
    status, headers, _ = ask(server, "/data.js")
    assert status == 200 and headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-store"
    forged = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert ask(server, "/data.js", **forged)[0] == 403
    # A link in a mail is a navigation.
    assert ask(server, "/", **{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../../fit.json",
        "/..%2f..%2ffit.json",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/nothing",
        "/%00",
        "/figures",
    ],
)
def test_only_the_page_s_files_are_there(server, path):
    wait(lambda: page(server))
    assert ask(server, path)[0] == 404


def test_a_study_without_a_run_yet_is_waited_for(tmp_path):
    (tmp_path / "pocket").mkdir()
    (tmp_path / "made").mkdir()
    running = live.Live([tmp_path / "pocket"], tmp_path / "made", every=0.1)
    running.start()
    try:
        status, _, content = ask(running, "/")
        assert status == 200 and b"Waiting" in content and b"refresh" in content
        study_fixture.write_study(tmp_path / "pocket", n_steps=10, scored=False, failed=False)
        wait(lambda: b"pocket-l" in page(running))
    finally:
        running.close()


def test_a_run_of_which_a_file_is_damaged_is_named_and_the_others_stay(server, study):
    wait(lambda: page(server))
    path = study / "pocket-xs" / "metrics.jsonl"
    path.write_text("nonsense\n" + path.read_text())
    wait(lambda: b"metrics.jsonl, line 1, is damaged" in page(server))
    assert b"pocket-l" in page(server)


def test_a_taken_port_and_a_missing_folder_are_one_message(server, study, tmp_path):
    port = int(server.address.rstrip("/").rpartition(":")[2])
    with pytest.raises(ZeroscaleError, match="port=0"):
        live.Live([study], tmp_path, port)
    with pytest.raises(ZeroscaleError, match="nothing is not a directory"):
        live.Live([tmp_path / "nothing"], tmp_path)


def test_it_makes_way_for_the_sweep(server, monkeypatch):
    """However long a page takes, most of the time is left to others."""
    wait(lambda: page(server))
    began, spent = time.monotonic(), []

    def slow() -> None:
        spent.append(0.2)
        time.sleep(0.2)

    monkeypatch.setattr(server, "_write_page", slow)
    monkeypatch.setattr(live, "fingerprint", lambda studies: object())
    time.sleep(2.5)
    wait(lambda: spent)
    assert sum(spent) / (time.monotonic() - began) < 0.35 and spent


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_cleanly(study, by):
    process = subprocess.Popen(
        [sys.executable, "-m", "zeroscale", "report", f"study={study}", "watch=true", "port=0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "ZEROSCALE_TRACEBACK": ""},
    )
    try:
        line = process.stdout.readline()
        assert "http://127.0.0.1:" in line and "Ctrl-C" in line
        process.send_signal(by)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0 and err == "" and "Traceback" not in out
    finally:
        process.kill()
        process.communicate()


def test_an_open_page_follows_the_study_by_itself(server, study, browser):
    page = browser.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    wait(lambda: b"pocket-xs" in ask(server, "/data.js")[2])
    page.goto(server.address)
    page.wait_for_function("document.body.innerText.includes('pocket-l')", timeout=120_000)
    study_fixture.write_cell(study / "pocket-xxl", "pocket-xxl", 6_000_000, 4, 10, False)
    page.wait_for_function("document.body.innerText.includes('pocket-xxl')", timeout=120_000)
    assert faults == []
    page.close()
