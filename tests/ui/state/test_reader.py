"""Runs are read again only where their journals have grown."""

from __future__ import annotations

from pathlib import Path

import pytest
from journal_samples import make_workspace, run_events

from opeddev_tui.config import loading
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.journal import Journal, JournalReader
from opeddev_tui.ui.state.reader import WorkspaceReader


@pytest.fixture
def provider(tmp_path: Path) -> WorkspaceReader:
    workspace = make_workspace(tmp_path, [run_events(0, [2.0, 1.5]), run_events(1, [1.5, 1.2])])
    return WorkspaceReader(workspace.root, loading.load(workspace.root))


def read_runs(provider: WorkspaceReader, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the runs whose journals are read for the list of runs."""
    read: list[str] = []
    real = JournalReader.read_new

    def noted(reader: JournalReader) -> list[ev.AnyEvent]:
        read.append(reader.path.parent.name)
        return real(reader)

    with monkeypatch.context() as patched:
        patched.setattr(JournalReader, "read_new", noted)
        provider.runs()
    return read


def test_a_journal_is_read_once(provider: WorkspaceReader, monkeypatch: pytest.MonkeyPatch) -> None:
    latest = provider.latest_run()
    provider.open_run(latest)
    others = [run for run in provider.workspace.run_ids() if run != latest]
    assert read_runs(provider, monkeypatch) == others
    assert read_runs(provider, monkeypatch) == []


def test_a_journal_that_has_grown_is_read_again(provider: WorkspaceReader, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {row.run: row.state.events for row in provider.runs()}
    grown = provider.latest_run()
    journal = Journal(provider.workspace.run_folder(grown))
    journal.emit(ev.Annotated(epoch=1, note="afterwards"))
    journal.close()
    assert read_runs(provider, monkeypatch) == [grown]
    rows = {row.run: row.state for row in provider.runs()}
    assert rows[grown].notes[-1].note == "afterwards"
    assert {run: state.events for run, state in rows.items()} == before | {grown: before[grown] + 1}
