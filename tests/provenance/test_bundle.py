"""A study in one file: the same bytes for the same study, whole or named in every fault, and opened nowhere else."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import zstandard
from support import made_runs
from support.made_runs import git

from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json, sha256_file, write_json
from zeroscale.provenance import bundle, bundle_verify, recorded_run
from zeroscale.runs import layout, source

HEADS = {"bundle/BUNDLE.json", "bundle/SHA256SUMS"}


def members(path: Path) -> dict[str, bytes]:
    """Read by the libraries alone."""
    content = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(path.read_bytes())).read()
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}


def pack(path: Path, entries: list[tuple[tarfile.TarInfo | str, bytes]]) -> Path:
    """A tar packed by zstandard, of whatever one likes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in entries:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            info.size = len(content) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(content))
    path.write_bytes(zstandard.ZstdCompressor().compress(buffer.getvalue()))
    return path


def repacked(path: Path, out: Path, change) -> Path:
    """The bundle with its members changed by a function of name → content."""
    return pack(out, list(change(members(path)).items()))


@pytest.fixture
def packed(folder) -> Path:
    """The real run's study."""
    return bundle.write(folder / "outputs" / "tiny", folder / "tiny.tar.zst").path


def test_it_holds_what_the_study_is_and_no_weights(folder, run, packed):
    names = {name.removeprefix("tiny/") for name in members(packed)}
    kept = {name.removeprefix(f"{run.name}/") for name in names if name.startswith(run.name)}
    assert {"config.yaml", "manifest.json", "metrics.jsonl", "status.json", "DONE"} <= kept
    assert any(name.startswith("tokenizer/") for name in kept)
    assert {"evals/step-00000020/lambada.paper.json", "evals/step-00000020/lambada.paper.examples.parquet"} <= kept
    assert {"checkpoints/step-00000015/meta.json", "checkpoints/step-00000020/meta.json"} <= kept
    assert "results.csv" in names and names >= HEADS
    assert any(name.startswith("bundle/corpora/") for name in names) and "bundle/lock/run.txt" in names
    assert not any(name.endswith((".safetensors", ".bin", "log.txt", ".lock", ".claim")) for name in names)
    sums = dict(line.split("  ")[::-1] for line in members(packed)["tiny/bundle/SHA256SUMS"].decode().splitlines())
    assert set(sums) == names - HEADS
    for name, content in members(packed).items():
        if (inner := name.removeprefix("tiny/")) not in HEADS:
            assert hashlib.sha256(content).hexdigest() == sums[inner]


def test_the_same_study_gives_the_same_bytes_wherever_and_whenever_it_is_packed(folder, packed, tmp_path):
    elsewhere = tmp_path / "elsewhere" / "outputs"
    shutil.copytree(folder / "outputs", elsewhere, copy_function=shutil.copy)
    for path in elsewhere.rglob("*"):
        os.utime(path, (1, 1))
    again = bundle.write(elsewhere / "tiny", tmp_path / "again.tar.zst")
    assert again.path.read_bytes() == packed.read_bytes() and again.sha256 == sha256_file(packed)


