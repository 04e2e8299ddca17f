"""The wheel works in an empty folder of a fresh environment: the YAML travels inside."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(*command: object, cwd: Path) -> str:
    changed = {"WANDB_MODE": "disabled", "PYTHONPATH": "", "COLUMNS": "200"}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ZEROSCALE_")} | changed
    result = subprocess.run([str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without a download: hatchling is among the packages that the tests install."""
    pytest.importorskip("hatchling")
    out = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--quiet"]
    run(*pip, "--wheel-dir", out, ROOT, cwd=out)
    (path,) = out.glob("*.whl")
    return path


def test_the_yaml_travels_inside(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("conf", "evals", "sweeps", "template"):
        for path in (ROOT / folder).rglob("*.*"):
            assert f"zeroscale/_share/{path.relative_to(ROOT).as_posix()}" in names
    assert any(name.startswith("zeroscale/report/assets/") for name in names)
    assert "zeroscale/py.typed" in names  # type checkers read our annotations
    assert not any(name.startswith(("tests/", "outputs/")) for name in names)


def test_it_plans_and_trains_in_an_empty_folder(wheel, tmp_path, texts, small):
    venv.create(tmp_path / "fresh", with_pip=False)
    (site,) = (tmp_path / "fresh" / "lib").glob("python*/site-packages")
    # The dependencies of this environment; its own zeroscale is linked by a .pth file, which is not read from there.
    (site / "outer.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    python = tmp_path / "fresh" / "bin" / "python"
    install = [sys.executable, "-m", "pip", f"--python={python}", "install", "--no-deps", "--no-index", "--quiet"]
    run(*install, wheel, cwd=tmp_path)
    where = run(python, "-c", "import zeroscale; print(zeroscale.__file__)", cwd=tmp_path)
    assert where.startswith(str(tmp_path / "fresh"))
    command = tmp_path / "fresh" / "bin" / "zeroscale"
    assert "total of 4" in run(command, "plan", "+sweeps=pocket", cwd=tmp_path)
    assert "step 20/20" in run(command, "train", *small, "cards=[lambada]", "cards_from=sample", cwd=tmp_path)
    assert len(list(tmp_path.glob("outputs/single/*/DONE"))) == 1
    assert len(list(tmp_path.glob("outputs/single/*/evals/*/lambada.paper.json"))) == 1
