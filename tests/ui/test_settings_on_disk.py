"""An open app and the files it was started with: edits are noticed, said and used; what will be trained is shown."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from scenes import opened, settle, until
from test_app import MIDDLE, SMALL, scene, text_of
from textual.pilot import Pilot

from opeddev_tui.config import loading
from opeddev_tui.models.outlook import Device, Outlook, outlook
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.state.plan_text import plan_of
from opeddev_tui.ui.tasks import workspace as tasks


@asynccontextmanager
async def watching(folder: Path, patch: pytest.MonkeyPatch, text: str) -> AsyncIterator[tuple[OpeddevApp, Pilot[str]]]:
    patch.setattr(tasks, "WATCH_EVERY", 0.02)
    (folder / "config.toml").write_text(text)
    app = OpeddevApp(folder, loading.load(folder))
    async with app.run_test(size=MIDDLE, notifications=True) as pilot:
        await until(pilot, lambda: app.disk.opened)
        await until(pilot, lambda: app.disk.settings_known)
        yield app, pilot


async def test_an_edit_is_noticed_said_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with watching(tmp_path, monkeypatch, "[training]\nlearning_rate = 2e-5\n") as (app, pilot):
        (tmp_path / "config.toml").write_text('[training]\nlearning_rate = 3e-6\n[ui]\ntheme = "nord"\nguard_ms = 7\n')
        await until(pilot, lambda: app.loaded.settings.training.learning_rate == 3e-6)
        assert "training.learning_rate 2e-05 → 3e-06" in app.session.view().told
        assert "next run" in app.session.view().told
        assert app.session.loaded is app.loaded
        assert app.provider.loaded is app.loaded
        await until(pilot, lambda: app.theme == "nord")
        assert dict(app.session.view().plan.rows)["LR"] == "3e-06"
        # a theme from config.toml is not saved as the app's own choice
        assert not (tmp_path / loading.SAVED_NAME).exists()


async def test_a_wrong_edit_is_told_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with watching(tmp_path, monkeypatch, "[training]\nseed = 7\n") as (app, pilot):
        before = app.loaded
        (tmp_path / "config.toml").write_text("[training]\nsed = 8\n")
        await until(pilot, lambda: app._notifications)
        told = " ".join(notice.message for notice in app._notifications)
        assert "as they were stay in use" in told
        assert "training.seed" in told
        assert app.loaded is before
        (tmp_path / "config.toml").write_text("[training]\nseed = 8\n")
        await until(pilot, lambda: app.loaded.settings.training.seed == 8)


async def test_folders_change_only_once_the_training_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with watching(tmp_path, monkeypatch, "") as (app, pilot):
        app.session.trained_by = "mine"
        (tmp_path / "config.toml").write_text('[paths]\nbase = "elsewhere"\n[training]\nseed = 9\n')
        await until(pilot, lambda: app.loaded.settings.training.seed == 9)
        assert app.loaded.settings.paths.base != "elsewhere"
        assert "training in progress keeps its own" in app.session.view().told
        app.session.trained_by = "none"
        await until(pilot, lambda: app.loaded.settings.paths.base == "elsewhere")


async def test_what_will_be_trained_is_said_before_it_is(tmp_path: Path) -> None:
    async with scene(tmp_path, "ready", SMALL) as (app, _):
        shown = text_of(app)
        for words in ("Qwen/Qwen3-0.6B", "LR 2e-05", "3 epochs", "batch 2", "bf16 on NVIDIA H100", "memory fits"):
            assert words in shown, words


async def test_an_empty_workspace_says_what_belongs_where(tmp_path: Path) -> None:
    for size in (SMALL, MIDDLE):
        (tmp_path / str(size[0])).mkdir()
        async with scene(tmp_path / str(size[0]), "empty", size) as (app, _):
            shown = text_of(app)
            for words in ("datasets/processed_webdev_coding", "datasets/holdout_webdev_coding", '"submission"',
                          "datasets/incremental/batch_100_01", "opeddev-tui check"):  # fmt: skip
                assert words in shown, words


@pytest.mark.parametrize("name", ["./missing", "models/missing", "/nowhere/model", "~/missing", "a/b/c", "~nobody/x"])
async def test_a_missing_model_folder_is_said_before_a_training_starts(tmp_path: Path, name: str) -> None:
    (tmp_path / "models").mkdir()
    loaded = loading.resolve([loading.Layer("test", {"model": {"name": name}})])
    (tmp_path / "config.toml").touch()
    app = OpeddevApp(tmp_path, loaded)
    async with app.run_test(size=MIDDLE) as pilot:
        await opened(pilot)
        # it is made in a thread
        await until(pilot, lambda: app.session.outlook is not None)
        problem = app.session.outlook
        await settle(app, "ready")
        app.session.outlook = problem
        app.show_now()
        await pilot.pause()
        assert "✗ model.name:" in text_of(app)


def test_a_model_of_the_hub_is_no_missing_folder(tmp_path: Path) -> None:
    settings = loading.resolve([loading.Layer("test", {"model": {"name": "owner/model"}})]).settings
    found = outlook(tmp_path, settings, 100)
    assert not found.problem
    assert not found.fetched
    assert "fetched first" in dict(plan_of(settings, found, first=True).rows)["memory"]


def test_the_outlook_counts_as_the_training_does(tmp_path: Path, tiny_model: Path) -> None:
    from opeddev_tui.models.memory import empty_model, sizes_of

    settings = loading.resolve([loading.Layer("test", {"model": {"name": str(tiny_model)}})]).settings
    found = outlook(tmp_path, settings, 100)
    assert found.parameters == sizes_of(empty_model(str(tiny_model), settings.model)).parameters
    assert found.memory is not None
    assert found.memory.verdict == "fits"


def test_a_folder_that_is_no_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"\x08")
    settings = loading.resolve([loading.Layer("test", {"model": {"name": "model"}})]).settings
    assert "model" in outlook(tmp_path, settings, 100).problem


@pytest.mark.parametrize(("table", "first", "chosen", "told"), [
    ({"learning_rate": 3e-3, "resume_learning_rate": 3e-4}, True, None, "0.003"),
    ({"learning_rate": 3e-3, "resume_learning_rate": 3e-4}, False, None, "0.0003 (resume_learning_rate: later steps)"),
    ({"learning_rate": 3e-3, "resume_learning_rate": 3e-4}, False, 1e-3, "0.001 (chosen at the question)"),
    ({"learning_rate": 3e-4, "resume_learning_rate": 3e-4}, False, None, "0.0003"),
])  # fmt: skip
def test_a_rate_that_is_not_the_first_steps_says_why(
    table: dict[str, float], *, first: bool, chosen: float | None, told: str
) -> None:
    settings = loading.resolve([loading.Layer("test", {"training": table})]).settings
    plan = plan_of(settings, None, first=first, chosen_rate=chosen)
    assert dict(plan.rows)["LR"] == told
    assert f"LR {told} · " in plan.line


def test_adapters_have_their_own_rate() -> None:
    settings = loading.resolve([loading.Layer("test", {"lora": {"enabled": True}})]).settings
    plan = plan_of(settings, Outlook(Device("CPU", 2**33, "fp32"), fetched=False), first=False)
    assert dict(plan.rows)["LR"] == "0.0001"
    assert dict(plan.rows)["trains"] == "adapters of rank 8"


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return what gives this machine two GPUs, each with so many MB free."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def give(megabytes: float) -> None:
        for name, value in {
            "nvmlInit": lambda: None,
            "nvmlDeviceGetCount": lambda: 2,
            "nvmlDeviceGetHandleByIndex": lambda index: index,
            "nvmlDeviceGetUUID": lambda index: f"GPU-{index}abc",
            "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(free=int(megabytes * 1e6)),
            "nvmlDeviceGetName": lambda _: "NVIDIA L4",
            "nvmlDeviceGetCudaComputeCapability": lambda _: (8, 9),
        }.items():
            monkeypatch.setattr(f"pynvml.{name}", value)

    return give


def test_more_gpus_are_offered_only_where_a_copy_of_the_model_fits_each(
    tmp_path: Path, tiny_model: Path, two_gpus: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def planned(**training: object) -> tuple[Outlook, dict[str, str], str]:
        settings = loading.resolve(
            [loading.Layer("test", {"model": {"name": str(tiny_model)}, "training": dict(training)})]
        ).settings
        found = outlook(tmp_path, settings, 100)
        plan = plan_of(settings, found, first=True)
        return found, dict(plan.rows), plan.line

    two_gpus(20_000)
    found, rows, line = planned()
    assert (found.processes, found.idle_gpus, found.device.free) == (1, 1, 40_000_000_000)
    assert rows["GPUs"].startswith("1 of 2 trains; training.num_processes = 0 trains with all")
    found, rows, line = planned(num_processes=0, per_device_train_batch_size=2, gradient_accumulation_steps=4)
    assert (found.processes, found.idle_gpus) == (2, 0)
    assert "GPUs" not in rows
    assert rows["batch"] == "2 rows × 4 passes × 2 processes: 16 rows per optimizer step"
    assert "2 processes, 16 rows per step" in line
    assert "for each process" in rows["memory"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert planned()[0].device.gpus == (20_000_000_000,)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-0ab")
    assert planned()[0].device.gpus == (20_000_000_000,)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    needed = planned()[0].memory
    assert needed is not None
    two_gpus(needed.total / 1e6 * 0.6)
    found, rows, _ = planned()
    assert (found.idle_gpus, "GPUs" in rows) == (0, False)
