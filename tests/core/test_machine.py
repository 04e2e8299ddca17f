"""Numbers in environment variables. OMP_NUM_THREADS: the right values are libgomp's own."""

import ctypes
import ctypes.util
import os
import subprocess
import sys
import threading

import pytest

from zeroscale.cli import main
from zeroscale.core import machine
from zeroscale.core.errors import ZeroscaleError

LISTS = {
    "4": 4,
    "4,2": 4,
    " 4 , 2 ": 4,
    "+3": 3,
    "04": 4,
    "5\n": 5,
    "": None,
    " ": None,
    "0": None,
    "-1": None,
    "all": None,
    "1.5": None,
    "0x4": None,
    "4,": None,
    ",4": None,
    "4,0": None,
    "3,x": None,
    "4 2": None,
    "4;2": None,
    "４": None,
    "9" * 5000: None,
}


@pytest.mark.parametrize(("text", "count"), LISTS.items(), ids=lambda value: repr(value)[:12])
def test_the_number_of_threads_is_the_first_of_openmps_list(text, count):
    assert machine.thread_count({"OMP_NUM_THREADS": text}) == count


def test_unset_is_no_number_and_a_huge_one_is_bounded():
    assert machine.thread_count({}) is None
    assert machine.thread_count({"OMP_NUM_THREADS": "99999"}) == machine.MAX_THREADS


@pytest.mark.skipif(ctypes.util.find_library("gomp") is None, reason="libgomp is not here")
@pytest.mark.parametrize("text", ["4,2", " 4 , 2 ", "+3", "04", "all", "-1", "0x4", "4,", "4,0", "3,x", "4 2"])
def test_libgomp_reads_the_same_list_alike(text):
    code = "import ctypes, sys; print(ctypes.CDLL(sys.argv[1]).omp_get_max_threads())"
    given = {**os.environ, "OMP_NUM_THREADS": text}
    library = ctypes.util.find_library("gomp")
    result = subprocess.run(
        [sys.executable, "-c", code, library], env=given, capture_output=True, text=True, check=True
    )
    # What libgomp does not take, it says, and uses a thread for each core.
    read = None if "Invalid value" in result.stderr else int(result.stdout)
    assert read == LISTS[text]


@pytest.mark.parametrize("text", ["", "all", "-1", "1.5", "4,2", "9" * 5000])
def test_a_runs_ranks_get_a_number_whatever_the_variable_holds(text, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    given = int(machine.child_environment("cpu", None, 1)["OMP_NUM_THREADS"])
    assert given == (4 if text == "4,2" else machine.cpu_cores())


def test_a_run_inside_anothers_torchrun_is_not_taken_for_one_of_its_ranks(monkeypatch):
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "x")
    assert not {"RANK", "WORLD_SIZE"} & set(machine.child_environment("cpu", 1, 1))


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "９", "9" * 5000])
def test_a_variable_that_is_no_number_is_named(text):
    with pytest.raises(ZeroscaleError, match=r"SLURM_NODEID=.* is not a number"):
        machine.read_number("SLURM_NODEID", environment={"SLURM_NODEID": text})


def test_an_empty_variable_is_an_unset_one():
    assert machine.read_number("PET_NODE_RANK", 0, {"PET_NODE_RANK": ""}) == 0
    with pytest.raises(ZeroscaleError, match="PET_NNODES is not set"):
        machine.read_number("PET_NNODES", environment={})


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, ["0", "1", "2"]),
        ("", []),
        ("1,0", ["1", "0"]),
        ("0,-1,1", ["0"]),
        ("0,9,1", ["0"]),
        ("all", []),
        (" 2 , 1", ["2", "1"]),
        ("GPU-8f,1", ["GPU-8f", "1"]),
        ("0,0", ["0"]),
        ("9" * 5000, []),
    ],
)
def test_cuda_visible_devices_ends_at_the_first_that_names_no_device(visible, names, monkeypatch):
    # CUDA C++ programming guide, "CUDA Environment Variables": only the devices before an invalid index are visible.
    files = [machine.Path(f"/dev/nvidia{number}") for number in range(3)]
    monkeypatch.setattr(machine.Path, "glob", lambda *_: iter(files))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert machine.gpus() == names


def test_a_thread_that_the_system_refuses_is_a_message_and_the_others_end(monkeypatch, capsys):
    running = threading.active_count()
    machine.check_threads(3)
    start, allowed = threading.Thread.start, iter(range(2))

    def refuse(thread):
        if next(allowed, None) is None:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(ZeroscaleError, match="2 of 3 could be started"):
        machine.check_threads(3)
    assert threading.active_count() == running
    assert machine.thread_refusal(RuntimeError("other")) is None


@pytest.mark.parametrize(
    ("text", "is_refusal"), [("… ThreadPoolBuildError { kind: IOError(…) }", True), ("index", False)]
)
def test_a_refused_thread_of_a_rust_library_is_known_by_its_panic(text, is_refusal):
    panic = type("PanicException", (BaseException,), {})
    assert (machine.thread_refusal(panic(text)) == machine.THREAD_REFUSED) is is_refusal


def test_a_refused_thread_anywhere_is_one_message(monkeypatch, capsys):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(main.commands, "run", refuse)
    assert main.main(["status", "study=x"]) == 2
    assert "the system refuses another thread" in capsys.readouterr().err
