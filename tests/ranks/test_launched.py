"""torchrun starts the ranks: rank 0 leads as `train`, the others wait for it; nobody hangs where nothing is trained."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import engine_helpers as eh
import pytest
from rank_workspaces import make_ranks

from opeddev_tui.commands.launched import overrides
from opeddev_tui.config.loading import load
from opeddev_tui.errors import BusyProblem, SettingsProblem
from opeddev_tui.ranks.launcher import Launched
from opeddev_tui.workspace.lock import RunLock


def torchrun(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Start two ranks on this machine, as a person does."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launcher, "-m", "opeddev_tui", "train", "-w", str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def as_launched(variables: Mapping[str, str]) -> None:
    """Be a process of which ``variables`` say what it is."""
    os.environ.update(variables)


def launched(root: Path, rank: int, port: int) -> eh.Command:
    """Start one of two ranks with what a launcher says, which meet at ``port``."""
    here = {"RANK": str(rank), "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    before = partial(as_launched, {**here, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"})
    return eh.Command(["train", "-w", str(root)], root.parent / f"rank{rank}.out", before)


def test_torchrun_trains_the_weights_that_own_hands_train(
    trained_by_two: Path, tiny_model: Path, tmp_path: Path
) -> None:
    root = make_ranks(tmp_path / "workspace", tiny_model, 2)
    done = torchrun(root)
    assert done.returncode == 0, done.stderr
    assert eh.final_weights(root) == eh.final_weights(trained_by_two)


def test_while_another_process_trains_all_ranks_end(tiny_model: Path, tmp_path: Path) -> None:
    root = make_ranks(tmp_path / "workspace", tiny_model, 2)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with RunLock(eh.workspace_of(root)):
        ranks = [launched(root, rank, port) for rank in range(2)]
        assert [process.code() for process in ranks] == [BusyProblem.exit_code] * 2
    assert "a training is already running here" in ranks[0].text()
    assert not (root / "logs/runs").exists()


def test_a_launcher_and_a_setting_that_say_different_numbers_are_refused(tmp_path: Path) -> None:
    launched = Launched(0, 2, 0, "torchrun")
    assert overrides(None, load(tmp_path)) == []
    assert overrides(launched, load(tmp_path)) == ["training.num_processes=2"]
    assert overrides(launched, load(tmp_path, overrides=["training.num_processes=0"]))
    with pytest.raises(SettingsProblem, match="num_processes is 1, but torchrun has started 2"):
        overrides(launched, load(tmp_path, overrides=["training.num_processes=1"]))
