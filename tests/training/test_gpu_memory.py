"""Memory that runs out as on a GPU: nothing of a failed attempt stays, and whatever reads a model goes on smaller."""

import types
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_helpers import Seen, settings_of, states, train
from test_faults import too_big
from transformers import Qwen3ForCausalLM

from opeddev_tui import cli
from opeddev_tui.config import settings as st
from opeddev_tui.data.batches import load_holdout
from opeddev_tui.errors import ModelProblem, ran_out_of_memory
from opeddev_tui.grading.reader import FeatureReader
from opeddev_tui.models import loading
from opeddev_tui.models.smaller_batches import in_batches_that_fit
from opeddev_tui.runs import events as ev

Make = Callable[..., Path]


def test_the_model_of_a_failed_attempt_is_gone_before_the_next_one_is_loaded(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, loaded, left = workspace_factory(), list[Any](), list[int]()
    load = loading.load_model

    def watched(source: str, model: st.Model) -> Any:
        left.append(sum(item() is not None for item in loaded))
        found: Any = load(source, model)
        # as a Trainer does under autocast
        found.forward = types.MethodType(type(found).forward, found)
        loaded.append(weakref.ref(found))
        return found

    too_big(monkeypatch, most=1)
    monkeypatch.setattr(loading, "load_model", watched)
    seen = Seen()
    train(root, sink=seen)
    assert len(seen.of(ev.MemoryRetried)) == 2
    assert left == [0, 0, 0]
    assert states(root)[0].status == "finished"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        MemoryError(),
    ],
)
def test_every_way_to_run_out_of_memory_makes_batches_smaller(error: Exception) -> None:
    tried = []

    def work(rows: int) -> str:
        tried.append(rows)
        if rows > 2:
            raise error
        return "done"

    assert in_batches_that_fit(work, 9) == "done"
    assert tried == [9, 4, 2]


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA error: device-side assert triggered"), ValueError("out of memory")]
)
def test_another_error_is_raised_at_once(error: Exception) -> None:
    assert not ran_out_of_memory(error)
    tried = []

    def work(rows: int) -> None:
        tried.append(rows)
        raise error

    with pytest.raises(type(error)):
        in_batches_that_fit(work, 8)
    assert tried == [8]


def test_one_row_that_does_not_fit_raises_what_the_gpu_said() -> None:
    def work(_rows: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(torch.OutOfMemoryError):
        in_batches_that_fit(work, 4)


def test_the_race_goes_on_in_smaller_batches(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=20, holdout=15)
    too_big(monkeypatch, most=1, training_only=False)
    assert cli.main(["race", "-w", str(root)]) == 0
    assert "The head on the base model grades" in " ".join(capsys.readouterr().out.split())


def test_grades_are_written_in_smaller_batches(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = workspace_factory(holdout=15)
    settings = settings_of(root)
    reader = FeatureReader(settings.model.name, settings, tmp_path / "features")
    examples = load_holdout(root, settings).examples
    whole = reader.written_grades(examples).grades
    # two prompts are generated together where rows are read one by one
    too_big(monkeypatch, most=2, training_only=False)
    assert reader.written_grades(examples).grades == whole


def test_a_checkpoint_is_evaluated_in_smaller_batches(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory()
    train(root)
    words = ["checkpoints", "evaluate", "latest", "-w", str(root)]
    assert cli.main(words) == 0
    whole = capsys.readouterr().out
    too_big(monkeypatch, most=1, training_only=False)
    assert cli.main(words) == 0
    assert capsys.readouterr().out == whole


@pytest.mark.parametrize(
    "places", [{"model.embed_tokens": 0, "model.layers.1": "cpu"}, {"": "disk"}, {"a": torch.device("cpu"), "b": 0}]
)
def test_a_model_that_lies_partly_outside_the_gpu_is_refused(places: dict[str, Any]) -> None:
    with pytest.raises(ModelProblem, match="does not fit on the GPU: 1 of its"):
        loading._check_places("model", places)


@pytest.mark.parametrize("places", [{}, {"": 0}, {"": "cpu"}, {"a": 0, "b": 1}, {"": torch.device("cuda", 0)}])
def test_a_model_in_one_kind_of_place_is_loaded(places: dict[str, Any]) -> None:
    loading._check_places("model", places)


def test_memory_that_runs_out_while_a_model_is_loaded_is_told_as_such(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = workspace_factory()

    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(Qwen3ForCausalLM, "from_pretrained", full)
    with pytest.raises(ModelProblem, match=r"does not fit into memory: CUDA out of memory.*nvidia-smi"):
        train(root)
