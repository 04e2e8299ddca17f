"""A run on several machines: who is which, and two launchers that meet (here both on this machine)."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import environment

from zeroscale.core import machine, nodes
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import lock, sha256_file
from zeroscale.core.nodes import Nodes
from zeroscale.runs import layout, status

# What srun sets in a step of two nodes with one task on each (SLURM's own names and form).
STEP = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
    "SLURM_NODEID": "1",
}


def test_alone_unless_the_environment_says_otherwise():
    assert nodes.detect_nodes({}) == Nodes() and Nodes().torchrun(4) == ["--standalone", "--nproc-per-node=4"]
    # A batch script has no step; a step with a task for each GPU is somebody else's way.
    assert nodes.detect_nodes({"SLURM_JOB_ID": "1", "SLURM_NNODES": "2"}) == Nodes()
    assert nodes.detect_nodes({**STEP, "SLURM_STEP_NUM_TASKS": "16"}) == Nodes()


def test_torchruns_own_variables_are_honoured():
    here = nodes.detect_nodes(
        {"PET_NNODES": "3", "PET_NODE_RANK": "2", "PET_MASTER_ADDR": "ten", "PET_MASTER_PORT": "1234"}
    )
    assert here == Nodes(3, 2, "ten", 1234)
    options = ["--nnodes=3", "--node-rank=2", "--master-addr=ten", "--master-port=1234", "--nproc-per-node=8"]
    assert here.torchrun(24) == options


def test_a_slurm_step_with_a_task_on_each_node():
    assert nodes.detect_nodes(STEP) == Nodes(2, 1, "gpu07", nodes.PORT + 711)


@pytest.mark.parametrize(
    ("nodelist", "host"),
    [("gpu07", "gpu07"), ("a1,b[2-4]", "a1"), ("n[003,7-9],x", "n003"), ("rack2-gpu[10-11]", "rack2-gpu10")],
)
def test_the_first_host_of_a_list(nodelist, host):
    assert nodes.first_host(nodelist) == host


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"PET_NNODES": "2", "PET_NODE_RANK": "2"}, "machine 2 of 2"),
        ({"PET_NNODES": "1:4"}, "PET_NNODES=1:4 is not a number"),
        ({key: value for key, value in STEP.items() if key != "SLURM_NODEID"}, "SLURM_NODEID is not set"),
        ({**STEP, "SLURM_STEP_NODELIST": ""}, "names no machine"),
    ],
)
def test_what_contradicts_itself_is_one_message(env, words):
    with pytest.raises(ZeroscaleError, match=words):
        nodes.detect_nodes(env)


def test_devices_that_the_machines_cannot_share_are_a_fault():
    with pytest.raises(ZeroscaleError, match=r"trainer.devices=9 counts the devices of all 2 machines.*8 would do"):
        Nodes(2).torchrun(9)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def cell_of(folder: Path, study: str) -> Path:
    (cell,) = (path.parent for path in folder.glob(f"outputs/{study}/*/config.yaml"))
    return cell


@pytest.mark.slow
def test_two_machines_train_to_the_same_bits_as_one_with_as_many_ranks(zeroscale, small, texts, tmp_path):
    ranks = ["trainer.accelerator=cpu", "trainer.devices=2"]
    alone = zeroscale("train", *small, *ranks, "study=alone")
    assert "step 20/20" in alone.stdout
    where = {"PET_NNODES": "2", "PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": str(free_port())}
    machines = [
        subprocess.Popen(
            [sys.executable, "-m", "zeroscale", "train", *small, *ranks, "study=apart"],
            cwd=tmp_path,
            env=environment(**where, PET_NODE_RANK=str(rank)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in (1, 0)
    ]
    said = [machine.communicate(timeout=300)[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], said
    assert "step 20/20" in said[1] and "step 20/20" not in said[0]
    one, two = cell_of(tmp_path, "alone"), cell_of(tmp_path, "apart")
    assert status.read(two).state == "done" and one.name == two.name
    final = "checkpoints/step-00000020/model.safetensors"
    assert sha256_file(one / final) == sha256_file(two / final)


@pytest.mark.skipif(machine.cpu_cores() < 2, reason="two ranks need two cores")
def test_sigterm_to_several_ranks_leaves_one_checkpoint_and_the_state_resumable(running, small, texts, tmp_path):
    run = running("train", *small, "trainer.accelerator=cpu", "trainer.devices=2", "trainer.tokens=1536000")
    cell = run.checkpoint(1).parent.parent
    run.process.send_signal(signal.SIGTERM)
    run.process.communicate(timeout=300)
    recorded = run_state(cell)
    assert recorded.state == "resumable" and recorded.step > 0, recorded
    assert (cell / "checkpoints" / f"step-{recorded.step:08d}" / "meta.json").is_file()
    logged = [json.loads(line)["step"] for line in (cell / "metrics.jsonl").read_text().splitlines()]
    assert logged == list(range(1, recorded.step + 1))


def run_state(cell: Path) -> status.Status:
    """The state when nobody trains the cell any more."""
    with lock(cell / layout.WORKER_LOCK, 60, "still taken"):
        return status.read(cell)
