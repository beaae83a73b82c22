"""A sharded model that is gathered runs any number of passes in one process alone, and trains on as if it had not."""

from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import engine_helpers as eh
import pytest
import torch
from tiny_models import tiny

from opeddev_tui.config import settings as st
from opeddev_tui.errors import SettingsProblem
from opeddev_tui.models import sharding
from opeddev_tui.models.precision import Precision
from opeddev_tui.training.trainer_arguments import Plan, training_arguments

WORLD = 2
IDS = torch.arange(3, 40)[None]


class Stopped(Exception):
    """Ends a pass within."""


def _be_rank(work: Callable[[int], None], rank: int, store: str) -> None:
    torch.set_num_threads(1)
    group = torch.distributed
    group.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=WORLD)
    work(rank)
    group.destroy_process_group()


def in_two_processes(work: Callable[[int], None], folder: Path) -> list[int | None]:
    """Run ``work(rank)`` in two processes of one group; return their exit codes."""
    eh.begin_server()
    ranks = [ForkServerProcess(target=_be_rank, args=(work, rank, str(folder / "store"))) for rank in range(WORLD)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(60)
        rank.kill()
    return [rank.exitcode for rank in ranks]


def sharded(kind: str) -> Any:
    from torch.distributed.fsdp import fully_shard

    model = tiny(kind)
    for layer in model.model.layers:
        fully_shard(layer)
    return fully_shard(model)


def trained(model: Any, optimizer: torch.optim.Optimizer) -> float:
    loss = model(input_ids=IDS, labels=IDS).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return float(loss)


def looks_alone(model: Any, whole: Any) -> None:
    """Compare passes of every kind with those of the ``whole`` model."""

    def stop(*_: object) -> None:
        raise Stopped

    with torch.no_grad():
        for length in (5, 20, 37):
            assert torch.equal(model(input_ids=IDS[:, :length]).logits, whole(input_ids=IDS[:, :length]).logits)
        handle = model.model.layers[0].register_forward_hook(stop)
        with pytest.raises(Stopped):
            model(input_ids=IDS)
        handle.remove()
        written = [
            one.generate(input_ids=IDS[:, :5], max_new_tokens=7, do_sample=False, **more)
            for one, more in ((model, {"synced_gpus": False}), (whole, {}))
        ]
    assert torch.equal(*written)


def rank_0_looks_alone(rank: int) -> None:
    model, whole = sharded("qwen3"), tiny("qwen3")
    optimizers = [torch.optim.AdamW(one.parameters(), lr=1e-2) for one in (model, whole)]
    for _ in range(3):
        assert trained(model, optimizers[0]) == pytest.approx(trained(whole, optimizers[1]), abs=1e-6)
        sharding.gather(model)
        if rank == 0:
            looks_alone(model, whole)
        names = {name: tuple(tensor.shape) for name, tensor in whole.state_dict().items()}
        assert {name: tuple(tensor.shape) for name, tensor in sharding.gathered_tensors(model).items()} == names
        sharding.release(model)
    weights = sharding.full_weights(model)
    assert set(weights) == (set(whole.state_dict()) if rank == 0 else set())
    assert sharding.all_finite(model)


def one_is_infinite(rank: int) -> None:
    model = sharded("llama")
    sharding.gather(model)
    assert not any(hasattr(weight, "to_local") for weight in model.parameters())
    model(input_ids=IDS)
    sharding.release(model)
    if rank == 1:
        next(model.parameters()).data.to_local().fill_(torch.inf)  # type: ignore[attr-defined] # it is sharded
    assert not sharding.all_finite(model)


@pytest.mark.parametrize("work", [rank_0_looks_alone, one_is_infinite])
def test_two_processes(work: Callable[[int], None], tmp_path: Path) -> None:
    assert in_two_processes(work, tmp_path) == [0, 0]


def test_the_layers_are_found_by_their_list() -> None:
    assert sharding.layer_names(tiny("qwen3")) == ["Qwen3DecoderLayer"]
    assert sharding.layer_names(tiny("gpt2")) == ["GPT2Block"]
    assert not sharding.is_sharded(tiny("llama"))
    plan, precision = Plan(Path(), 1, 1, 1e-4, 1, processes=2), Precision("fp32", "")
    with pytest.raises(SettingsProblem, match="layers of this model are not found"):
        training_arguments(plan, st.Settings(training=st.Training(shard=True)), precision, ())
