"""What launchers say of a process is read and removed; commands that train with one process refuse to be many."""

from pathlib import Path

import engine_helpers as eh
import pytest

from opeddev_tui.cli import main
from opeddev_tui.errors import SettingsProblem
from opeddev_tui.ranks.crew import place_of
from opeddev_tui.ranks.launcher import JOB, Launched, first_host, take

TORCHRUN = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"}
AGENT = {
    "TORCHELASTIC_USE_AGENT_STORE": "True",
    "TORCHELASTIC_RESTART_COUNT": "2",
    "TORCHELASTIC_RUN_ID": "7b",
}
SRUN = {
    "SLURM_NTASKS": "8",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_JOB_NODELIST": "gpu[03-07,11],fat1",
    "SLURM_JOB_ID": "1027654",
}


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        (TORCHRUN, Launched(1, 2, 1, "torchrun", "10.0.0.1", 29500)),
        ({**TORCHRUN, **AGENT}, Launched(1, 2, 1, "torchrun", "10.0.0.1", 29500, True, "2", "7b")),
        (SRUN, Launched(3, 4, 1, "srun", "gpu03", 27654, job="1027654.0")),
        # a second srun in the same job meets elsewhere
        ({**SRUN, "SLURM_STEP_ID": "1"}, Launched(3, 4, 1, "srun", "gpu03", 28663, job="1027654.1")),
        (
            {**SRUN, "MASTER_ADDR": "head", "MASTER_PORT": "4000"},
            Launched(3, 4, 1, "srun", "head", 4000, job="1027654.0"),
        ),
        ({"SLURM_NTASKS": "2", "SLURM_PROCID": "0"}, Launched(0, 2, 0, JOB, "", 20000, job="0.0")),
        ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}, Launched(1, 2, 0, "mpirun")),
        # one task of a larger allocation, one process of a launcher, no launcher
        ({"SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "1"}, None),
        ({"WORLD_SIZE": "1", "RANK": "0"}, None),
        ({}, None),
    ],
)
def test_it_says_which_of_how_many_this_process_is(environment: dict[str, str], found: Launched | None) -> None:
    assert take(dict(environment)) == found


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("gpu3", "gpu3"), ("gpu3,gpu4", "gpu3"), ("gpu[03-07,11],fat1", "gpu03"), ("a1,gpu[3-4]", "a1"), ("n[7]x", "n7x")],
)
def test_the_first_host_of_a_list_of_nodes(nodes: str, first: str) -> None:
    assert first_host(nodes) == first


@pytest.mark.parametrize("launched", [Launched(0, 2, 0, JOB), Launched(0, 2, 0, "mpirun")])
def test_processes_that_cannot_meet_are_refused_with_the_cure(launched: Launched) -> None:
    with pytest.raises(SettingsProblem, match="srun"):
        place_of(launched)


def test_nothing_is_left_that_the_libraries_would_join_a_group_by() -> None:
    environment = {**TORCHRUN, "OMPI_COMM_WORLD_SIZE": "2", "HOME": "/home/a"}
    take(environment)
    assert set(environment) == {"HOME", "MASTER_ADDR", "MASTER_PORT"}


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ({"WORLD_SIZE": "many"}, "WORLD_SIZE"),
        ({"WORLD_SIZE": "2"}, "RANK"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK"),
        ({"WORLD_SIZE": "2", "RANK": "-1"}, "RANK"),
        ({"SLURM_NTASKS": "2", "SLURM_PROCID": "5"}, "SLURM_PROCID"),
    ],
)
def test_what_contradicts_itself_is_refused_by_name(environment: dict[str, str], names: str) -> None:
    with pytest.raises(SettingsProblem, match=names):
        take(environment)


@pytest.mark.parametrize("on_cpu", ["True", "False"])
def test_several_processes_that_accelerate_launch_did_not_start_are_told(on_cpu: str) -> None:
    asked = {"ACCELERATE_USE_CPU": on_cpu, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
    with pytest.raises(SettingsProblem, match=r"asked for several processes, but has started one.*torchrun"):
        take(dict(asked), {"MASTER_ADDR": "node1", "MASTER_PORT": "29500"})
    with pytest.raises(SettingsProblem, match=r"asked for several processes, but has started one.*torchrun"):
        take(dict(asked), {})
    # it was asked for one; it has started all
    assert take({"ACCELERATE_USE_CPU": on_cpu}) is None
    assert take({**TORCHRUN, **asked}) == Launched(1, 2, 1, "torchrun", "127.0.0.1", 29500)


@pytest.mark.parametrize(
    "exported",
    [
        {"MASTER_ADDR": "node1"},
        {"MASTER_PORT": "29500"},
        {"MASTER_ADDR": "node1", "MASTER_PORT": "29500"},
        {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"},
    ],
)
def test_one_process_of_accelerate_launch_is_not_refused_for_what_the_shell_exports(exported: dict[str, str]) -> None:
    assert take({"ACCELERATE_USE_CPU": "True", **exported}, exported) is None
    assert take(dict(exported), exported) is None


@pytest.mark.parametrize("command", ["repeat x", "demo"])
@pytest.mark.parametrize("environment", [TORCHRUN, SRUN])
def test_a_command_that_trains_with_one_process_refuses_to_be_one_of_many(
    command: str,
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(command.split()) == SettingsProblem.exit_code
    assert "one process" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["check", "status"])
def test_a_command_that_does_not_train_ignores_a_launcher(
    command: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = eh.make_workspace(tmp_path / "workspace", tiny_model)
    for name, value in {**TORCHRUN, "RANK": "nine"}.items():
        monkeypatch.setenv(name, value)
    assert main([command, "-w", str(root)]) == 0
