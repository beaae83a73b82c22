"""Choose what grades: the checkpoint, the way to a grade that its race chose, the settings it was trained with.

Loads no model and no numbers library. What cannot be used is a ``Problem`` with the cure; what a person should know of
the choice is in its notes.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.checkpoints import catalog, folders
from opeddev_tui.checkpoints import heads as head_files
from opeddev_tui.checkpoints.heads import BASE, STEP, heads_in
from opeddev_tui.config.described import known_keys
from opeddev_tui.config.loading import Layer, resolve
from opeddev_tui.config.settings import Model, Settings
from opeddev_tui.errors import ModelProblem, Problem, StorageProblem
from opeddev_tui.models.place import source_of
from opeddev_tui.runs.grade_records import BASE_HEAD, BASE_TOKENS, N_GRAMS, STEP_HEAD, STEP_TEXT, STEP_TOKENS
from opeddev_tui.runs.grade_words import grader_name
from opeddev_tui.runs.history import RunRecord, list_runs
from opeddev_tui.runs.manifest import settings_of
from opeddev_tui.runs.state import RunState
from opeddev_tui.workspace.paths import Workspace

BASE_MODEL = "base"
# what is graded with where nobody says: the model that the race was held on
DEFAULT_SOURCE = "best"
_MODES = {
    BASE_HEAD: "head",
    STEP_HEAD: "head",
    STEP_TOKENS: "tokens",
    BASE_TOKENS: "tokens",
    STEP_TEXT: "text",
    N_GRAMS: N_GRAMS,
}
# where a run keeps its base head (see ``training.base_head``)
_RUN_HEADS = "grading"


class Choice(Struct, frozen=True):
    """What grades: ``entry`` (None: the base model itself) by ``way``, with the head in ``head_folder`` where it has
    one, asked as ``settings`` say. ``state`` is that of its run, ``epoch`` the one it was saved after.
    """

    way: str
    settings: Settings
    entry: catalog.Entry | None
    head_folder: Path | None
    state: RunState
    epoch: int
    notes: tuple[str, ...] = ()

    @property
    def checkpoint(self) -> str:
        """The checkpoint's name for people; "base" for the base model itself."""
        return BASE_MODEL if self.entry is None else self.entry.name

    @property
    def grader(self) -> str:
        """What grades, for people: not the checkpoint where the base model does."""
        step = self.state.started.step if self.state.started is not None else None
        return grader_name(self.way, self.checkpoint, step)

    @property
    def named(self) -> str:
        """What grades, with the checkpoint that was chosen where that does not."""
        chosen = "" if self.entry is None or self.grader == self.checkpoint else f" (chosen: {self.checkpoint})"
        return f"{self.grader}{chosen}"

    @property
    def reads_base(self) -> bool:
        """True where the grade is read from the base model."""
        return self.way in (BASE_HEAD, BASE_TOKENS)

    @property
    def reads_step(self) -> bool:
        """True where the grade is read from the checkpoint's own model; n-grams read none."""
        return not self.reads_base and self.way != N_GRAMS


def choose(workspace: Workspace, settings: Settings, source: str = "") -> Choice:
    """Return what grades: ``source`` is a checkpoint as ``catalog.find_entry`` takes it, or base.

    Empty: the best checkpoint of the newest run, before any training the base model. Every byte of the checkpoint is
    verified. Raises ``StorageProblem`` or ``ModelProblem``.
    """
    workspace.adopt()
    records = list_runs(workspace)
    entries = catalog.list_entries(workspace, records)
    if source == BASE_MODEL or (not source and not any(entry.published for entry in entries)):
        return _base_choice(workspace, settings, records)
    entry = _entry(entries, source)
    if problems := catalog.problems_of(entry):
        raise StorageProblem(
            f"the checkpoint cannot be trusted: {'; '.join(problems)}.",
            where=str(entry.folder),
            cure="Choose another one: opeddev-tui checkpoints list.",
        )
    state = next(record.state for record in records if record.id == entry.run)
    # grades belong to the end of an epoch; -1 finds none
    epoch = round(entry.epoch) if entry.epoch.is_integer() else -1
    trained, notes = as_trained(workspace, settings, entry.run)
    way, more = _way(settings.grading.mode, heads_in(entry.folder), state, epoch)
    head = entry.folder if way == N_GRAMS or _MODES[way] == "head" else None
    return Choice(way, trained, entry, head, state, epoch, (*notes, *more))


def _entry(entries: list[catalog.Entry], source: str) -> catalog.Entry:
    if source:
        return catalog.find_entry(entries, source)
    with suppress(StorageProblem):
        return catalog.find_entry(entries, DEFAULT_SOURCE)
    return catalog.find_entry(entries, "latest")


