"""Owns the view over all checkpoints of a workspace: what each is, its marks and lineage, names for people.

What a checkpoint says of itself comes from its manifest, how it did from its run's journal; pins and notes are kept
in one small file of the workspace.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui import checkpoints, decision, human
from opeddev_tui.errors import Problem, StorageProblem
from opeddev_tui.events import GradesMeasured, checkpoint_name
from opeddev_tui.format import size
from opeddev_tui.history import RunRecord, finished_steps, list_runs
from opeddev_tui.storage import folder_size, free_space, write_atomic
from opeddev_tui.workspace import Workspace


class Entry(Struct, frozen=True):
    """One checkpoint folder. ``interval`` is that of the hold-out loss gained since the step's beginning."""

    folder: Path
    run: str
    step: int
    epoch: float
    global_step: int
    parent: str
    base: str
    rows: int
    size: int
    created: float
    lora: bool
    published: bool
    val_loss: float | None = None
    gain: float | None = None
    interval: tuple[float, float] | None = None
    human: float | None = None
    exact: float | None = None
    precision: str = ""
    marks: tuple[str, ...] = ()
    note: str = ""
    # the run that its run repeats
    repeats: str = ""

    @property
    def name(self) -> str:
        """How people name it: run/checkpoint-75."""
        return checkpoint_name(self.folder)


def list_entries(workspace: Workspace, records: Sequence[RunRecord] | None = None) -> list[Entry]:
    """Return every checkpoint of every run, oldest first, with marks. Bytes are not verified here."""
    runs = list(records) if records is not None else list_runs(workspace)
    notes = _read_notes(workspace)
    entries = [
        _entry(workspace, record, folder)
        for record in runs
        for folder in checkpoints.list_folders(workspace.checkpoints(record.id))
    ]
    marks = _marks(workspace, runs, entries, notes)
    return [
        replace(entry, marks=tuple(marks[entry.folder]), note=notes.get(entry.name, {}).get("note", ""))
        for entry in entries
    ]


def _entry(workspace: Workspace, record: RunRecord, folder: Path) -> Entry:
    manifest = checkpoints.read_manifest(folder)
    step = checkpoints.step_of(folder) or 0
    if manifest is None:
        created = folder.stat().st_mtime
        return Entry(
            folder,
            record.id,
            record.step,
            0.0,
            step,
            "",
            "",
            0,
            folder_size(folder),
            created,
            lora=False,
            published=False,
        )
    epoch = round(manifest.epoch) if float(manifest.epoch).is_integer() else None
    state = record.state
    gain, interval = _gain(record, epoch)
    grades: GradesMeasured | None = state.grades.get(epoch) if epoch is not None else None
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
        gain=gain,
        interval=interval,
        human=human.shares(state).get(epoch) if epoch is not None else None,
        exact=grades.exact if grades else None,
        precision=state.model.precision if state.model else "",
        repeats=state.repeats,
    )


def _gain(record: RunRecord, epoch: int | None) -> tuple[float | None, tuple[float, float] | None]:
    before, after = record.state.holdout.get(0), record.state.holdout.get(epoch if epoch is not None else -1)
    if before is None or after is None:
        return None, None
    difference = decision.paired_difference(before, after)
    return difference.mean, difference.interval


def _marks(
    workspace: Workspace, runs: Sequence[RunRecord], entries: Sequence[Entry], notes: dict[str, Any]
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
        if notes.get(entry.name, {}).get("pinned"):
            mark(entry.folder, "pinned")
        if entry.lora:
            mark(entry.base, "base of adapters")
    return {path: list(dict.fromkeys(words)) for path, words in marks.items()}


# --- names for people


def find_entry(entries: Sequence[Entry], reference: str) -> Entry:
    """Return the checkpoint that ``reference`` names: latest, best, step1, step1:3 (its epoch), a name or path."""
    if not entries:
        raise StorageProblem("there is no checkpoint yet.", cure="Train a step first: opeddev-tui train.")
    whole = [entry for entry in entries if entry.published]
    matches = [
        entry
        for entry in entries
        if reference in (entry.name, str(entry.folder)) or Path(reference).expanduser().absolute() == entry.folder
    ]
    # a repetition's are meant only where they are named in full
    own = [entry for entry in whole if not entry.repeats]
    if not matches and reference in ("latest", "best"):
        matches = [entry for entry in own if reference in entry.marks]
    if not matches and reference.startswith("step"):
        matches = _by_step(own, reference.removeprefix("step"))
    if not matches:
        names = ", ".join(dict.fromkeys(entry.name for entry in entries[-3:]))
        raise StorageProblem(
            f"no checkpoint is called {reference}.",
            cure=f"Say latest, best, step1, step1:3, or a name such as {names}.",
        )
    return matches[-1]


def _by_step(entries: Sequence[Entry], text: str) -> list[Entry]:
    step, _, epoch = text.partition(":")
    found = [entry for entry in entries if str(entry.step) == step]
    if epoch:
        return [entry for entry in found if f"{entry.epoch:g}" == epoch]
    return [entry for entry in found if "chosen" in entry.marks] or found


# --- pins and notes


def _read_notes(workspace: Workspace) -> dict[str, Any]:
    try:
        notes: dict[str, Any] = json.loads(workspace.checkpoint_notes.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise StorageProblem(
            f"is not valid JSON: {error}.", where=str(workspace.checkpoint_notes), cure="Correct it, or delete it."
        ) from error
    return notes


def annotate(workspace: Workspace, entry: Entry, *, pinned: bool | None = None, note: str | None = None) -> None:
    """Pin or unpin ``entry``, or set its note."""
    notes = _read_notes(workspace)
    mine = notes.setdefault(entry.name, {})
    if pinned is not None:
        mine["pinned"] = pinned
    if note is not None:
        mine["note"] = note
    write_atomic(workspace.checkpoint_notes, json.dumps(notes, indent=1, ensure_ascii=False).encode())


def pinned_folders(workspace: Workspace, run: str) -> list[Path]:
    """Return the pinned checkpoint folders of ``run``; a damaged notes file pins everything rather than nothing."""
    folders = checkpoints.list_folders(workspace.checkpoints(run))
    try:
        notes = _read_notes(workspace)
    except Problem:
        return folders
    return [folder for folder in folders if notes.get(f"{run}/{folder.name}", {}).get("pinned")]


# --- room


def disk_budget(store: Path, checkpoint_size: int, kept: int) -> str | None:
    """Return what is wrong when ``kept`` checkpoints of ``checkpoint_size`` bytes do not fit, None if they do."""
    free = free_space(store)
    if checkpoint_size * kept <= free:
        return None
    return f"{kept} checkpoints of {size(checkpoint_size)} are kept, {size(free)} are free"
