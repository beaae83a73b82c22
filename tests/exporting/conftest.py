"""Graded workspaces to export from: all parameters trained, and adapters on a model of a (made-up) hub's cache."""

import shutil
from pathlib import Path

import pytest
from exporting_helpers import COMMIT, HUB_NAME, Trained, graded_workspace, run_script, trained

from opeddev_tui.exporting import verify


@pytest.fixture(scope="session")
def full(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A step that trained all parameters. Read-only."""
    return trained(graded_workspace(tmp_path_factory.mktemp("full") / "workspace", tiny_model))


@pytest.fixture(scope="session")
def hub_cache(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of the hub that holds the tiny model under a name and a commit."""
    cache = tmp_path_factory.mktemp("hub")
    model = cache / f"models--{HUB_NAME.replace('/', '--')}"
    shutil.copytree(tiny_model, model / "snapshots" / COMMIT)
    (model / "refs").mkdir()
    (model / "refs/main").write_text(COMMIT)
    return cache


@pytest.fixture(scope="session")
def lora(hub_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A step that trained adapters on a model of the hub's cache. Read-only."""
    model = hub_cache / f"models--{HUB_NAME.replace('/', '--')}" / "snapshots" / COMMIT
    settings: dict[str, object] = {"lora.enabled": True, "lora.learning_rate": 5e-3}
    return trained(graded_workspace(tmp_path_factory.mktemp("lora") / "workspace", model, **settings))


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch, hub_cache: Path) -> None:
    """Run the exported script in this process, which has the libraries in memory: one test runs a fresh one."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub_cache))
    monkeypatch.setattr(verify, "_fresh", run_script)
