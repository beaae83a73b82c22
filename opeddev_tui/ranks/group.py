"""Join torch's process group for the time of one attempt, and leave no trace of it in this process.

Gradients, barriers and abort are torch.distributed's. The libraries read who they are from the environment, which has
it only meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import psutil
from msgspec import Struct

from opeddev_tui.ranks.launcher import VARIABLES

# what the libraries put into the environment for a sharded model
_OF_SHARDS = ("ACCELERATE_USE_FSDP", "FSDP_CPU_RAM_EFFICIENT_LOADING")
# Once an exchange of NCCL fails or lasts too long, torch by itself ends the whole process, and with it the app; here it
# breaks the exchange off (2), whatever a launcher has set. The time that it gives itself to write what it knows (four
# times the milliseconds), and its watch over its own watch, would hold this process for a minute or more at its end.
_OF_NCCL = {
    "TORCH_NCCL_ASYNC_ERROR_HANDLING": "2",
    "TORCH_NCCL_ENABLE_MONITORING": "0",
    "TORCH_NCCL_DUMP_ON_TIMEOUT": "0",
    "TORCH_NCCL_WAIT_TIMEOUT_DUMP_MILSEC": "0",
}
# seconds for all ranks to find each other: they have all said that they are ready
_JOIN_SECONDS = 60.0


class Place(Struct, frozen=True):
    """Which rank of how many this process is, and its number on its machine, where ``local_world`` run.

    ``address`` is that of rank 0's machine.
    """

    rank: int
    world: int
    local: int
    local_world: int
    address: str

    @property
    def environment(self) -> dict[str, str]:
        """What the libraries look for."""
        return {
            "RANK": str(self.rank),
            "WORLD_SIZE": str(self.world),
            "LOCAL_RANK": str(self.local),
            "LOCAL_WORLD_SIZE": str(self.local_world),
            "MASTER_ADDR": self.address,
            **self._interface,
        }

    @property
    def _interface(self) -> dict[str, str]:
        """Which interface gloo is to use: by itself it takes the address of this machine's name, often 127.0.1.1."""
        name = interface_to(self.address)
        return {"GLOO_SOCKET_IFNAME": name} if name and "GLOO_SOCKET_IFNAME" not in os.environ else {}

    @property
    def device(self) -> int:
        """CUDA's number of the GPU of this rank: of those that this process sees."""
        import torch

        return self.local % max(1, torch.cuda.device_count())


def interface_to(address: str) -> str:
    """Return the name of the network interface through which ``address`` is reached; empty where that is not known."""
    try:
        # nothing is sent: the system only chooses the way
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
            way.connect((address, 9))
            own = way.getsockname()[0]
    except OSError:
        return ""
    for name, addresses in psutil.net_if_addrs().items():
        if any(item.address == own for item in addresses):
            return name
    return ""


def backend() -> str:
    """Return what exchanges gradients on this machine."""
    import torch

    return "nccl" if torch.cuda.is_available() else "gloo"


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Have ``values`` in the environment inside the block; what it had before comes back."""
    before = {name: os.environ.get(name) for name in (*VARIABLES, *_OF_SHARDS, "MASTER_ADDR", "MASTER_PORT", *values)}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def joined(place: Place, store: Any, name: str, *, seconds: float) -> Iterator[None]:
    """Be ``place`` of the process group called ``name`` inside the block.

    Raises RuntimeError where the ranks do not find each other; an exchange that lasts longer than ``seconds`` raises
    too, in every rank.
    """
    import torch
    import torch.distributed as dist

    name_of_backend = backend()
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}  # else accelerate sets a number of its own
    with environment({**place.environment, **threads, **_OF_NCCL}):
        if name_of_backend == "nccl":
            torch.cuda.set_device(place.device)
        try:
            dist.init_process_group(
                name_of_backend,
                store=dist.distributed_c10d.PrefixStore(name, store),
                rank=place.rank,
                world_size=place.world,
                timeout=timedelta(seconds=_JOIN_SECONDS if name_of_backend == "gloo" else seconds),
            )
            if name_of_backend == "gloo":
                dist.distributed_c10d._set_pg_timeout(timedelta(seconds=seconds))
            yield
        finally:
            _leave()


def is_of_exchange(error: BaseException) -> bool:
    """Return whether ``error`` is that of an exchange with another rank, which may have gone."""
    words = ("gloo", "Gloo", "NCCL", "ProcessGroup", "Connection closed", "Connection reset", "Broken pipe")
    found = type(error).__module__.startswith("torch.distributed") or type(error).__name__.startswith("Dist")
    return isinstance(error, RuntimeError) and (found or any(word in str(error) for word in words))


def _leave() -> None:
    import torch.distributed as dist
    from accelerate.state import AcceleratorState, GradientState

    if dist.is_initialized():
        dist.destroy_process_group()
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def abort() -> None:
    """Break off an exchange of NCCL that another thread is in; gloo notices by itself that a rank has gone."""
    import torch.distributed as dist

    if breaks_off():
        dist.distributed_c10d._abort_process_group()


def breaks_off() -> bool:
    """Return whether the exchanges of this process can be broken off, which leaves numbers that mean nothing."""
    import torch.distributed as dist

    return dist.is_initialized() and dist.get_backend() == "nccl"
