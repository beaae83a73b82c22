"""What all tests share: a home of their own, no network, a tiny model, workspaces with short rows."""

import gc
import importlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# the many processes that tests start would compile every module anew
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# read when the libraries are imported, so before any test module
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import engine_helpers
import leftovers
import trained_graders

# what tests load stays: nothing is looked for until all of it is there (``pytest_collection_finish``)
gc.disable()
_USER_PATHS = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")


# folders whose files take longest, begun first, so that no worker is left alone with one of them at the end
_LONG = ("terminal", "ranks", "groups", "training", "serving", "exporting", "commands")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of long files first; those of a file stay together and in their order."""
    places = {name: place for place, name in enumerate(_LONG)}
    items.sort(key=lambda item: places.get(item.path.parent.name, len(places)))


def pytest_collection_finish() -> None:
    """Hide what was imported from the garbage collector: looking at it took half of the time of a training.

    And let it look less often, as the app does.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    gc.enable()


def _own_home(patch: pytest.MonkeyPatch, home: Path) -> None:
    patch.setenv("HOME", str(home))
    for name in _USER_PATHS:
        patch.setenv(name, str(home / name.lower()))
    for name in [name for name in os.environ if name.startswith("OPEDDEV_")]:
        patch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def _session_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home for session fixtures, which run before a test's own."""
    with pytest.MonkeyPatch.context() as patch:
        _own_home(patch, tmp_path_factory.mktemp("home"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_disks() -> Iterator[None]:
    """Let nothing in this process wait for the disk: no test pulls the plug, and those of broken disks bring their own.

    Processes that tests start wait as ever.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _descriptor: None)
        yield


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Send every user path of a test to a folder that goes with it."""
    with tempfile.TemporaryDirectory(prefix="opeddev-home-") as home:
        _own_home(monkeypatch, Path(home))
        yield


@pytest.fixture(autouse=True)
def _nothing_goes_on() -> Iterator[None]:
    """End the trainings and processes that a test started, also where it failed before it did."""
    with pytest.MonkeyPatch.context() as patch, leftovers.ended_with_the_test(patch):
        yield


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of about 0.1 million random weights; read-only."""
    importlib.import_module("training_stack")
    return engine_helpers.build_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def workspace_factory(tiny_model: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of workspaces: ``make(rows=…, batches=…, holdout=…, **{"training.seed": 7})``."""
    made = 0

    def make(rows: int = 20, batches: tuple[int, ...] = (), holdout: int = 6, **settings: object) -> Path:
        nonlocal made
        made += 1
        root = tmp_path / f"workspace{made}"
        return engine_helpers.make_workspace(
            root, tiny_model, rows=rows, batches=batches, holdout=holdout, settings=settings
        )

    return make


@pytest.fixture(scope="session")
def trained_workspace(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two trained steps of 20 rows each. Read-only: copy it (``copy_workspace``) to change it."""
    root = tmp_path_factory.mktemp("trained") / "workspace"
    engine_helpers.make_workspace(root, tiny_model, rows=20, batches=(20,))
    engine_helpers.train(root, "all")
    return root


@pytest.fixture(scope="session")
def grader_root(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a full step of graded rows. Read-only."""
    return trained_graders.make_grader(tmp_path_factory.mktemp("grader") / "workspace", tiny_model)


@pytest.fixture(scope="session")
def adapter_root(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a step of graded rows that trained adapters. Read-only."""
    settings = {"lora.enabled": True, "lora.r": 4}
    return trained_graders.make_grader(tmp_path_factory.mktemp("adapter") / "workspace", tiny_model, **settings)
