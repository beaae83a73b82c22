"""Read and remove what a launcher (torchrun, accelerate launch, srun) says of a process: which of how many it is.

It is removed from the environment because the libraries would join a process group of their own accord when they
find it there, each at a moment of its own. Must not load torch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping

from msgspec import Struct

from opeddev_tui.errors import SettingsProblem

# what PyTorch's launchers set and the libraries look for
VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "ROLE_RANK", "ROLE_WORLD_SIZE")
# what MPI's launchers set; accelerate looks for the sizes
_MPI = ("PMI_SIZE", "PMI_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE")
# where the ranks of PyTorch's launchers meet
_MEET = ("MASTER_ADDR", "MASTER_PORT")

# a job of several tasks whose script has started this process once
JOB = "the SLURM job"


class Launched(Struct, frozen=True):
    """This process is ``rank`` of ``world``, and number ``local`` on its machine; ``by`` names the launcher.

    ``address`` and ``port`` are where the ranks find each other, empty and 0 where the launcher names no place.
    """

    rank: int
    world: int
    local: int
    by: str
    address: str = ""
    port: int = 0
    # whether the launcher itself keeps a store there
    serves: bool = False
    # distinguishes the starts of a launcher that starts its processes again
    start: str = "0"
    # the launcher's name of what it started, by which the ranks of another one at the same place are told apart
    job: str = ""


def take(environment: MutableMapping[str, str], before: Mapping[str, str] | None = None) -> Launched | None:
    """Return what a launcher of several processes says, None without one; its variables are removed.

    ``before`` is the environment that the launcher was started with; None: that of this process's parent. Raises
    ``SettingsProblem`` for values that are no numbers, or contradict each other.
    """
    try:
        found = _torch(environment) or _slurm(environment) or _mpi(environment)
        if found is None:
            _refuse_one_of_accelerate(environment, before)
        return found
    finally:
        remove(environment)


def remove(environment: MutableMapping[str, str]) -> None:
    """Remove what a launcher says: for commands that do not care."""
    for name in (*VARIABLES, *_MPI):
        environment.pop(name, None)


def _torch(environment: Mapping[str, str]) -> Launched | None:
    if "WORLD_SIZE" not in environment or (world := _number(environment, "WORLD_SIZE")) <= 1:
        return None
    rank, local = _number(environment, "RANK"), _number(environment, "LOCAL_RANK", 0)
    address, port = environment.get("MASTER_ADDR", ""), _number(environment, "MASTER_PORT", 0)
    serves = environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    start, job = environment.get("TORCHELASTIC_RESTART_COUNT", "0"), environment.get("TORCHELASTIC_RUN_ID", "")
    found = Launched(rank, world, local, "torchrun", address, port, serves, start, job)
    return _checked(found, "RANK", "WORLD_SIZE")


def _slurm(environment: Mapping[str, str]) -> Launched | None:
    if "SLURM_NTASKS" not in environment and "SLURM_STEP_NUM_TASKS" not in environment:
        return None
    # the tasks of this srun, which may be fewer than those of its job; without them, no srun has started this process
    by = "srun" if "SLURM_STEP_NUM_TASKS" in environment else JOB
    name = "SLURM_STEP_NUM_TASKS" if by == "srun" else "SLURM_NTASKS"
    if (world := _number(environment, name)) <= 1:
        return None
    rank, local = _number(environment, "SLURM_PROCID", 0), _number(environment, "SLURM_LOCALID", 0)
    address = environment.get("MASTER_ADDR", "") or first_host(environment.get("SLURM_JOB_NODELIST", ""))
    job, step = _number(environment, "SLURM_JOB_ID", 0), _number(environment, "SLURM_STEP_ID", 0)
    # an srun beside another one of the same job meets elsewhere
    port = _number(environment, "MASTER_PORT", 0) or 20_000 + (job + 1_009 * step) % 20_000
    found = Launched(rank, world, local, by, address, port, job=f"{job}.{step}")
    return _checked(found, "SLURM_PROCID", name)


def first_host(nodes: str) -> str:
    """Return the first of SLURM's list of ``nodes``: "gpu[03-07,11],fat1" begins with gpu03."""
    head, bracket, rest = nodes.partition("[")
    if not bracket or "," in head:
        return nodes.split(",")[0]
    return head + re.split(r"[-,\]]", rest)[0] + (rest.partition("]")[2].split(",")[0])


def _mpi(environment: Mapping[str, str]) -> Launched | None:
    for size, rank in (("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"), ("PMI_SIZE", "PMI_RANK")):
        if size in environment and (world := _number(environment, size)) > 1:
            return Launched(_number(environment, rank, 0), world, 0, "mpirun")
    return None


def _refuse_one_of_accelerate(environment: Mapping[str, str], before: Mapping[str, str] | None) -> None:
    """Raise ``SettingsProblem`` where ``accelerate launch`` was asked for several processes and has started one.

    It does so without several GPUs, and says nothing; it names a place to meet only where it was asked for several.
    A place that a person has exported is in accelerate's own environment too (``before``).
    """
    if (
        "ACCELERATE_USE_CPU" not in environment
        or "WORLD_SIZE" in environment
        or any(name not in environment for name in _MEET)
    ):
        return
    known = _environment_of_parent() if before is None else before
    if any(environment[name] != known.get(name) for name in _MEET):
        raise SettingsProblem(
            "accelerate launch was asked for several processes, but has started one: without several GPUs it starts "
            "no more.",
            where="accelerate launch",
            cure="Start them by torchrun --nproc-per-node N -m opeddev_tui train, or set training.num_processes and "
            "start opeddev-tui train once.",
        )


def _environment_of_parent() -> Mapping[str, str]:
    """Return the environment that this process's parent was started with, empty where it cannot be read."""
    # the app opens without it
    import psutil

    try:
        return psutil.Process(os.getppid()).environ()
    except (psutil.Error, OSError):
        return {}


def _number(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = environment.get(name, "" if default is None else str(default))
    try:
        return int(text)
    except ValueError:
        raise SettingsProblem(
            f"the environment's {name} is {text!r}, not a number." if text else f"the environment has no {name}.",
            where="the launcher",
            cure="Start the training by torchrun or srun, or unset WORLD_SIZE.",
        ) from None


def _checked(found: Launched, rank: str, world: str) -> Launched:
    if not 0 <= found.rank < found.world or found.local < 0:
        raise SettingsProblem(
            f"the environment's {rank} is {found.rank}, but {world} is {found.world}.",
            where="the launcher",
            cure=f"Start the training by {found.by} again, or unset {world}.",
        )
    return found


def refuse(launched: Launched | None, command: str) -> None:
    """Raise ``SettingsProblem`` if ``command``, which trains with one process, was started as one of several."""
    if launched is not None:
        raise SettingsProblem(
            f"{command} was started as process {launched.rank + 1} of {launched.world} by {launched.by}, "
            "but it trains with one process.",
            where="WORLD_SIZE" if launched.by == "torchrun" else launched.by,
            cure=f"Start it once: opeddev-tui {command} (in a SLURM job: srun -n1 opeddev-tui {command}).",
        )