def _base_choice(workspace: Workspace, settings: Settings, records: list[RunRecord]) -> Choice:
    """Return the base model itself with the newest head that a run fitted on it."""
    for record in reversed(records):
        for folder in (record.folder / _RUN_HEADS, *folders.list_folders(workspace.checkpoints(record.id))[::-1]):
            if BASE in heads_in(folder):
                trained, notes = as_trained(workspace, settings, record.id)
                epoch = max(record.state.readings, default=-1)
                if settings.grading.mode == N_GRAMS:
                    notes = (*notes, "n-grams belong to a checkpoint: the head on the base model grades.")
                return Choice(BASE_HEAD, trained, None, folder, record.state, epoch, notes)
    raise ModelProblem(
        "no grade head on the base model is kept here, so it cannot grade.",
        where=str(workspace.root),
        cure="Train a step on rows with grades: opeddev-tui train.",
    )


# --- which way


def _way(mode: str, heads: list[str], state: RunState, epoch: int) -> tuple[str, list[str]]:
    """Return the way to a grade for ``mode``, with what to say of it; raises ``ModelProblem``."""
    if mode == N_GRAMS:
        if head_files.N_GRAMS not in heads:
            raise _no_n_grams()
        return N_GRAMS, []
    pieces = [N_GRAMS] if head_files.N_GRAMS in heads else []
    heads = [model for model in heads if model != head_files.N_GRAMS]
    there = [
        *pieces,
        *([BASE_HEAD] if BASE in heads else []),
        *([STEP_HEAD] if STEP in heads else []),
        STEP_TOKENS,
        STEP_TEXT,
    ]
    race = state.races.get(epoch)
    chosen = race.chosen if race is not None else ""
    if mode in ("auto", _MODES.get(chosen)) and chosen in there:
        return chosen, []
    if mode in ("auto", "head"):
        way = next(way for way in there if _MODES[way] == "head") if heads else _without_head(state, epoch)
        if heads:
            return way, [] if mode == "head" else ["no race chose for this checkpoint: its head grades."]
        said = "this checkpoint has no grade head (an older version, or too few graded rows)"
        words = "the probabilities of its grade tokens" if way == STEP_TOKENS else "the grade that it writes"
        return way, [f"{said}: {words} grade instead."]
    return (STEP_TOKENS if mode == "tokens" else STEP_TEXT), []


def _no_n_grams() -> ModelProblem:
    return ModelProblem(
        "this checkpoint has no n-gram grader: it is kept where it is surely better than the way that grades.",
        where="grading.mode",
        cure="Choose the checkpoint that the race was held on (best); else train a step with "
        f'grading.mode = "{N_GRAMS}", or choose another way.',
    )


def _without_head(state: RunState, epoch: int) -> str:
    """Return tokens, or text where a run of this version found that tokens cannot be read."""
    read = state.readings.get(epoch)
    return STEP_TEXT if read is not None and read.by(STEP_TOKENS) is None else STEP_TOKENS


# --- the settings that it was trained with


def as_trained(workspace: Workspace, settings: Settings, run: str) -> tuple[Settings, tuple[str, ...]]:
    """Return ``settings`` with the prompts, tokens and scale of ``run``, and a sentence where those are others now.

    A run without a readable manifest is taken to have the present ones.
    """
    recorded = _known(settings_of(workspace.run_manifest(run)))
    try:
        then = resolve([Layer(f"the record of run {run}", recorded)]).settings
    except Problem:
        return settings, ("the settings of its run cannot be read: the present ones are used.",)
    if not recorded:
        return settings, ()
    now, read = settings.grading, settings.data
    grading = replace(then.grading, mode=now.mode, max_new_tokens=now.max_new_tokens)
    limits = {"columns": read.columns, "max_line_bytes": read.max_line_bytes, "max_depth": read.max_depth}
    data = replace(then.data, **limits)
    thinking = then.generation.enable_thinking
    trained = replace(
        settings,
        grading=grading,
        data=data,
        model=_model(workspace, settings, then),
        generation=replace(settings.generation, enable_thinking=thinking),
    )
    changed = [
        name
        for name, before, after in (
            ("[grading]", grading, now),
            ("[data]", data, read),
            ("generation.enable_thinking", thinking, settings.generation.enable_thinking),
        )
        if before != after
    ]
    note = f"{' and '.join(changed)} changed since the checkpoint was trained: it is asked as it was trained."
    return trained, (note,) if changed else ()


def _known(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what this version still knows of recorded settings."""
    known = set(known_keys())
    return {
        section: {key: value for key, value in table.items() if f"{section}.{key}" in known}
        for section, table in tables.items()
        if any(name.startswith(f"{section}.") for name in known)
    }


def _model(workspace: Workspace, settings: Settings, then: Settings) -> Model:
    """Return the base model's section: that of the run, where its folder has not moved since."""
    with suppress(ModelProblem):
        source_of(workspace.root, then.model.name)
        return replace(settings.model, name=then.model.name, revision=then.model.revision)
    return settings.model
