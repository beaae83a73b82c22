"""What the tests of ranks share: workspaces for one, two or three ranks, and steps that were trained undisturbed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import engine_helpers as eh
import pytest
from hands import Hands, forked
from rank_workspaces import make_ranks

Make = Callable[..., Path]


@pytest.fixture
def ranks_factory(tiny_model: Path, tmp_path: Path) -> Make:
    """Return a maker of workspaces: ``make(ranks, rows=…, **settings)``."""
    made = 0

    def make(ranks: int = 2, rows: int = 22, **settings: object) -> Path:
        nonlocal made
        made += 1
        return make_ranks(tmp_path / f"ranks{made}", tiny_model, ranks, rows, **settings)

    return make


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hands]:
    """The hands that trainings of this process start; none may be left."""
    found = forked(monkeypatch)
    yield found
    left = found.running
    for rank in left:
        found.processes[rank].kill()
    assert left == []


@pytest.fixture(scope="session")
def trained_by_one(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a step that one process trained. Read-only."""
    root = make_ranks(tmp_path_factory.mktemp("one") / "workspace", tiny_model, 1)
    eh.train(root)
    return root


@pytest.fixture(scope="session")
def trained_by_two(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the same step, trained by two ranks. Read-only."""
    root = make_ranks(tmp_path_factory.mktemp("two") / "workspace", tiny_model, 2)
    with pytest.MonkeyPatch.context() as patch:
        forked(patch)
        eh.train(root)
    return root


@pytest.fixture(scope="session")
def trained_sharded(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the step of ``trained_by_two``, trained by two ranks with shards. Read-only."""
    root = make_ranks(tmp_path_factory.mktemp("sharded") / "workspace", tiny_model, 2, **{"training.shard": True})
    with pytest.MonkeyPatch.context() as patch:
        forked(patch)
        eh.train(root)
    for pipe in root.rglob("1.in"):
        pipe.unlink()  # so that it can be copied
    return root
