"""torchrun starts the ranks: rank 0 leads as `train`, the others wait for it; nobody hangs where nothing is trained."""

import subprocess
import sys
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


def test_torchrun_trains_the_weights_that_own_hands_train(
    trained_by_two: Path, tiny_model: Path, tmp_path: Path
) -> None:
    root = make_ranks(tmp_path / "workspace", tiny_model, 2)
    done = torchrun(root)
    assert done.returncode == 0, done.stderr
    assert eh.final_weights(root) == eh.final_weights(trained_by_two)


def test_while_another_process_trains_all_ranks_end(tiny_model: Path, tmp_path: Path) -> None:
    root = make_ranks(tmp_path / "workspace", tiny_model, 2)
    with RunLock(eh.workspace_of(root)):
        done = torchrun(root)
    assert f"exitcode  : {BusyProblem.exit_code}" in done.stderr
    assert "a training is already running here" in done.stderr
    assert not (root / "logs/runs").exists()


def test_a_launcher_and_a_setting_that_say_different_numbers_are_refused(tmp_path: Path) -> None:
    launched = Launched(0, 2, 0, "torchrun")
    assert overrides(None, load(tmp_path)) == []
    assert overrides(launched, load(tmp_path)) == ["training.num_processes=2"]
    assert overrides(launched, load(tmp_path, overrides=["training.num_processes=0"]))
    with pytest.raises(SettingsProblem, match="num_processes is 1, but torchrun has started 2"):
        overrides(launched, load(tmp_path, overrides=["training.num_processes=1"]))
