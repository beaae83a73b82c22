"""What tests of groups share: children that train in this process, without learning."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from made_up_children import Children

from opeddev_tui.groups import leader
from opeddev_tui.reports import plots


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Iterator[Children]:
    """Children that train in this process, without learning."""
    found = Children()
    monkeypatch.setattr(leader, "run_children", found)
    # what takes longer than all else here and is tested elsewhere: drawing, and collecting garbage after a training
    monkeypatch.setattr(plots, "plots_after_step", lambda *_: None)
    monkeypatch.setattr("opeddev_tui.models.smaller_batches.gc", SimpleNamespace(collect=lambda: 0))
    return found