def test_opened_elsewhere_its_run_is_vouched_for_and_its_numbers_explained(folder, run, packed, say, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    said = say("verify", f"bundle={packed}", f"out={elsewhere}")
    assert "files are as packed" in said and f"opened in {elsewhere / 'tiny'}" in said
    shutil.rmtree(folder / "outputs")
    opened = elsewhere / "tiny" / run.name
    checks = recorded_run.check(opened)
    assert not checks.faults and any("model.safetensors is not here" in one for one in checks.unknown)
    assert "lambada/acc = " in say("explain", f"study={elsewhere / 'tiny'}", "cell=pocket", "metric=lambada/acc")
    # What was opened is a study like any other; packed again it is the same file.
    again = bundle.write(elsewhere / "tiny", tmp_path / "again.tar.zst").path
    assert again.read_bytes() == packed.read_bytes()
    coreutils = subprocess.run(["sha256sum", "-c", "bundle/SHA256SUMS"], cwd=elsewhere / "tiny", capture_output=True)
    assert coreutils.returncode == 0, coreutils.stdout


def test_with_weights_the_last_checkpoint_is_whole(folder, run, tmp_path):
    from zeroscale.runs import checkpoint

    packed = bundle.write(folder / "outputs" / "tiny", tmp_path / "with.tar.zst", weights=True).path
    opened = bundle_verify.open_into(packed, tmp_path / "with", bundle_verify.verify(packed)) / run.name
    assert checkpoint.verify(opened / "checkpoints" / "step-00000020")["step"] == 20
    assert checkpoint.latest(opened, lambda _: None).name == "step-00000020"


def test_fit_works_from_it_alone(study, tmp_path):
    from zeroscale.scaling import fit

    before = fit.fit_study(study, bootstrap=200)
    packed = bundle.write(study, tmp_path / "made-up.tar.zst")
    assert any("report/index.html is not there" in note for note in packed.notes)
    opened = bundle_verify.open_into(packed.path, tmp_path / "elsewhere", bundle_verify.verify(packed.path))
    shutil.rmtree(study)
    (opened / "fit.json").unlink()
    (opened / "results.csv").unlink()
    after = fit.fit_study(opened, bootstrap=200)
    # The ledger is the same to the byte, the laws in every number.
    assert after["laws"] == before["laws"] and after["results_sha256"] == before["results_sha256"]


@pytest.mark.slow
def test_report_works_from_it_alone(study, tmp_path, say):
    from zeroscale.scaling import fit

    fit.fit_study(study, bootstrap=200)
    say("report", f"study={study}")
    shown = {path.name: sha256_file(path) for path in (study / "report" / "figures").iterdir()}
    packed = bundle.write(study, tmp_path / "made-up.tar.zst")
    opened = bundle_verify.open_into(packed.path, tmp_path / "elsewhere", bundle_verify.verify(packed.path))
    shutil.rmtree(study)
    assert {path.name: sha256_file(path) for path in (opened / "report" / "figures").iterdir()} == shown
    shutil.rmtree(opened / "report")
    assert "index.html" in say("report", f"study={opened}")
    assert {path.name: sha256_file(path) for path in (opened / "report" / "figures").iterdir()} == shown


def test_a_changed_a_missing_and_a_foreign_member_are_each_named(packed, tmp_path, say):
    def change(content: dict[str, bytes]) -> dict[str, bytes]:
        metrics = next(name for name in content if name.endswith("metrics.jsonl"))
        content[metrics] = content[metrics].replace(b"5", b"4", 1)
        del content["tiny/results.csv"]
        return content | {"tiny/more.json": b"{}"}

    forged = repacked(packed, tmp_path / "forged.tar.zst", change)
    said = say("verify", f"bundle={forged}", f"out={tmp_path / 'nowhere'}", code=1)
    assert "metrics.jsonl' is not what was packed" in said and "'tiny/results.csv' is missing" in said
    assert "'tiny/more.json' is not listed" in said and "3 faults" in said
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("where", [0.3, 0.6, 0.9, 0.999])
def test_a_file_that_breaks_off_or_has_a_flipped_bit_is_found_out(packed, tmp_path, where):
    content = packed.read_bytes()
    at = int(len(content) * where)
    (tmp_path / "short").write_bytes(content[:at])
    (tmp_path / "flipped").write_bytes(content[:at] + bytes([content[at] ^ 64]) + content[at + 1 :])
    for name in ("short", "flipped"):
        # Of a small study one block holds everything: broken, it is not even known for a bundle.
        with pytest.raises(ZeroscaleError, match=r"is not opened|is not a bundle"):
            bundle_verify.open_into(tmp_path / name, tmp_path / "out", bundle_verify.verify(tmp_path / name))
    assert not (tmp_path / "out").exists()


def hostile(kind: bytes, name: str, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (tarfile.TarInfo("../outside"), "would lie outside"),
        (tarfile.TarInfo("tiny/../../outside"), "would lie outside"),
        (tarfile.TarInfo("/tmp/outside"), "would lie outside"),
        (tarfile.TarInfo("tiny/a\\..\\..\\outside"), "would lie outside"),
        (tarfile.TarInfo("other/file"), "lies outside the study's folder"),
        (tarfile.TarInfo("tiny//file"), "lies outside the study's folder"),
        (hostile(tarfile.SYMTYPE, "tiny/link", "/etc"), "is no plain file"),
        (hostile(tarfile.LNKTYPE, "tiny/hard", "/etc/passwd"), "is no plain file"),
        (hostile(tarfile.DIRTYPE, "tiny/folder"), "is no plain file"),
        (hostile(tarfile.FIFOTYPE, "tiny/pipe"), "is no plain file"),
    ],
)
def test_nothing_of_it_is_written_outside(member, words, tmp_path):
    # Listed, with the right sha256: only the name and the kind are wrong.
    name = member.name.removeprefix("tiny/")
    sums = f"{hashlib.sha256(b'bad').hexdigest()}  {name}\n".encode()
    about = json.dumps({"format": 1, "study": "tiny", "zeroscale": "0.1.0"}).encode()
    entries = [("tiny/bundle/BUNDLE.json", about), ("tiny/bundle/SHA256SUMS", sums), (member, b"bad")]
    path = pack(tmp_path / "hostile.tar.zst", entries)
    found = bundle_verify.verify(path)
    assert any(words in fault for fault in found.faults), found.faults
    with pytest.raises(ZeroscaleError, match="is not opened"):
        bundle_verify.open_into(path, tmp_path / "deep" / "out", found)
    assert {one.name for one in tmp_path.rglob("*")} == {"hostile.tar.zst"}
    # A caller that forgets to look at the faults meets the library's own filter.
    with pytest.raises((ZeroscaleError, tarfile.TarError, ValueError, OSError)):
        bundle_verify.open_into(path, tmp_path / "deep" / "out", bundle_verify.Verified("", "tiny"))
    assert not list(tmp_path.rglob("outside")) and not list(tmp_path.rglob("link"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no archive at all", "is not a bundle"),
        (b"", "is not a bundle"),
        (zstandard.ZstdCompressor().compress(b"x" * 2000), "is not a bundle"),
    ],
)
def test_what_is_no_bundle_is_refused(content, words, tmp_path):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ZeroscaleError, match=words):
        bundle_verify.verify(tmp_path / "file")


