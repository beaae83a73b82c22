"""List all checkpoints of a workspace with their marks, lineage, results and names for people.

A checkpoint's own facts come from its manifest, its results from its run's journal, pins and notes from ``pins``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from opeddev_tui.analysis import early_stopping
from opeddev_tui.analysis.checkpoint_grades import recorded_grades
from opeddev_tui.analysis.step_grades import GradesAfter
from opeddev_tui.checkpoints import base_model, folders, pins
from opeddev_tui.config.settings import Settings
from opeddev_tui.errors import StorageProblem
from opeddev_tui.files import folder_size, free_space
from opeddev_tui.format import size
from opeddev_tui.runs import ratings
from opeddev_tui.runs.events import checkpoint_name
from opeddev_tui.runs.history import RunRecord, finished_steps, list_runs
from opeddev_tui.runs.manifest import settings_of
from opeddev_tui.workspace.paths import Workspace


class Entry(Struct, frozen=True):
    """One checkpoint folder; ``size`` in bytes.

    ``gain`` is the fall of the hold-out loss since before the step, with its ``interval``; ``parent`` is the checkpoint
    that the step started from, ``base`` the model below adapters, ``repeats`` the run that its run repeats. A run that
    is not its step's, a repetition or a seed that was not chosen, does not count.
    """

    folder: Path
    run: str
    step: int
    global_step: int
    size: int
    created: float
    published: bool
    epoch: float = 0.0
    parent: str = ""
    base: str = ""
    rows: int = 0
    lora: bool = False
    val_loss: float | None = None
    gain: float | None = None
    interval: tuple[float, float] | None = None
    human: float | None = None
    exact: float | None = None
    # quadratic weighted; ``exact`` and ``kappa`` are of the grades by ``graded_by``
    kappa: float | None = None
    graded_by: str = ""
    precision: str = ""
    marks: tuple[str, ...] = ()
    note: str = ""
    repeats: str = ""
    counts: bool = True
    # SHA-256 of the hold-out that ``val_loss``, ``gain`` and ``exact`` were measured on
    holdout: str = ""
    # the base model that the grade head beside the weights reads; empty without such a head
    grades_with: str = ""
    # by every way that read its weights, an entry per hold-out row: what two checkpoints are compared by
    graded: tuple[GradesAfter, ...] = ()

    @property
    def name(self) -> str:
        """Its name for people: run/checkpoint-75."""
        return checkpoint_name(self.folder)


def list_entries(workspace: Workspace, records: Sequence[RunRecord] | None = None) -> list[Entry]:
    """Return every checkpoint of every run, oldest first, with marks; files are not verified here."""
    runs = list(records) if records is not None else list_runs(workspace)
    try:
        notes = pins.read_notes(workspace)
    except StorageProblem:
        notes = None
    entries = [
        _entry(workspace, record, folder)
        for record in runs
        for folder in folders.list_folders(workspace.checkpoints(record.id))
    ]
    marks = _marks(workspace, runs, entries, notes)
    return [
        replace(entry, marks=tuple(marks[entry.folder]), note=pins.note_on(notes or {}, entry.name))
        for entry in entries
    ]


def _entry(workspace: Workspace, record: RunRecord, folder: Path) -> Entry:
    manifest = folders.read_manifest(folder)
    if manifest is None:
        return Entry(
            folder=folder,
            run=record.id,
            step=record.step,
            global_step=folders.step_of(folder) or 0,
            size=folder_size(folder),
            created=folder.stat().st_mtime,
            published=False,
        )
    state = record.state
    # results belong to the end of an epoch; -1 finds none
    epoch = round(manifest.epoch) if manifest.epoch.is_integer() else -1
    before, after, grades = state.holdout.get(0), state.holdout.get(epoch), state.grades.get(epoch)
    difference = early_stopping.paired_difference(before, after) if before is not None and after is not None else None
    return Entry(
        folder=folder,
        run=record.id,
        step=manifest.step,
        epoch=manifest.epoch,
        global_step=manifest.global_step,
        parent=workspace.located(manifest.parent),
        base=workspace.located(manifest.base),
        rows=manifest.rows,
        size=manifest.size,
        created=manifest.created,
        lora=manifest.lora,
        published=True,
        val_loss=manifest.val_loss,
        gain=difference.mean if difference is not None else None,
        interval=difference.interval if difference is not None else None,
        human=ratings.shares(state).get(epoch),
        exact=grades.exact if grades is not None else None,
        kappa=grades.kappa if grades is not None else None,
        graded_by=grades.way if grades is not None else "",
        precision=state.model.precision if state.model else "",
        repeats=state.repeats,
        counts=state.counts,
        holdout=state.scored_on[0],
        grades_with=manifest.grades_with,
        graded=recorded_grades(state, epoch, f"step {manifest.step} epoch {epoch}"),
    )


def _marks(
    workspace: Workspace, runs: Sequence[RunRecord], entries: Sequence[Entry], notes: pins.Notes | None
) -> dict[Path, list[str]]:
    marks: dict[Path, list[str]] = {entry.folder: [] for entry in entries}

    def mark(place: str | Path, word: str) -> None:
        folder = place if isinstance(place, Path) else Path(workspace.located(place))
        if folder in marks:
            marks[folder].append(word)

    finished = finished_steps(list(runs))
    for record in runs:
        whole = [entry for entry in entries if entry.run == record.id and entry.published]
        if whole:
            mark(max(whole, key=lambda entry: entry.global_step).folder, "latest")
        best = record.state.best_epoch()
        if best is not None:
            mark(record.state.epochs[best].checkpoint, "best")
        if record.state.finished is not None and finished.get(record.step) is record:
            mark(record.state.finished.last_checkpoint, "chosen")
        if record.state.started is not None:
            mark(record.state.started.parent, f"start of step {record.step}")
    for entry in entries:
        if notes is None or notes.get(entry.name, {}).get("pinned"):
            mark(entry.folder, "pinned" if notes is not None else "perhaps pinned")
        if entry.lora:
            mark(entry.base, "base of adapters")
    return {path: list(dict.fromkeys(words)) for path, words in marks.items()}


def of_other_holdout(entries: Sequence[Entry], entry: Entry) -> bool:
    """True if the figures of ``entry`` are of another hold-out than those of the newest checkpoint with figures."""
    newest = next((item.holdout for item in reversed(entries) if item.holdout), "")
    return bool(entry.holdout) and entry.holdout != newest


def problems_of(entry: Entry) -> list[str]:
    """Return what is wrong with a checkpoint and with the model below its adapters, one phrase each."""
    problems = folders.problems_of(entry.folder)
    manifest = folders.read_manifest(entry.folder)
    base = base_model.base_problem(entry.folder, manifest) if manifest is not None else ""
    return [*problems, *([base] if base else [])]


# --- names for people


def find_entry(entries: Sequence[Entry], reference: str) -> Entry:
    """Return the checkpoint that ``reference`` names: latest, best, step1, step1:3 (its epoch 3), a name or a path.

    Raises ``StorageProblem`` if there is none.
    """
    if not entries:
        raise StorageProblem("there is no checkpoint yet.", cure="Train a step first: opeddev-tui train.")
    whole = [entry for entry in entries if entry.published]
    matches = [
        entry
        for entry in entries
        if reference in (entry.name, str(entry.folder)) or Path(reference).expanduser().absolute() == entry.folder
    ]
    # all others are found by their full names only
    own = [entry for entry in whole if entry.counts]
    if not matches and reference in ("latest", "best"):
        matches = [entry for entry in own if reference in entry.marks]
    if not matches and reference.startswith("step"):
        matches = _by_step(own, reference.removeprefix("step"))
    if not matches:
        names = ", ".join(dict.fromkeys(entry.name for entry in entries[-3:]))
        raise StorageProblem(
            f"no checkpoint is called {reference}.",
            cure=f"Write latest, best, step1, step1:3, or a name such as {names}.",
        )
    return matches[-1]


def _by_step(entries: Sequence[Entry], text: str) -> list[Entry]:
    step, _, epoch = text.partition(":")
    of_step = [entry for entry in entries if str(entry.step) == step]
    if epoch:
        return [entry for entry in of_step if f"{entry.epoch:g}" == epoch]
    return [entry for entry in of_step if "chosen" in entry.marks] or of_step


# --- the whole list


class CheckpointList(Struct, frozen=True):
    """All checkpoints on disk, batch and settings per run id, free bytes, and the sentence of ``disk_budget``."""

    entries: tuple[Entry, ...] = ()
    batches: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    free: int = 0
    budget: str = ""

    def find(self, key: str) -> Entry | None:
        """Return the entry of the folder ``key``, None if there is none."""
        return next((entry for entry in self.entries if str(entry.folder) == key), None)


def read_checkpoint_list(workspace: Workspace, settings: Settings) -> CheckpointList:
    """Read the list from disk."""
    records = list_runs(workspace)
    entries = list_entries(workspace, records)
    newest = next((entry.size for entry in reversed(entries) if entry.published), 0)
    kept = settings.training.save_total_limit + 1
    return CheckpointList(
        tuple(entries),
        {record.id: record.state.started.batch for record in records if record.state.started},
        {run: settings_of(workspace.run_manifest(run)) for run in {entry.run for entry in entries}},
        free_space(workspace.store),
        disk_budget(workspace.store, newest, kept) or "",
    )


def disk_budget(store: Path, checkpoint_size: int, kept: int) -> str | None:
    """Return a sentence if ``kept`` checkpoints of ``checkpoint_size`` bytes do not fit, None if they do."""
    free = free_space(store)
    if checkpoint_size * kept <= free:
        return None
    return f"{kept} checkpoints of {size(checkpoint_size)} are kept, {size(free)} are free"
