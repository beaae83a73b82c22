"""Settings that several processes could not train with exactly are refused before anything starts, with the cure."""

from pathlib import Path

import pytest

from opeddev_tui.config.loading import load
from opeddev_tui.errors import SettingsProblem
from opeddev_tui.training.processes import resolved
from opeddev_tui.training.trainer_arguments import check_arguments


@pytest.mark.parametrize(
    "argument",
    [
        "average_tokens_across_devices=false",
        "ddp_backend='mpi'",
        "ddp_timeout=5",
        "ddp_find_unused_parameters=true",
        "deepspeed='zero3.json'",
        "accelerator_config={split_batches=true}",
        "save_only_model=true",
    ],
)
def test_an_argument_of_the_trainer_that_ranks_need_as_it_is(argument: str, tmp_path: Path) -> None:
    overrides = [f"training.arguments.{argument}"]
    assert resolved(load(tmp_path, environment={}, overrides=overrides))
    with pytest.raises(SettingsProblem, match=f"arguments.{argument.partition('=')[0]} cannot be set") as refused:
        resolved(load(tmp_path, environment={}, overrides=[*overrides, "training.num_processes=2"]))
    assert "num_processes" in refused.value.cure


def test_an_optimizer_whose_package_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.trainer_optimizer.is_bitsandbytes_available", lambda: False)
    loaded = load(tmp_path, environment={}, overrides=["training.arguments.optim='adamw_8bit'"])
    with pytest.raises(SettingsProblem, match=r"the optimizer adamw_8bit cannot be used: .*bitsandbytes"):
        check_arguments(loaded.settings)


def test_wrong_arguments_of_an_optimizer(tmp_path: Path) -> None:
    arguments = "training.arguments={optim='sgd', optim_args='momentum'}"
    with pytest.raises(SettingsProblem, match="the optimizer sgd cannot be used"):
        check_arguments(load(tmp_path, environment={}, overrides=[arguments]).settings)
