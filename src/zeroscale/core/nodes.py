"""The nodes of a run that spans several machines, and which of them this is: from torchrun's variables or SLURM's.

`trainer.devices` counts the devices of all nodes. The same command is started once on each node and starts that node's
ranks; all nodes see the same output_dir.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.machine import read_number

PORT = 29500
"""torchrun's own default."""


@dataclass(frozen=True)
class Nodes:
    """`count` nodes, of which this is number `rank`; the ranks meet at `address`:`port`, on node 0."""

    count: int = 1
    rank: int = 0
    address: str = "127.0.0.1"
    port: int = PORT

    def local_world_size(self, devices: int) -> int:
        """Ranks on this node, of a run on `devices` devices in all.

        Raises:
            ZeroscaleError: the devices cannot be divided equally among the nodes.
        """
        if devices % self.count:
            raise ZeroscaleError(
                f"trainer.devices={devices} counts the devices of all {self.count} machines, which must have equally "
                f"many: {max(1, devices // self.count) * self.count} would do"
            )
        return devices // self.count

    def torchrun(self, devices: int) -> list[str]:
        """torchrun's options for this node's ranks."""
        ranks = f"--nproc-per-node={self.local_world_size(devices)}"
        if self.count == 1:
            return ["--standalone", ranks]
        rendezvous = [f"--master-addr={self.address}", f"--master-port={self.port}"]
        return [f"--nnodes={self.count}", f"--node-rank={self.rank}", *rendezvous, ranks]


def detect_nodes(environment: Mapping[str, str] | None = None) -> Nodes:
    """The nodes of the run as the environment gives them; one node where it gives none.

    PET_NNODES, PET_NODE_RANK, PET_MASTER_ADDR and PET_MASTER_PORT are torchrun's own names for its options; Kubeflow's
    trainer sets them too. Under SLURM a step with one task on each node (`srun --ntasks-per-node=1`, submitit's
    `tasks_per_node: 1`) counts; a batch script alone, and steps of several tasks per node, do not.

    Raises:
        ZeroscaleError: the variables contradict each other.
    """
    env = os.environ if environment is None else environment
    if env.get("PET_NNODES"):
        nodes = Nodes(
            read_number("PET_NNODES", environment=env),
            read_number("PET_NODE_RANK", 0, env),
            env.get("PET_MASTER_ADDR") or "127.0.0.1",
            read_number("PET_MASTER_PORT", PORT, env),
        )
    elif read_number("SLURM_STEP_NUM_NODES", 1, env) > 1 and env.get("SLURM_STEP_NUM_TASKS") == env.get(
        "SLURM_STEP_NUM_NODES"
    ):
        # Jobs that share a node must not meet at one port.
        port = PORT + read_number("SLURM_JOB_ID", 0, env) % 1000
        count, rank = read_number("SLURM_STEP_NUM_NODES", environment=env), read_number("SLURM_NODEID", environment=env)
        nodes = Nodes(count, rank, first_host(env.get("SLURM_STEP_NODELIST", "")), port)
    else:
        return Nodes()
    if nodes.count < 1 or not 0 <= nodes.rank < nodes.count:
        raise ZeroscaleError(f"machine {nodes.rank} of {nodes.count} cannot be: machines are counted from 0")
    if not 0 < nodes.port < 2**16:
        raise ZeroscaleError(f"PET_MASTER_PORT={nodes.port}: a port is a number from 1 to 65535")
    return nodes


def first_host(nodelist: str) -> str:
    """ "gpu[07-09,12],login1" → "gpu07", the first line of `scontrol show hostnames`."""
    match = re.match(r"([^\[,]+)(?:\[(\d+))?([^,\[]*)", nodelist)
    if match is None:
        raise ZeroscaleError(f"SLURM_STEP_NODELIST={nodelist!r} names no machine")
    prefix, number, _ = match.groups()
    return prefix + (number or "")