def test_a_bundle_of_a_newer_version_says_how_it_can_still_be_checked(packed, tmp_path):
    def newer(content: dict[str, bytes]) -> dict[str, bytes]:
        about = json.loads(content["tiny/bundle/BUNDLE.json"]) | {"format": 2, "zeroscale": "9.0"}
        return content | {"tiny/bundle/BUNDLE.json": json.dumps(about).encode()}

    with pytest.raises(ZeroscaleError, match=r"newer zeroscale \(format 2.*sha256sum -c"):
        bundle_verify.verify(repacked(packed, tmp_path / "newer.tar.zst", newer))


def test_what_is_there_is_not_written_over_and_a_study_in_training_not_packed(folder, run, packed, tmp_path):
    from zeroscale.core.files import lock

    checked = bundle_verify.verify(packed)
    with pytest.raises(ZeroscaleError, match="is there already"):
        bundle_verify.open_into(packed, folder / "outputs", checked)
    with lock(run / layout.WORKER_LOCK, 0, "taken"), pytest.raises(ZeroscaleError, match="is being trained"):
        bundle.write(folder / "outputs" / "tiny", tmp_path / "never.tar.zst")
    with pytest.raises(ZeroscaleError, match="holds no runs"):
        bundle.write(folder / "texts", tmp_path / "never.tar.zst")
    assert not (tmp_path / "never.tar.zst").exists()


def test_the_source_in_it_and_the_runs_own_diff_are_the_source_that_ran(folder, run, tmp_path, monkeypatch):
    """The revision's archive, with source.diff applied, has the hashes that the manifest recorded."""
    clone = made_runs.committed(tmp_path / "clone")
    (clone / "src" / "zeroscale" / "added.py").write_text("ADDED = 1\n")
    monkeypatch.setattr(paths, "PACKAGE", clone / "src" / "zeroscale")
    found = source.read()
    manifest = read_json(run / "manifest.json") | {"source": found.facts()}
    write_json(run / "manifest.json", manifest)
    (run / "source.diff").write_bytes(found.diff)
    packed = bundle.write(run.parent, tmp_path / "sourced.tar.zst")
    opened = bundle_verify.open_into(packed.path, tmp_path / "elsewhere", bundle_verify.verify(packed.path))
    (archive,) = (opened / "bundle" / "source").glob("*.tar")
    assert archive.stem == git(clone, "rev-parse", "HEAD").strip()
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "source", filter="data")
    (top,) = (tmp_path / "source").iterdir()
    git(top, "init", "--quiet")
    git(top, "apply", str(opened / run.name / "source.diff"))
    assert source.rooms_of(top / "src" / "zeroscale") == manifest["source"]["rooms"]
