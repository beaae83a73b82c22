"""List the recorded runs of a workspace, their present status and the steps they finished.

A damaged journal is never an error here: what can be read of it counts, and ``RunState.damage`` says what cannot.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.runs import manifest as manifests
from opeddev_tui.runs.events import RunStarted, TrainedBatch
from opeddev_tui.runs.journal import JournalReader, length
from opeddev_tui.runs.manifest import RunManifest
from opeddev_tui.runs.state import RunState, Status, reduce
from opeddev_tui.workspace.paths import STAMP_LENGTH, Workspace


class RunRecord(Struct, frozen=True):
    """One recorded run."""

    id: str
    folder: Path
    state: RunState

    @property
    def step(self) -> int:
        """The number of the step it trains."""
        return self.state.started.step if self.state.started else -1


def open_run(workspace: Workspace, run: str) -> tuple[RunState, JournalReader]:
    """Return the state of ``run`` now, and the reader of the events that follow."""
    reader = JournalReader(workspace.run_folder(run))
    state = reduce(reader.read_new())
    state.damage = reader.damage or _nothing_left(workspace, run, state)
    if state.started is None and state.damage:
        # the line that begins the run is damaged: the manifest says the same
        state.started = _started(manifests.read(workspace.run_manifest(run)), run)
    elif state.started is not None and not state.started.batches:
        recorded = manifests.read(workspace.run_manifest(run)) or RunManifest()
        state.started = replace(state.started, batches=_batches(recorded))
    return state, reader


def _nothing_left(workspace: Workspace, run: str, state: RunState) -> str:
    """Return what is wrong with an empty journal of a run that left other files; "" if nothing is."""
    if state.events:
        return ""
    if length(workspace.run_folder(run)):
        return "its journal holds no whole line"
    # a run that was killed before its first event left nothing behind
    return "its journal is missing or empty" if workspace.checkpoints(run).is_dir() else ""


def read_run(workspace: Workspace, run: str) -> RunRecord:
    """Return the run ``run`` from its journal."""
    return RunRecord(run, workspace.run_folder(run), open_run(workspace, run)[0])


def all_runs(workspace: Workspace) -> list[RunRecord]:
    """Return every run with a folder, by name, also those whose journal is too damaged to show what they trained."""
    return [read_run(workspace, run) for run in workspace.run_ids()]


def list_runs(workspace: Workspace) -> list[RunRecord]:
    """Return all runs that began, oldest first."""
    return begun(all_runs(workspace))


def begun(records: Sequence[RunRecord]) -> list[RunRecord]:
    """Return those of ``records`` that began, oldest first."""
    # by the ids, which grow whatever the clock does; version 0.1 could begin two runs in one second
    return sorted(
        (record for record in records if record.state.started),
        key=lambda record: (record.id[:STAMP_LENGTH], record.state.begun.at),
    )


def damage_notes(records: Sequence[RunRecord]) -> list[str]:
    """Return a sentence for every run of which something cannot be read."""
    lost = " What it trained cannot be told, so it is left out."
    return [
        f"Run {record.id} is damaged: {record.state.damage}.{'' if record.state.started else lost}"
        for record in records
        if record.state.damage
    ]


def status_of(state: RunState, *, alive: bool) -> Status:
    """Return the present status of a run; ``alive`` says whether a process trains it.

    A run whose process ended without recording its end is interrupted, whatever its journal recorded last.
    """
    return state.status if state.over or alive else "interrupted"


def status_as_known(state: RunState, *, alive: bool | None) -> Status | Literal["unknown"]:
    """Return ``status_of``, or "unknown" for a run in progress where nobody can know whether it lives (None)."""
    if alive is None and not state.over:
        return "unknown"
    return status_of(state, alive=bool(alive))


def finished_steps(records: Sequence[RunRecord]) -> dict[int, RunRecord]:
    """Return the newest finished run of each step; repetitions and seeds that were not chosen do not count."""
    return {record.step: record for record in records if record.state.status == "finished" and record.state.counts}


# --- what the manifest knows where the journal does not


def _batches(recorded: RunManifest) -> tuple[TrainedBatch, ...]:
    return tuple(TrainedBatch(item.name, item.rows, item.fingerprint, item.identity) for item in recorded.data.batches)


def _started(recorded: RunManifest | None, run: str) -> RunStarted | None:
    """Return the event that began ``run`` as its manifest has it, None where that cannot be read either."""
    if recorded is None or recorded.step < 0 or not recorded.data.batches:
        return None
    training, stop = recorded.settings.get("training", {}), recorded.settings.get("early_stop", {})
    planned, extra = training.get("num_train_epochs"), stop.get("max_extra_epochs")
    epochs = planned if isinstance(planned, int) else 0
    held = recorded.data.holdout or manifests.DataSet()
    batches = _batches(recorded)
    # version 0.1 recorded only in the journal that a run repeats another
    repeated = recorded.command[2] if recorded.command[1:2] == ["repeat"] and len(recorded.command) > 2 else ""
    return RunStarted(
        at=_moment(run),
        run=run,
        step=recorded.step,
        batch=batches[-1].name,
        rows=recorded.data.encoding.rows if recorded.data.encoding else sum(batch.rows for batch in batches),
        holdout_rows=held.rows,
        holdout_fingerprint=held.fingerprint,
        planned_epochs=epochs,
        max_epochs=epochs + (extra if isinstance(extra, int) else 0),
        seed=recorded.seed or 0,
        model=recorded.model.name,
        parent=recorded.parent or "",
        source=recorded.model.source,
        data_fingerprint=recorded.data.fingerprint,
        lora=recorded.settings.get("lora", {}).get("enabled") is True,
        repeats=recorded.repeats or repeated,
        group=recorded.group,
        batches=batches,
    )


def _moment(run: str) -> float:
    """Return when ``run`` began by its id, in Unix seconds; 0 for a folder of another name."""
    try:
        return datetime.strptime(run[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0
