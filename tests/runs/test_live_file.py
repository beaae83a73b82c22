"""What a training says beside its journal: in one file, of this process only, and never in its way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from engine_helpers import Seen
from pty_tools import until

from opeddev_tui.config.settings import Paths
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.live_file import LiveFile, Unrecorded, read_live
from opeddev_tui.workspace.lock import Holder, RunLock, who_trains
from opeddev_tui.workspace.paths import Workspace

STARTED = ev.RunStarted(
    run="run", step=0, batch="base", rows=1, holdout_rows=1, holdout_fingerprint="f", planned_epochs=1, max_epochs=1,
    seed=1, model="m", pid=1,
)  # fmt: skip
LOADING = ev.PhaseChanged(phase="loading model", detail="tiny")
GROWING = ev.SamplesStreaming(epoch=1, global_step=5, prompts=("Grade it.",), texts=("The first",), finished=0)
WHOLE = ev.SamplesGenerated(epoch=1, global_step=5, fingerprint="f", samples=())


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    found = Workspace(tmp_path, Paths())
    with RunLock(found):
        yield found


def said(workspace: Workspace) -> Unrecorded:
    holder = who_trains(workspace)
    assert holder is not None
    return read_live(workspace, holder)


def test_phases_before_the_run_and_growing_texts_are_kept_for_this_user_only(workspace: Workspace) -> None:
    seen = Seen()
    with LiveFile(workspace, seen) as live:
        live.emit(LOADING)
        until(lambda: said(workspace).phase == LOADING)
        assert workspace.live_file.stat().st_mode & 0o777 == 0o600
        live.emit(STARTED)
        live.emit(ev.PhaseChanged(phase="training"))
        live.emit(GROWING)
        until(lambda: said(workspace).streaming == GROWING)
        assert said(workspace).run == STARTED.run
        assert said(workspace).phase is None, "the journal has the phases of a run"
        live.emit(WHOLE)
        until(lambda: said(workspace).streaming is None)
    assert not workspace.live_file.exists()
    assert seen.events == [LOADING, STARTED, ev.PhaseChanged(at=seen.events[2].at, phase="training"), GROWING, WHOLE]


def test_the_file_of_another_process_is_not_believed(workspace: Workspace) -> None:
    holder = who_trains(workspace)
    assert holder is not None
    for other in (
        Holder(holder.pid + 1, holder.host, holder.since),
        Holder(holder.pid, holder.host, holder.since - 60),
    ):
        workspace.live_file.write_bytes(msgspec.json.encode(Unrecorded(other, "run", LOADING)))
        assert said(workspace).phase is None
    for broken in (b"", b"{", b'{"holder": 1}', b"\xff\x00"):
        workspace.live_file.write_bytes(broken)
        assert said(workspace).phase is None


def test_a_disk_that_does_not_take_it_changes_nothing(workspace: Workspace) -> None:
    os.mkdir(workspace.live_file)
    seen = Seen()
    with LiveFile(workspace, seen) as live:
        live.emit(LOADING)
        live.emit(GROWING)
    assert seen.events == [LOADING, GROWING]
    assert said(workspace).phase is None
