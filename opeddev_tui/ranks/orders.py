"""The orders of one attempt at a run: everything a hand needs to make the same model and rows as rank 0.

They are a file in the run's folder, so a hand that cannot read them does not see the workspace's disk; nobody decides
anything again. Also compares what the ranks say of themselves.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from opeddev_tui.data.sets import Batch
from opeddev_tui.errors import DataProblem, Problem, StorageProblem, TrainingProblem
from opeddev_tui.files import make_private, read_file, write_atomic
from opeddev_tui.ranks.words import Hello, Ready
from opeddev_tui.runs.manifest import versions

FOLDER = "ranks"
_FILE = "orders.json"
# the packages whose arithmetic or tokens differ from one version to the next
_COMPARED = ("opeddev-tui", "torch", "transformers", "accelerate", "peft", "tokenizers")


class BatchName(Struct, frozen=True):
    """A set of rows by its place, as ``data.sets.Batch``."""

    name: str
    number: int
    path: str
    split: str | None = None

    @staticmethod
    def of(batch: Batch) -> BatchName:
        """Return the name of ``batch``."""
        return BatchName(batch.name, batch.number, str(batch.path), batch.split)

    def batch(self) -> Batch:
        """Return the set that this names."""
        return Batch(self.name, self.number, Path(self.path), self.split)


class Orders(Struct, frozen=True):
    """What an attempt trains: ``resume`` and ``checkpoints`` are folders, ``source`` a folder or a hub name.

    ``grades``: hands read grades too. ``secret`` is also on the line, and in a file of the model store.
    """

    root: str
    run: str
    settings: dict[str, dict[str, Any]]
    batches: list[BatchName]
    source: str
    resume: str
    checkpoints: str
    batch_size: int
    accumulation: int
    learning_rate: float
    max_epochs: int
    processes: int
    threads: int
    grades: bool
    secret: str


def write(run_folder: Path, orders: Orders) -> None:
    """Keep ``orders`` in the run's folder, and the secret in that of its checkpoints; raises ``StorageProblem``."""
    make_private(run_folder / FOLDER)
    write_atomic(run_folder / FOLDER / _FILE, msgspec.json.encode(orders), mode=0o600)
    write_atomic(_secret_file(orders), orders.secret.encode(), mode=0o600)


def forget_secret(orders: Orders) -> None:
    """Delete the secret's file: every hand has found it."""
    _secret_file(orders).unlink(missing_ok=True)


def _secret_file(orders: Orders) -> Path:
    return Path(orders.checkpoints) / ".ranks"


def read(run_folder: Path, secret: str) -> Orders:
    """Return the orders in ``run_folder``; raises ``StorageProblem`` where this machine does not see rank 0's disks."""
    orders = _found(run_folder / FOLDER / _FILE, Orders)
    if orders is None or orders.secret != secret:
        raise _other_disk(run_folder)
    try:
        seen = read_file(_secret_file(orders)).decode()
    except (OSError, ValueError):
        seen = ""
    if seen != secret:
        raise _other_disk(Path(orders.checkpoints))
    return orders


def _found(path: Path, kind: type[Orders]) -> Orders | None:
    try:
        return msgspec.json.decode(read_file(path), type=kind)
    except (OSError, ValueError):
        return None


def _other_disk(place: Path) -> StorageProblem:
    return StorageProblem(
        f"{platform.node()} does not see the files that rank 0 has written.",
        where=str(place),
        cure="Workspace and model store must be on a disk that all machines share.",
    )


def hello(rank: int, pid: int) -> Hello:
    """Return what rank ``rank`` is."""
    found = versions()
    return Hello(rank, platform.node(), pid, {name: found[name] for name in _COMPARED if name in found})


def compare_versions(mine: Hello, others: Sequence[Hello]) -> None:
    """Raise ``TrainingProblem`` if a rank runs with other versions than rank 0."""
    for other in others:
        different = _differences(mine.versions, other.versions)
        if different:
            raise TrainingProblem(
                f"rank {other.rank} on {other.host} has other versions than rank 0 on {mine.host}: {different}.",
                cure="Install the same versions on every machine (constraints.txt).",
            )


def _differences(mine: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    names = [name for name in _COMPARED if mine.get(name) != theirs.get(name)]
    return ", ".join(f"{name} {theirs.get(name, 'missing')} (rank 0: {mine.get(name, 'missing')})" for name in names)


def compare_inputs(mine: Ready, others: Mapping[int, Ready], hosts: Mapping[int, str]) -> None:
    """Raise a ``Problem`` if a rank has read other rows or other weights than rank 0."""
    for rank, other in sorted(others.items()):
        where = f"rank {rank} on {hosts[rank]}"
        problem: Problem | None = None
        if other.rows != mine.rows:
            problem = DataProblem(
                f"{where} has read other rows than rank 0.",
                cure="The data files must be the same for all ranks: put them on the shared disk, and change none "
                "of them while a training starts.",
            )
        elif other.weights != mine.weights:
            problem = TrainingProblem(
                f"{where} has loaded other weights than rank 0.",
                cure="The model's files must be the same on every machine.",
            )
        if problem is not None:
            raise problem
